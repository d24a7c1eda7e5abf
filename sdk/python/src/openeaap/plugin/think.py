"""What an agent is given and what it answers: plain data, and nothing of gRPC."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Literal

from openeaap.plugin.step_failed import ErrorCode

Effect = Literal["read", "write", "egress", "destructive"]


class Unset(Enum):
    """Tells "no output yet" from an output that is null."""

    UNSET = "UNSET"

    def __repr__(self) -> str:
        return "UNSET"

    def __bool__(self) -> bool:
        return False


UNSET = Unset.UNSET


@dataclass(frozen=True)
class ProposedCall:
    """A tool call that an agent wants; the platform decides about it and has it made.

    ``id`` is unique within the think; "" has the worker number it. ``args`` is a JSON object. Text
    that a model meant as one and that is no JSON may be passed on as it is: the platform tells
    the agent at the next think, and in the journal it is found as that text.
    """

    id: str
    tool: str
    args: Any = field(default_factory=dict)


@dataclass(frozen=True)
class Proposal:
    """What a think leads to: calls, or an output that ends the run, never both.

    Neither, with a thought: the agent is asked again.
    """

    thought: str = ""
    calls: Sequence[ProposedCall] = ()
    output: Any = UNSET

    @classmethod
    def finish(cls, output: Any, thought: str = "") -> Proposal:
        """Ends the run with this output: any JSON value, a pydantic model, a dataclass."""
        return cls(thought=thought, output=output)

    @classmethod
    def call(
        cls, tool: str, args: Mapping[str, Any] | str, thought: str = "", id: str | None = None
    ) -> Proposal:
        """Proposes one call."""
        return cls(thought=thought, calls=[ProposedCall(id or "call_1", tool, args)])

    @property
    def finishes(self) -> bool:
        return self.output is not UNSET


@dataclass(frozen=True)
class StepErrorInfo:
    """Why an earlier step failed. Do better this time."""

    code: ErrorCode
    message: str
    retryable: bool = False


@dataclass(frozen=True)
class ThinkEntry:
    """An earlier think of the run. ``proposal`` is None if it failed; then ``error`` says why."""

    no: int
    step_id: str
    proposal: Proposal | None
    error: StepErrorInfo | None = None
    state: Any = None


@dataclass(frozen=True)
class ActEntry:
    """An earlier tool call of the run.

    ``args`` are those that were run, maybe an approver's edit of what was proposed. ``status``:
    invalid, denied, done, failed, rejected, expired, dry_run. ``observation``: what the agent is
    to see of it, ``{"output": ...}`` or ``{"error": {"code": ..., "message": ...}}``.
    """

    no: int
    step_id: str
    call_id: str
    tool: str
    args: Any
    status: str
    observation: dict[str, Any]
    think_no: int


@dataclass(frozen=True)
class ToolInfo:
    """A tool that may be proposed."""

    name: str
    version: str
    description: str
    input_schema: dict[str, Any]
    effect: Effect


@dataclass(frozen=True)
class Model:
    """What to ask the gateway for. ``name`` "" is its default."""

    name: str = ""
    temperature: float = 0.0
    max_tokens: int = 0
    """Most completion tokens of one think; 0: not said."""
    tool_calling: str = "native"
    """native: the model calls tools by the API; text: by the ReAct text form."""


@dataclass(frozen=True)
class AgentConfiguration:
    """The agent as the platform has it configured."""

    name: str = ""
    version: str = ""
    entrypoint: str = ""
    reasoning: str = ""
    system_prompt: str = ""
    model: Model = field(default_factory=Model)
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Constraints:
    """What must not happen. The platform enforces it whatever a plugin does."""

    blocked_tools: frozenset[str] = frozenset()
    dry_run: bool = False
    max_tokens: int = 0
    """Most completion tokens of this step; 0: no limit."""


@dataclass(frozen=True)
class Principal:
    """On whose behalf. ``clearance``: 1 public, 2 internal, 3 confidential; 0: not said."""

    user_id: str = ""
    groups: tuple[str, ...] = ()
    clearance: int = 0


@dataclass(frozen=True)
class ThinkRequest:
    """All that is known of a run. A worker remembers nothing between two steps: this is the memory."""

    run_id: str
    step_id: str
    step_no: int
    tenant_id: str
    agent_id: str
    input: Any
    journal: list[ThinkEntry | ActEntry] = field(default_factory=list)
    tools: list[ToolInfo] = field(default_factory=list)
    agent: AgentConfiguration = field(default_factory=AgentConfiguration)
    principal: Principal = field(default_factory=Principal)
    constraints: Constraints = field(default_factory=Constraints)
    state: Any = None
    """What the newest think that returned a state returned, or None."""


@dataclass(frozen=True)
class ToolCallLog:
    """A tool call that an agent made by itself. The platform stores it as a claim, not as proof."""

    id: str
    tool: str
    input: Any
    output: Any = None
    status: Literal["done", "failed"] = "done"
    started_at_unix_ms: int = 0
    duration_ms: int = 0


@dataclass(frozen=True)
class ThinkResult:
    """A proposal and what goes with it.

    ``state`` is a small JSON value that the next think finds again; None keeps the one before.
    ``metadata``: what the step cost, as the agent saw it: prompt_tokens, completion_tokens, model.
    """

    proposal: Proposal
    state: Any = None
    audit_logs: Sequence[ToolCallLog] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)
