from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from langchain_core.language_models import BaseChatModel
from langchain_core.tools import BaseTool
from openeaap.sdk import AgentConfiguration, Principal

from openeaap_langchain_bridge.stand_in_tool import StandInTool, stand_in_for

T = TypeVar("T")


@dataclass(frozen=True)
class BridgeContext:
    """What an agent is built with, anew for each think."""

    model: BaseChatModel
    """The platform's gateway, good for this think: ChatOpenAI with address, key, model and limits set."""
    tools: list[BaseTool]
    """The platform's tools that this run may use. Called in a graph they are proposed."""
    system_prompt: str
    settings: Mapping[str, Any]
    """Free settings of the agent on the platform."""
    input: Any
    """Of the run: any JSON value."""
    dry_run: bool
    blocked_tools: frozenset[str]
    max_tokens: int
    """Most completion tokens of this think; 0: no limit. ctx.model keeps it already."""
    agent: AgentConfiguration
    principal: Principal
    run_id: str = ""
    tenant_id: str = ""
    step_no: int = 0
    offered: frozenset[str] = field(default_factory=frozenset)
    """Names of ctx.tools."""

    def allowed(self, tools: Iterable[T]) -> list[T]:
        """Those of your tools that this run may use: for prompts that list tools as text."""
        return [tool for tool in tools if getattr(tool, "name", getattr(tool, "__name__", "")) in self.offered]

    def propose(self, tool: BaseTool) -> StandInTool:
        """For a node that calls a tool itself: invoke and ainvoke propose the call, and return its result when it is there."""
        return tool if isinstance(tool, StandInTool) else stand_in_for(tool)
