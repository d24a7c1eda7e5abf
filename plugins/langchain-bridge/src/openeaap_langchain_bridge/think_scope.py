from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.runnables import RunnableConfig
from openeaap.sdk import ProposedCall, ThinkRequest, ToolCallLog

from openeaap_langchain_bridge.journal import Answer, answers_of, corrections_of

# Where a graph's run carries its scope. LangGraph keeps keys that begin with __ out of metadata and traces.
CONFIG_KEY = "__openeaap_think"


@dataclass
class ThinkScope:
    """One think: what it may use, and what happened in it. Dies with the step.

    Graph nodes may run in threads, so what they add goes through `lock`.
    """

    offered: Mapping[str, Any]
    """The platform's tools that may be proposed, by name."""
    answers: Mapping[str, Answer]
    corrections: list[HumanMessage]
    max_tokens: int
    """Most completion tokens of the think, over all of its model calls; 0: not said."""
    emit: Callable[[str], None]
    step_no: int
    in_graph: frozenset[str] = frozenset()
    own_tools: set[str] = field(default_factory=set)
    """Tools that the user's agent can run; those that are not offered are hidden from its model."""
    extra_tools: list[dict[str, Any]] = field(default_factory=list)
    """Schemas that are added to those that the agent gives its model."""
    one_superstep_asks: bool = False
    """The nodes of a graph that ask the model in one think are those of one superstep."""
    asked_at: int | None = None
    """`supersteps` when the model was asked first; None: not yet."""
    asking_tasks: set[str] = field(default_factory=set)
    model_nodes: set[str] = field(default_factory=set)
    """Root nodes of the graph that are known to ask the model."""
    supersteps: int = 0
    """Checkpoints of the graph and its subgraphs that this think has seen."""
    proposed: dict[str, ProposedCall] = field(default_factory=dict)
    outside: str | None = None
    """Name of a tool that a node tried to run by itself."""
    replies: list[AIMessage] = field(default_factory=list)
    issued_ids: set[str] = field(default_factory=set)
    calls_made: list[ToolCallLog] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def may_run(self, tool: str) -> bool:
        return tool in self.offered or tool in self.in_graph

    def is_hidden(self, tool: str) -> bool:
        """Of the agent's tools, the one that this run may not use: blocked, or unknown to the platform."""
        return tool in self.own_tools and not self.may_run(tool)

    def completion_tokens(self) -> int:
        """As the gateway reported them so far."""
        return sum(reply.usage_metadata["output_tokens"] for reply in self.replies if reply.usage_metadata)

    def propose(self, call: ProposedCall) -> None:
        with self.lock:
            self.proposed[call.id] = call

    def unique_id(self, wanted: str) -> str:
        """Some models number their calls anew in each reply, or not at all; an answer must find its call."""
        with self.lock:
            base = wanted or f"call_{self.step_no}"
            found, n = base, 1
            while found in self.issued_ids:
                n += 1
                found = f"{base}_{n}" if not wanted else f"{base}_{self.step_no}_{n}"
            self.issued_ids.add(found)
            return found


def open_scope(request: ThinkRequest, emit: Callable[[str], None], in_graph: Collection[str] = ()) -> ThinkScope:
    answers = answers_of(request.journal)
    blocked = request.constraints.blocked_tools
    return ThinkScope(
        offered={tool.name: tool for tool in request.tools if tool.name not in blocked},
        answers=answers,
        corrections=corrections_of(request.journal),
        max_tokens=_tightest(request.constraints.max_tokens, request.agent.model.max_tokens),
        emit=emit,
        step_no=request.step_no,
        in_graph=frozenset(in_graph) - blocked,
        issued_ids=set(answers),
    )


def scope_of(config: RunnableConfig | None) -> ThinkScope | None:
    found = (config or {}).get("configurable", {}).get(CONFIG_KEY)
    return found if isinstance(found, ThinkScope) else None


def _tightest(a: int, b: int) -> int:
    return min(a, b) if a > 0 and b > 0 else max(a, b, 0)
