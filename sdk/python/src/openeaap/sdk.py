"""For authors of tools and agents: ``from openeaap.sdk import tool, ToolContext``."""

from openeaap.plugin.agent import Agent, agent
from openeaap.plugin.secrets import Secrets
from openeaap.plugin.step_failed import ErrorCode, StepFailed, ToolError, ToolUnavailable
from openeaap.plugin.think import (
    UNSET,
    ActEntry,
    AgentConfiguration,
    Constraints,
    Effect,
    Model,
    Principal,
    Proposal,
    ProposedCall,
    StepErrorInfo,
    ThinkEntry,
    ThinkRequest,
    ThinkResult,
    ToolCallLog,
    ToolInfo,
)
from openeaap.plugin.think_context import ThinkContext
from openeaap.plugin.tool import Tool, tool
from openeaap.plugin.tool_context import ToolContext
from openeaap.plugin.tool_result import Lineage, ToolResult
from openeaap.plugin.worker import Worker
from openeaap.plugin.worker_config import ConfigError

__all__ = [
    "UNSET",
    "ActEntry",
    "Agent",
    "AgentConfiguration",
    "ConfigError",
    "Constraints",
    "Effect",
    "ErrorCode",
    "Lineage",
    "Model",
    "Principal",
    "Proposal",
    "ProposedCall",
    "Secrets",
    "StepErrorInfo",
    "StepFailed",
    "ThinkContext",
    "ThinkEntry",
    "ThinkRequest",
    "ThinkResult",
    "Tool",
    "ToolCallLog",
    "ToolContext",
    "ToolError",
    "ToolInfo",
    "ToolResult",
    "ToolUnavailable",
    "Worker",
    "agent",
    "tool",
]
