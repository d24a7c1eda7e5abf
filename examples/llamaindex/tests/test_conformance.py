"""The plugin as a process, driven over gRPC by the conformance kit, whose model it asks."""

import json
import subprocess
import sys
from pathlib import Path

EXAMPLE = Path(__file__).resolve().parents[1]
KIT = EXAMPLE.parents[1] / "pkg/adapter/conformance/bin/openeaap-conformance.mjs"
LIMIT_SECONDS = 120
# How a process starts, listens and ends is the SDK's, and tested with it; the rest is what this example could get wrong.
GROUPS = ["handshake", "health", "step", "agent", "model", "stream", "token", "secret", "launch.announces", "launch.other_process", "launch.stdout"]
OF_THE_AGENT = ("agent.", "model.", "stream.")
# Checks of plugins that do not stream are none of this one.
NOT_OURS = {"stream.not_served"}


def test_every_promise_about_agents_is_kept() -> None:
    only = [argument for group in GROUPS for argument in ("--only", group)]
    worker = Path(sys.executable).with_name("openeaap-worker")
    kit = subprocess.run(["node", KIT, "--json", *only, "--", worker, "plugin"], cwd=EXAMPLE, capture_output=True, text=True, timeout=LIMIT_SECONDS)
    assert kit.stdout, kit.stderr
    report = json.loads(kit.stdout)
    broken = [check for check in report["checks"] if check["verdict"] == "failed"]
    assert (kit.returncode, broken) == (0, []), kit.stderr
    of_the_agent = {check["name"]: check["verdict"] for check in report["checks"] if check["name"].startswith(OF_THE_AGENT) and check["name"] not in NOT_OURS}
    assert len(of_the_agent) > 15
    assert set(of_the_agent.values()) == {"passed"}, of_the_agent
