"""Takes the tools of a compiled graph out of its hands."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from langgraph.prebuilt import ToolNode
from langgraph.pregel import Pregel

from openeaap_langchain_bridge.stand_in_tool import StandInTool, stand_in_for, stand_in_of
from openeaap_langchain_bridge.think_scope import ThinkScope


def take_over_tools(graph: Pregel[Any, Any, Any, Any], scope: ThinkScope, platform_tools: bool) -> None:
    """Puts stand-ins into the graph's tool nodes, those of its subgraphs too, and notes what the agent knows."""
    for node in tool_nodes_of(graph):
        for name, tool in list(node.tools_by_name.items()):
            scope.own_tools.add(name)
            if name not in scope.in_graph and not isinstance(tool, StandInTool):
                _put(node, stand_in_for(tool))
        if platform_tools:
            for name, info in scope.offered.items():
                if name not in node.tools_by_name:
                    _put(node, stand_in_of(info))


def _put(node: ToolNode, tool: StandInTool) -> None:
    """What a tool node keeps by the name of a tool differs between versions; a fresh node has it all."""
    for attribute, entries in vars(ToolNode([tool])).items():
        if isinstance(entries, dict) and tool.name in entries:
            vars(node)[attribute][tool.name] = entries[tool.name]


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
