"""What the API answers. Fields that a later server adds are kept; see model_extra."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Generic, TypeVar, Union

from pydantic import BaseModel, ConfigDict, Field

from openeaap.client.errors import RunNotCompleted

TERMINAL_STATUSES = frozenset({"completed", "failed", "cancelled"})


class View(BaseModel):
    model_config = ConfigDict(frozen=True, extra="allow", protected_namespaces=())


T = TypeVar("T")


class Page(View, Generic[T]):
    items: list[T]
    next_cursor: str | None = None
    """Of the next page; None: this is the last."""


class Usage(View):
    prompt_tokens: int
    completion_tokens: int
    cost_usd: float


class LineageRef(View):
    chunk_id: str
    title: str
    source: str
    score: float


class RunError(View):
    code: str
    message: str
    fallback_text: str | None = None


class RunCreated(View):
    run_id: str
    status: str
    trace_id: str
    agent_id: str
    agent_version: str
    created_at: datetime
    start_at: datetime | None = None
    replayed: bool = False
    """The idempotency key was seen before with the same request; this is that run."""


class Run(View):
    run_id: str
    agent_id: str
    agent_name: str
    agent_version: str
    policy_version: str
    user_id: str
    trace_id: str
    status: str
    """pending, running, paused, completed, failed or cancelled."""
    priority: str
    pause_reason: str | None = None
    input: Any = None
    output: Any = None
    error: RunError | None = None
    source: str
    step_count: int
    last_seq: int
    usage: Usage
    lineage: list[LineageRef] = Field(default_factory=list)
    pending_approvals: list[str] = Field(default_factory=list)
    start_at: datetime | None = None
    cancel_requested_at: datetime | None = None
    created_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None

    @property
    def ended(self) -> bool:
        return self.status in TERMINAL_STATUSES

    def result(self) -> Any:
        """The output. Raises RunNotCompleted with the run's own error."""
        if self.status == "completed":
            return self.output
        why = f": {self.error.message}" if self.error else "."
        raise RunNotCompleted(f"Run {self.run_id} is {self.status}{why}", self.error.code if self.error else self.status)


class Decision(View):
    effect: str
    rule: str
    reason: str
    policy_version: str


class StepError(View):
    code: str
    message: str


class StepCall(View):
    id: str
    tool: str
    args: Any = None
    malformed: str | None = None


class ThinkStep(View):
    no: int
    kind: str
    status: str
    thought: str | None = None
    calls: list[StepCall] = Field(default_factory=list)
    output: Any = None
    usage: Usage
    model: str
    decision: Decision
    error: StepError | None = None
    started_at: datetime
    finished_at: datetime | None = None


class ActStep(View):
    no: int
    kind: str
    think_no: int
    call_id: str
    tool: str
    args: Any = None
    status: str
    decision: Decision | None = None
    approval_id: str | None = None
    result: Any = None
    suspicious: bool = False
    error: StepError | None = None
    attempts: int
    lineage: list[LineageRef] = Field(default_factory=list)
    started_at: datetime
    finished_at: datetime | None = None


Step = Union[ThinkStep, ActStep]
Steps = list[Step]


class RunEvent(View):
    """An event of a run. A preview of text (``step_delta``) has no ``seq`` and is not stored."""

    seq: int | None = None
    type: str
    data: Any = None
    at: datetime | None = None
    """When it happened; None for an event of a stream, which comes as it happens."""

    @property
    def final(self) -> bool:
        return self.type in ("run_completed", "run_failed", "run_cancelled")


class ApprovalVote(View):
    voter: str
    verdict: str
    call_hash: str
    counts: bool
    comment: str | None = None
    at: datetime


class Approval(View):
    approval_id: str
    run_id: str
    step_no: int
    kind: str
    """gate: a call waits for a permission. uncertain: a call may have been made already."""
    tool: str
    args: Any = None
    edited_args: Any = None
    call_hash: str
    """Of the call that waits. Deciding with this object decides about this call and no other."""
    rule: str
    reason: str
    approvers: list[str]
    min_approvals: int
    approvals_given: int
    votes: list[ApprovalVote] = Field(default_factory=list)
    requester: str
    policy_version: str
    status: str
    verdict: str | None = None
    decided_by: str | None = None
    decided_at: datetime | None = None
    comment: str | None = None
    created_at: datetime
    expires_at: datetime
    allowed_verdicts: list[str] = Field(default_factory=list)


class AgentModel(View):
    name: str
    temperature: float
    max_tokens: int
    tool_calling: str


class AgentSettings(View):
    description: str
    runtime: str
    entrypoint: str = ""
    settings: Any = None
    reasoning: str
    system_prompt: str
    tools: list[str]
    model: AgentModel
    max_steps: int
    think_timeout_ms: int
    dry_run: bool
    fallback_text: str


class AgentVersion(View):
    agent_id: str
    name: str
    version: str
    status: str
    configuration: AgentSettings
    created_at: datetime
    updated_at: datetime
    current: bool
    """What the bare name means."""


class ToolView(View):
    name: str
    version: str
    plugin: str
    description: str
    input_schema: Any = None
    effect: str
    idempotent: bool
    timeout_ms: int
    untrusted_output: bool


class PluginCopies(View):
    ready: int
    wanted: int
    restarts: int = 0


class PluginView(View):
    name: str
    version: str
    """Of the plugin itself; "" until it has answered once."""
    kind: str
    status: str
    """ready, degraded, starting, sick, incompatible, refused, conflict or down."""
    detail: str
    """Why, and the cure."""
    source: str = "built-in"
    """built-in, file or api."""
    sdk: str = ""
    copies: PluginCopies | None = None
    """On the node that answers."""
    tools: list[str] = Field(default_factory=list)
    agents: list[str] = Field(default_factory=list)
    """Entrypoints that an agent of the platform may name."""
    warnings: list[str] = Field(default_factory=list)


class Feedback(View):
    feedback_id: str
    preference_pair_id: str | None = None
    """The pair that a correction became."""
