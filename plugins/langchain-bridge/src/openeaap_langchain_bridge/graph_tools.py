"""Takes the tools of a compiled graph out of its hands."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any
from uuid import UUID

from langchain_core.callbacks import BaseCallbackHandler
from langgraph.prebuilt import ToolNode
from langgraph.pregel import Pregel
from openeaap.sdk import StepFailed, ToolCallLog

from openeaap_langchain_bridge.journal import text_of
from openeaap_langchain_bridge.stand_in_tool import StandInTool, stand_in_for, stand_in_of
from openeaap_langchain_bridge.think_scope import ThinkScope

_RESULT_CHARS = 4_096


def take_over_tools(graph: Pregel[Any, Any, Any, Any], scope: ThinkScope, platform_tools: bool) -> None:
    """Puts stand-ins into the graph's tool nodes, those of its subgraphs too, and notes what the agent knows."""
    for node in tool_nodes_of(graph):
        for name, tool in list(node.tools_by_name.items()):
            scope.own_tools.add(name)
            if name not in scope.in_graph and not isinstance(tool, StandInTool):
                node.tools_by_name[name] = stand_in_for(tool)
        if platform_tools:
            for name, info in scope.offered.items():
                node.tools_by_name.setdefault(name, stand_in_of(info))


def tool_nodes_of(graph: Any) -> Iterator[ToolNode]:
    for node in graph.nodes.values():
        yield from _inside(node.bound)
        for subgraph in node.subgraphs:
            if isinstance(subgraph, Pregel) and subgraph is not node.bound:
                yield from tool_nodes_of(subgraph)


def _inside(runnable: Any) -> Iterator[ToolNode]:
    if isinstance(runnable, ToolNode):
        yield runnable
    elif isinstance(runnable, Pregel):
        yield from tool_nodes_of(runnable)
    else:
        for inner in (*getattr(runnable, "steps", ()), getattr(runnable, "bound", None)):
            if inner is not None:
                yield from _inside(inner)


class ToolGuard(BaseCallbackHandler):
    """Sees each tool that a graph starts by itself: writes down those that may, stops the others before they run."""

    raise_error = True
    run_inline = True

    def __init__(self, scope: ThinkScope) -> None:
        self._scope = scope
        self._started: dict[UUID, tuple[str, Any, float]] = {}

    def on_tool_start(self, serialized: dict[str, Any] | None, input_str: str, *, run_id: UUID, inputs: dict[str, Any] | None = None, **_: Any) -> None:
        name = str((serialized or {}).get("name", "?"))
        if name not in self._scope.in_graph:
            self._scope.outside = name
            raise StepFailed("INTERNAL", f"The graph tried to run the tool {name} by itself.")
        self._started[run_id] = (name, inputs if inputs is not None else input_str, time.time())

    def on_tool_end(self, output: Any, *, run_id: UUID, **_: Any) -> None:
        self._end(run_id, output, "done")

    def on_tool_error(self, error: BaseException, *, run_id: UUID, **_: Any) -> None:
        self._end(run_id, type(error).__name__, "failed")

    def _end(self, run_id: UUID, output: Any, status: Any) -> None:
        if run_id not in self._started:
            return
        name, given, started = self._started.pop(run_id)
        entry = ToolCallLog(
            id=str(run_id),
            tool=name,
            input=text_of(given if isinstance(given, str) else str(given))[:_RESULT_CHARS],
            output=str(getattr(output, "content", output))[:_RESULT_CHARS],
            status=status,
            started_at_unix_ms=int(started * 1_000),
            duration_ms=int((time.time() - started) * 1_000),
        )
        with self._scope.lock:
            self._scope.calls_made.append(entry)
