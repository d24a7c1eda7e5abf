from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.bridge_process import BridgeProcess
from tests.harness.model_double import ModelDouble, start_model_double
from tests.harness.run_driver import Run


@pytest.fixture(scope="session")
def _model() -> Iterator[ModelDouble]:
    model = start_model_double()
    yield model
    model.close()


@pytest.fixture
def model(_model: ModelDouble) -> ModelDouble:
    _model.reset()
    return _model


@pytest.fixture(scope="session")
def effects() -> Iterator[Path]:
    """The file into which the fixtures' tools write when they run. It must be empty after any number of thinks."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["SIDE_EFFECT_FILE"] = f"{folder}/effects"
        yield Path(folder) / "effects"


@pytest.fixture(scope="session")
def bridge(effects: Path) -> Iterator[BridgeProcess]:
    """One bridge with all fixtures; tests that end processes start their own."""
    process = BridgeProcess("agents.py")
    yield process
    process.close()


@pytest.fixture
def start(bridge: BridgeProcess, model: ModelDouble):
    """start(agent, input, **settings): a run whose tools are those that the bridge offers."""

    def make(agent: str, input: object, **options: object) -> Run:
        options.setdefault("tools", list(bridge.handshake().tools))
        return Run(bridge, model, agent, input, **options)

    return make
