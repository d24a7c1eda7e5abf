"""The agent in a run of the real platform, which starts the plugin itself. The model follows tests/config/script.yaml."""

from typing import Any

import pytest

from openeaap import ActStep, Client


@pytest.fixture(scope="module")
def published(client: Client, agent_file: Any) -> str:
    plugin = client.plugins.wait_ready("llamaindex", timeout=30)
    assert (plugin.tools, plugin.agents) == (["search_runbooks"], ["researcher"])
    client.agents.publish(client.agents.create(agent_file["name"], agent_file["version"], agent_file["configuration"]))
    return str(agent_file["name"])


def test_the_agent_searches_its_index_asks_the_calculator_and_concludes(client: Client, published: str) -> None:
    events = list(client.runs.create(published, "the data disk of a database server is full", stream=True))

    assert events[-1].type == "run_completed", events[-1]
    run_id = events[-1].data["run_id"]
    assert client.runs.get(run_id).result() == "By disk-full.md, disk-full.md: extend the volume to 600 GB."
    shown = "".join(event.data["text"] for event in events if event.type == "step_delta")
    assert shown == "First I look for a runbook.The volume grows by at least 20 percent.By disk-full.md, disk-full.md: extend the volume to 600 GB."
    steps = client.runs.steps(run_id)
    assert [step.kind for step in steps] == ["think", "act", "think", "act", "think"]
    acts = [step for step in steps if isinstance(step, ActStep)]
    assert [(act.tool, act.status) for act in acts] == [("search_runbooks", "done"), ("calculator", "done")]
    # The policy was asked about each of them; LlamaIndex made none.
    assert [event.data["tool"] for event in events if event.type == "policy_decision" and "tool" in event.data] == ["search_runbooks", "calculator"]


def test_a_call_that_failed_is_told_to_the_agent(client: Client, published: str) -> None:
    run = client.runs.wait(client.runs.create(published, "divide the disk by nothing").run_id, timeout=30)
    assert run.result() == "No result: tool_failed."
