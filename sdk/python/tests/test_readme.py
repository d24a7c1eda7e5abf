"""The five minutes of the README, as they are written."""

import os
import re
import subprocess
import sys
from pathlib import Path

from harness.platform import README, Platform
from harness.worker_process import clean_env, launched


def block(name: str) -> str:
    found = re.findall(rf"^```\w+\n(# {re.escape(name)}\n.*?)^```$", README.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    assert len(found) == 1, name
    return str(found[0])


def test_the_five_minutes_are_true(platform: Platform, tmp_path: Path) -> None:
    """Only the port is another: the usual one may be taken here."""
    (tmp_path / "my_tools.py").write_text(block("my_tools.py"), "utf-8")
    with launched("my_tools", cwd=tmp_path) as worker:
        (tmp_path / "ask.py").write_text(block("ask.py").replace("127.0.0.1:50051", worker.address), "utf-8")
        env = {**clean_env(None), "OPENEAAP_DATA_DIR": os.fspath(platform.data_dir)}
        asked = subprocess.run([sys.executable, "ask.py"], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=50, check=False)
    assert asked.returncode == 0, asked.stderr
    last = asked.stdout.strip().splitlines()[-1]
    assert last.startswith("run_completed ") and "{'output': {'host': 'web-1', 'owner': 'Ada'}}" in last, asked.stdout
