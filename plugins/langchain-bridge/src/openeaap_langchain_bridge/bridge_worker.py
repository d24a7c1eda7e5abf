from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from openeaap.sdk import Agent, Tool, Worker

from openeaap_langchain_bridge.hosted_agent import HostedAgent
from openeaap_langchain_bridge.hosted_tool import HostedTool, to_sdk_tool
from openeaap_langchain_bridge.interrupt_tool import interrupt_tool
from openeaap_langchain_bridge.think import think

VERSION = "0.1.0"


def bridge_worker(agents: Sequence[HostedAgent], name: str | None = None) -> Worker:
    """The plugin that offers these agents and their tools."""
    _refuse_doubles(agents)
    return Worker(
        tools=_tools_of(agents),
        agents=[Agent(agent.name, partial(think, agent), agent.description) for agent in agents],
        name=name or "langchain-bridge",
        version=VERSION,
    )


def _tools_of(agents: Sequence[HostedAgent]) -> list[Tool[..., Any]]:
    hosted: dict[str, HostedTool] = {}
    for each in (tool for agent in agents for tool in agent.tools):
        known = hosted.setdefault(each.tool.name, each)
        if known.tool is not each.tool or dict(known.options) != dict(each.options):
            raise ValueError(f"Two agents bring different tools with the name {each.tool.name}. Rename one, or give both the same.")
    questions = {agent.interrupt_tool for agent in agents if agent.interrupt_tool is not None} - set(hosted)
    return [*map(to_sdk_tool, hosted.values()), *map(interrupt_tool, sorted(questions))]


def _refuse_doubles(agents: Sequence[HostedAgent]) -> None:
    names = [agent.name for agent in agents]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"Two agents are hosted with the name {name}. Rename one.")
