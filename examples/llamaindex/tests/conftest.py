"""The built server of this repository with this example in it, as its README says."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from openeaap import Client

EXAMPLE = Path(__file__).resolve().parents[1]
ROOT = EXAMPLE.parents[1]
SERVER = ROOT / "cmd/openeaap-server/dist/main.js"
CLONE = "/srv/openeaap"
"""Where the documented files say that the clone lies."""
START_LIMIT_SECONDS = 60
STOP_LIMIT_SECONDS = 40


@pytest.fixture(scope="session")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    folder = tmp_path_factory.mktemp("platform")
    configs = shutil.copytree(ROOT / "configs", folder / "configs")
    shutil.copytree(EXAMPLE / "tests/config", configs, dirs_exist_ok=True)
    (configs / "plugins.yaml").write_text((EXAMPLE / "plugins.yaml").read_text("utf-8").replace(CLONE, str(ROOT)), "utf-8")
    policies = shutil.copytree(ROOT / "policies", folder / "policies")
    shutil.copy(EXAMPLE / "policy.yaml", policies / "llamaindex.yaml")
    arguments = ["--json", "--port", "0", "--data-dir", folder / "data", "--config-dir", configs, "--policy-dir", policies]
    with (folder / "stderr").open("w") as stderr:
        environment = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR", "LANG") if name in os.environ}
        server = subprocess.Popen(["node", SERVER, *arguments], cwd=ROOT, env={**environment, "OPENEAAP_DRAIN_SECONDS": "3"}, stdout=subprocess.PIPE, stderr=stderr, text=True)
    assert server.stdout is not None
    late = threading.Timer(START_LIMIT_SECONDS, server.kill)
    late.start()
    try:
        ready = json.loads(next((line for line in server.stdout if line.startswith("{")), "null"))
        late.cancel()
        assert ready is not None, f"the server did not start; is it built (npm run build)?\n{(folder / 'stderr').read_text()}"
        with Client(ready["url"], ready["api_key"]) as made:
            yield made
    finally:
        late.cancel()
        server.terminate()
        try:
            server.wait(STOP_LIMIT_SECONDS)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
        server.stdout.close()


@pytest.fixture(scope="session")
def agent_file() -> Any:
    return yaml.safe_load((EXAMPLE / "agent.yaml").read_text("utf-8"))
