"""The built server of this repository with its demo, as a process of its own."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[4]
README = Path(__file__).resolve().parents[2] / "README.md"
SERVER = ROOT / "cmd" / "openeaap-server" / "dist" / "main.js"
START_LIMIT_S = 60
STOP_LIMIT_S = 40


@dataclass(frozen=True)
class Platform:
    url: str
    api_key: str
    data_dir: Path


@contextmanager
def started_platform() -> Iterator[Platform]:
    if not (ROOT / "cmd" / "openeaap-server").is_dir():
        pytest.skip("needs the repository of the platform")
    node = shutil.which("node")
    assert node is not None and SERVER.exists(), "the server is not built: npm ci && npm run build"
    with tempfile.TemporaryDirectory(prefix="openeaap-sdk-") as folder:
        env = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR", "LANG") if name in os.environ}
        stderr_file = Path(folder) / "stderr"
        with stderr_file.open("w") as stderr:
            process = subprocess.Popen(
                [node, str(SERVER), "--json", "--demo", "--port", "0", "--data-dir", f"{folder}/data", "--policy-dir", str(policies_with_sdk_role(Path(folder)))],
                cwd=ROOT, env={**env, "OPENEAAP_DRAIN_SECONDS": "3"}, stdout=subprocess.PIPE, stderr=stderr, text=True,
            )  # fmt: skip
        assert process.stdout is not None
        late = threading.Timer(START_LIMIT_S, process.kill)
        late.start()
        try:
            lines = (line for line in process.stdout if line.startswith("{"))
            ready = json.loads(next(lines, "null"))
            late.cancel()
            assert ready is not None, f"the server did not start:\n{stderr_file.read_text()}"
            yield Platform(ready["url"], ready["api_key"], Path(folder) / "data")
        finally:
            late.cancel()
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(STOP_LIMIT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            process.stdout.close()


def policies_with_sdk_role(folder: Path) -> Path:
    """The platform's own policies, and a role that may use the tools of these tests."""
    copied = Path(shutil.copytree(ROOT / "policies", folder / "policies"))
    (copied / "sdk.yaml").write_text('rbac:\n  roles:\n    - name: "sdk-tester"\n      members: ["user:admin"]\n      tools: ["sdk_*"]\n      agents: ["*"]\n')
    # As the README has it: its five minutes are tested, the policy among them.
    (copied / "my-tools.yaml").write_text(README.read_text("utf-8").split("```yaml\n")[1].split("```")[0])
    return copied
