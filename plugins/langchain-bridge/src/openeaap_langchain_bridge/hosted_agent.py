from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from langchain_core.tools import BaseTool

from openeaap_langchain_bridge.bridge_context import BridgeContext
from openeaap_langchain_bridge.hosted_tool import HostedTool, hosted_tool

# What is built may be an AgentExecutor, a compiled graph or a Runnable.
Build = Callable[[BridgeContext], Any]

_collected: ContextVar[list[HostedAgent] | None] = ContextVar("openeaap_hosted_agents", default=None)


@dataclass(frozen=True)
class HostedAgent:
    """An agent of LangChain's with what the bridge must know of it. Made by host()."""

    name: str
    build: Build
    description: str = ""
    tools: tuple[HostedTool, ...] = ()
    in_graph: frozenset[str] = frozenset()
    interrupt_tool: str | None = None
    platform_tools: bool = False
    to_input: Callable[[Any], Any] | None = None
    to_output: Callable[[Any], Any] | None = None

    def __call__(self, context: BridgeContext) -> Any:
        return self.build(context)


def host(
    name: str,
    build: Build | None = None,
    *,
    description: str = "",
    tools: Iterable[BaseTool | HostedTool | Callable[..., Any]] = (),
    in_graph: Iterable[str] = (),
    interrupt_tool: str | None = None,
    platform_tools: bool = False,
    to_input: Callable[[Any], Any] | None = None,
    to_output: Callable[[Any], Any] | None = None,
) -> Any:
    """Hosts the agent that `build(ctx)` makes; without `build` it is a decorator.

    tools: LangChain tools that the bridge itself executes, as tool steps of the platform.
    in_graph: names of tools that change nothing but the state of the graph, like write_todos. They
        run within a think, and the platform hears of them afterwards; all others are proposed.
    interrupt_tool: the tool by which a graph's interrupt(...) asks a person. Unless it is one of
        `tools` or of the platform, the bridge brings it along.
    platform_tools: offer the model the tools of the platform that the agent does not know, too.
        The agent's settings on the platform may say it as well.
    to_input, to_output: from the run's input to the graph's or executor's, and from its output to
        the run's, where the usual way does not fit.
    """

    def make(build: Build) -> HostedAgent:
        if not callable(build):
            raise TypeError(f"host({name!r}): build is {build!r}; give a function of (ctx) that returns the agent.")
        if isinstance(in_graph, str):
            raise TypeError(f"host({name!r}): in_graph is {in_graph!r}; give a list of names.")
        agent = HostedAgent(
            name=name,
            build=build,
            description=description or (build.__doc__ or "").strip().split("\n\n")[0],
            tools=tuple(each if isinstance(each, HostedTool) else hosted_tool(each) for each in tools),
            in_graph=frozenset(in_graph),
            interrupt_tool=interrupt_tool,
            platform_tools=platform_tools,
            to_input=to_input,
            to_output=to_output,
        )
        collected = _collected.get()
        if collected is not None:
            collected.append(agent)
        return agent

    return make if build is None else make(build)


@contextmanager
def collecting() -> Iterator[Sequence[HostedAgent]]:
    """What host() makes while the user's file is loaded."""
    found: list[HostedAgent] = []
    token = _collected.set(found)
    try:
        yield found
    finally:
        _collected.reset(token)
