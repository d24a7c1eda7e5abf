"""The whole way: a worker of this package, declared to the real platform, thinks and acts in a run."""

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from harness.platform import Platform
from harness.worker_process import WorkerProcess, launched

from openeaap import ActStep, ApiError, AsyncClient, Client, NotFound

MODULE = """
from pydantic import BaseModel
from openeaap.sdk import ActEntry, Proposal, ThinkContext, ThinkRequest, ThinkResult, ToolContext, ToolError, agent, tool


class Question(BaseModel):
    host: str


@tool(effect="read", args_schema=Question)
def sdk_owner_of(ctx: ToolContext, host: str) -> dict[str, str]:
    "Says whom a host belongs to."
    if host == "nobody":
        raise ToolError("Nobody knows it.")
    return {"host": host, "owner": "Ada", "by": ctx.principal.user_id}


@agent(name="asks")
async def asks(request: ThinkRequest, ctx: ThinkContext) -> ThinkResult | Proposal:
    "Asks once, then concludes."
    seen = [entry for entry in request.journal if isinstance(entry, ActEntry)]
    if not seen:
        ctx.emit("looking ")
        ctx.emit("it up")
        return ThinkResult(Proposal.call("sdk_owner_of", {"host": request.input["host"]}, thought="Who owns it?"), state={"asked": 1})
    return Proposal.finish({"observed": seen[-1].observation, "state": request.state, "unit": request.agent.settings["unit"]})
"""


@pytest.fixture(scope="module")
def client(platform: Platform) -> Iterator[Client]:
    with Client(data_dir=platform.data_dir) as made:
        yield made


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkerProcess]:
    folder: Path = tmp_path_factory.mktemp("plugin")
    (folder / "sdk_plugin.py").write_text(MODULE)
    with launched("sdk_plugin", cwd=folder) as made:
        yield made


def test_a_declared_worker_thinks_and_acts_in_a_run(client: Client, worker: WorkerProcess) -> None:
    client.plugins.declare("sdk-plugin", address=worker.address)
    plugin = client.plugins.wait_ready("sdk-plugin", timeout=20)
    assert (plugin.tools, plugin.agents, plugin.source) == (["sdk_owner_of"], ["asks"], "api")
    assert "python" in plugin.sdk
    listed = {tool.name: tool for tool in client.tools.list()}["sdk_owner_of"]
    assert (listed.plugin, listed.effect, listed.input_schema["required"]) == ("sdk-plugin", "read", ["host"])
    made = client.agents.create("sdk-asks", "1.0.0", {"runtime": "sdk-plugin", "entrypoint": "asks", "tools": ["sdk_owner_of"], "settings": {"unit": "soc"}})
    client.agents.publish(made)

    events = list(client.runs.create("sdk-asks", {"host": "web-1"}, stream=True))
    assert events[-1].type == "run_completed", events
    assert "".join(event.data["text"] for event in events if event.type == "step_delta") == "looking it up"
    run = client.runs.get(events[0].data["run_id"])
    assert run.result() == {"observed": {"output": {"host": "web-1", "owner": "Ada", "by": "admin"}}, "state": {"asked": 1}, "unit": "soc"}

    failed = client.runs.wait(client.runs.create("sdk-asks", {"host": "nobody"}).run_id, timeout=30)
    observed: Any = failed.result()["observed"]
    assert observed == {"error": {"code": "tool_failed", "message": "Nobody knows it."}}
    steps = client.runs.steps(failed.run_id)
    assert [step.status for step in steps if isinstance(step, ActStep)] == ["failed"]


def test_the_platform_says_what_is_wrong_with_a_plugin_that_is_not_there(client: Client) -> None:
    client.plugins.declare("sdk-nowhere", address="127.0.0.1:1")
    with pytest.raises(TimeoutError, match="Plugin sdk-nowhere is .+ after 0.5 s: .+"):
        client.plugins.wait_ready("sdk-nowhere", timeout=0.5)
    client.plugins.remove("sdk-nowhere")
    with pytest.raises(NotFound):
        client.plugins.get("sdk-nowhere")
    with pytest.raises(ApiError) as refused:
        client.plugins.declare("sdk-bad", command=[sys.executable])
    assert refused.value.field == "command" and "plugins.yaml" in str(refused.value)


def test_the_async_client_declares_in_the_same_way(platform: Platform, worker: WorkerProcess) -> None:
    async def declare() -> None:
        async with AsyncClient(platform.url, platform.api_key) as client:
            again = await client.plugins.declare("sdk-plugin", address=worker.address)
            assert again.name == "sdk-plugin"
            assert (await client.plugins.wait_ready("sdk-plugin")).agents == ["asks"]

    asyncio.run(declare())
