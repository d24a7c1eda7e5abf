"""Not run: what an author writes must pass mypy --strict as it stands."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from openeaap import AsyncClient, Client, RunStream
from openeaap.sdk import (
    Agent,
    Proposal,
    ThinkContext,
    ThinkRequest,
    ThinkResult,
    Tool,
    ToolContext,
    Worker,
    agent,
    tool,
)


class IPCheckInput(BaseModel):
    ip_address: str


@tool(name="check_ip", description="Checks.", args_schema=IPCheckInput)
def check_ip(ctx: ToolContext, ip_address: str) -> dict[str, int]:
    return {"score": len(ctx.secrets.get("KEY", "")) + len(ip_address)}


@tool
async def look_up(host: str, limit: int = 3) -> list[str]:
    """Looks up."""
    return [host] * limit


@agent(name="triage")
async def triage(request: ThinkRequest, ctx: ThinkContext) -> ThinkResult | Proposal:
    return Proposal.finish(request.input)


@agent(name="other")
def other(request: ThinkRequest, ctx: ThinkContext) -> Proposal:
    return Proposal.call("check_ip", {"ip_address": "1.2.3.4"})


tools: list[Tool] = [check_ip, look_up]
worker = Worker(tools=tools, agents=[triage, Agent("third", other.think)])


async def use() -> None:
    score: dict[str, int] = check_ip(ToolContext(), "1.2.3.4")
    hosts: list[str] = await look_up("a", limit=2)
    client = Client()
    stream: RunStream = client.runs.create("triage", "x", stream=True)
    run_id: str = client.runs.create("triage", {"a": score, "b": hosts}).run_id
    output: Any = (await AsyncClient().runs.wait(run_id)).result()
    print(stream.run_id, output)
