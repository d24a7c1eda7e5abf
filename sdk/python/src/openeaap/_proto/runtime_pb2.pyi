from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ToolEffect(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TOOL_EFFECT_UNSPECIFIED: _ClassVar[ToolEffect]
    TOOL_EFFECT_READ: _ClassVar[ToolEffect]
    TOOL_EFFECT_WRITE: _ClassVar[ToolEffect]
    TOOL_EFFECT_EGRESS: _ClassVar[ToolEffect]
    TOOL_EFFECT_DESTRUCTIVE: _ClassVar[ToolEffect]

class StepKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    STEP_KIND_UNSPECIFIED: _ClassVar[StepKind]
    STEP_KIND_THINK: _ClassVar[StepKind]
    STEP_KIND_TOOL: _ClassVar[StepKind]

class ErrorCode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ERROR_CODE_UNSPECIFIED: _ClassVar[ErrorCode]
    ERROR_CODE_INVALID_INPUT: _ClassVar[ErrorCode]
    ERROR_CODE_TOOL_FAILED: _ClassVar[ErrorCode]
    ERROR_CODE_TOOL_UNAVAILABLE: _ClassVar[ErrorCode]
    ERROR_CODE_MODEL_UNAVAILABLE: _ClassVar[ErrorCode]
    ERROR_CODE_MODEL_INVALID_OUTPUT: _ClassVar[ErrorCode]
    ERROR_CODE_MODEL_REJECTED: _ClassVar[ErrorCode]
    ERROR_CODE_CANCELLED: _ClassVar[ErrorCode]
    ERROR_CODE_CONSTRAINT_VIOLATED: _ClassVar[ErrorCode]
    ERROR_CODE_OVERLOADED: _ClassVar[ErrorCode]
    ERROR_CODE_INTERNAL: _ClassVar[ErrorCode]
TOOL_EFFECT_UNSPECIFIED: ToolEffect
TOOL_EFFECT_READ: ToolEffect
TOOL_EFFECT_WRITE: ToolEffect
TOOL_EFFECT_EGRESS: ToolEffect
TOOL_EFFECT_DESTRUCTIVE: ToolEffect
STEP_KIND_UNSPECIFIED: StepKind
STEP_KIND_THINK: StepKind
STEP_KIND_TOOL: StepKind
ERROR_CODE_UNSPECIFIED: ErrorCode
ERROR_CODE_INVALID_INPUT: ErrorCode
ERROR_CODE_TOOL_FAILED: ErrorCode
ERROR_CODE_TOOL_UNAVAILABLE: ErrorCode
ERROR_CODE_MODEL_UNAVAILABLE: ErrorCode
ERROR_CODE_MODEL_INVALID_OUTPUT: ErrorCode
ERROR_CODE_MODEL_REJECTED: ErrorCode
ERROR_CODE_CANCELLED: ErrorCode
ERROR_CODE_CONSTRAINT_VIOLATED: ErrorCode
ERROR_CODE_OVERLOADED: ErrorCode
ERROR_CODE_INTERNAL: ErrorCode

class HandshakeRequest(_message.Message):
    __slots__ = ("protocol_versions", "control_plane_version", "plugin_name", "max_message_bytes")
    PROTOCOL_VERSIONS_FIELD_NUMBER: _ClassVar[int]
    CONTROL_PLANE_VERSION_FIELD_NUMBER: _ClassVar[int]
    PLUGIN_NAME_FIELD_NUMBER: _ClassVar[int]
    MAX_MESSAGE_BYTES_FIELD_NUMBER: _ClassVar[int]
    protocol_versions: _containers.RepeatedScalarFieldContainer[int]
    control_plane_version: str
    plugin_name: str
    max_message_bytes: int
    def __init__(self, protocol_versions: _Optional[_Iterable[int]] = ..., control_plane_version: _Optional[str] = ..., plugin_name: _Optional[str] = ..., max_message_bytes: _Optional[int] = ...) -> None: ...

class HandshakeResponse(_message.Message):
    __slots__ = ("protocol_version", "protocol_versions", "name", "version", "sdk", "tools", "agents", "streaming", "max_message_bytes", "max_concurrent_steps")
    PROTOCOL_VERSION_FIELD_NUMBER: _ClassVar[int]
    PROTOCOL_VERSIONS_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    SDK_FIELD_NUMBER: _ClassVar[int]
    TOOLS_FIELD_NUMBER: _ClassVar[int]
    AGENTS_FIELD_NUMBER: _ClassVar[int]
    STREAMING_FIELD_NUMBER: _ClassVar[int]
    MAX_MESSAGE_BYTES_FIELD_NUMBER: _ClassVar[int]
    MAX_CONCURRENT_STEPS_FIELD_NUMBER: _ClassVar[int]
    protocol_version: int
    protocol_versions: _containers.RepeatedScalarFieldContainer[int]
    name: str
    version: str
    sdk: Sdk
    tools: _containers.RepeatedCompositeFieldContainer[ToolSpec]
    agents: _containers.RepeatedCompositeFieldContainer[AgentSpec]
    streaming: bool
    max_message_bytes: int
    max_concurrent_steps: int
    def __init__(self, protocol_version: _Optional[int] = ..., protocol_versions: _Optional[_Iterable[int]] = ..., name: _Optional[str] = ..., version: _Optional[str] = ..., sdk: _Optional[_Union[Sdk, _Mapping]] = ..., tools: _Optional[_Iterable[_Union[ToolSpec, _Mapping]]] = ..., agents: _Optional[_Iterable[_Union[AgentSpec, _Mapping]]] = ..., streaming: bool = ..., max_message_bytes: _Optional[int] = ..., max_concurrent_steps: _Optional[int] = ...) -> None: ...

class Sdk(_message.Message):
    __slots__ = ("language", "version")
    LANGUAGE_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    language: str
    version: str
    def __init__(self, language: _Optional[str] = ..., version: _Optional[str] = ...) -> None: ...

class ToolSpec(_message.Message):
    __slots__ = ("name", "version", "description", "input_schema", "output_schema", "effect", "idempotent", "timeout_ms", "secrets", "untrusted_output")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    INPUT_SCHEMA_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_SCHEMA_FIELD_NUMBER: _ClassVar[int]
    EFFECT_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENT_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_MS_FIELD_NUMBER: _ClassVar[int]
    SECRETS_FIELD_NUMBER: _ClassVar[int]
    UNTRUSTED_OUTPUT_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: str
    description: str
    input_schema: str
    output_schema: str
    effect: ToolEffect
    idempotent: bool
    timeout_ms: int
    secrets: _containers.RepeatedScalarFieldContainer[str]
    untrusted_output: bool
    def __init__(self, name: _Optional[str] = ..., version: _Optional[str] = ..., description: _Optional[str] = ..., input_schema: _Optional[str] = ..., output_schema: _Optional[str] = ..., effect: _Optional[_Union[ToolEffect, str]] = ..., idempotent: bool = ..., timeout_ms: _Optional[int] = ..., secrets: _Optional[_Iterable[str]] = ..., untrusted_output: bool = ...) -> None: ...

class AgentSpec(_message.Message):
    __slots__ = ("name", "description", "reasoning_modes")
    NAME_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    REASONING_MODES_FIELD_NUMBER: _ClassVar[int]
    name: str
    description: str
    reasoning_modes: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, name: _Optional[str] = ..., description: _Optional[str] = ..., reasoning_modes: _Optional[_Iterable[str]] = ...) -> None: ...

class ExecuteStepRequest(_message.Message):
    __slots__ = ("run_id", "step_id", "agent_id", "trace_context", "input_payload", "ephemeral_credentials", "constraints", "kind", "tenant_id", "step_no", "tool", "idempotency_key", "principal", "agent", "tools", "journal")
    class TraceContextEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    class EphemeralCredentialsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    STEP_ID_FIELD_NUMBER: _ClassVar[int]
    AGENT_ID_FIELD_NUMBER: _ClassVar[int]
    TRACE_CONTEXT_FIELD_NUMBER: _ClassVar[int]
    INPUT_PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    EPHEMERAL_CREDENTIALS_FIELD_NUMBER: _ClassVar[int]
    CONSTRAINTS_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    STEP_NO_FIELD_NUMBER: _ClassVar[int]
    TOOL_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    PRINCIPAL_FIELD_NUMBER: _ClassVar[int]
    AGENT_FIELD_NUMBER: _ClassVar[int]
    TOOLS_FIELD_NUMBER: _ClassVar[int]
    JOURNAL_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    step_id: str
    agent_id: str
    trace_context: _containers.ScalarMap[str, str]
    input_payload: str
    ephemeral_credentials: _containers.ScalarMap[str, str]
    constraints: GovernanceConstraints
    kind: StepKind
    tenant_id: str
    step_no: int
    tool: str
    idempotency_key: str
    principal: Principal
    agent: AgentConfiguration
    tools: _containers.RepeatedCompositeFieldContainer[ToolSpec]
    journal: _containers.RepeatedCompositeFieldContainer[JournalStep]
    def __init__(self, run_id: _Optional[str] = ..., step_id: _Optional[str] = ..., agent_id: _Optional[str] = ..., trace_context: _Optional[_Mapping[str, str]] = ..., input_payload: _Optional[str] = ..., ephemeral_credentials: _Optional[_Mapping[str, str]] = ..., constraints: _Optional[_Union[GovernanceConstraints, _Mapping]] = ..., kind: _Optional[_Union[StepKind, str]] = ..., tenant_id: _Optional[str] = ..., step_no: _Optional[int] = ..., tool: _Optional[str] = ..., idempotency_key: _Optional[str] = ..., principal: _Optional[_Union[Principal, _Mapping]] = ..., agent: _Optional[_Union[AgentConfiguration, _Mapping]] = ..., tools: _Optional[_Iterable[_Union[ToolSpec, _Mapping]]] = ..., journal: _Optional[_Iterable[_Union[JournalStep, _Mapping]]] = ...) -> None: ...

class GovernanceConstraints(_message.Message):
    __slots__ = ("blocked_tools", "dry_run", "max_tokens")
    BLOCKED_TOOLS_FIELD_NUMBER: _ClassVar[int]
    DRY_RUN_FIELD_NUMBER: _ClassVar[int]
    MAX_TOKENS_FIELD_NUMBER: _ClassVar[int]
    blocked_tools: _containers.RepeatedScalarFieldContainer[str]
    dry_run: bool
    max_tokens: int
    def __init__(self, blocked_tools: _Optional[_Iterable[str]] = ..., dry_run: bool = ..., max_tokens: _Optional[int] = ...) -> None: ...

class Principal(_message.Message):
    __slots__ = ("user_id", "groups", "clearance")
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    GROUPS_FIELD_NUMBER: _ClassVar[int]
    CLEARANCE_FIELD_NUMBER: _ClassVar[int]
    user_id: str
    groups: _containers.RepeatedScalarFieldContainer[str]
    clearance: int
    def __init__(self, user_id: _Optional[str] = ..., groups: _Optional[_Iterable[str]] = ..., clearance: _Optional[int] = ...) -> None: ...

class AgentConfiguration(_message.Message):
    __slots__ = ("name", "version", "entrypoint", "reasoning", "system_prompt", "model", "settings")
    class Model(_message.Message):
        __slots__ = ("name", "temperature", "max_tokens", "tool_calling")
        NAME_FIELD_NUMBER: _ClassVar[int]
        TEMPERATURE_FIELD_NUMBER: _ClassVar[int]
        MAX_TOKENS_FIELD_NUMBER: _ClassVar[int]
        TOOL_CALLING_FIELD_NUMBER: _ClassVar[int]
        name: str
        temperature: float
        max_tokens: int
        tool_calling: str
        def __init__(self, name: _Optional[str] = ..., temperature: _Optional[float] = ..., max_tokens: _Optional[int] = ..., tool_calling: _Optional[str] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    ENTRYPOINT_FIELD_NUMBER: _ClassVar[int]
    REASONING_FIELD_NUMBER: _ClassVar[int]
    SYSTEM_PROMPT_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    SETTINGS_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: str
    entrypoint: str
    reasoning: str
    system_prompt: str
    model: AgentConfiguration.Model
    settings: str
    def __init__(self, name: _Optional[str] = ..., version: _Optional[str] = ..., entrypoint: _Optional[str] = ..., reasoning: _Optional[str] = ..., system_prompt: _Optional[str] = ..., model: _Optional[_Union[AgentConfiguration.Model, _Mapping]] = ..., settings: _Optional[str] = ...) -> None: ...

class JournalStep(_message.Message):
    __slots__ = ("no", "step_id", "think", "act")
    class Think(_message.Message):
        __slots__ = ("proposal", "error", "strategy_state")
        PROPOSAL_FIELD_NUMBER: _ClassVar[int]
        ERROR_FIELD_NUMBER: _ClassVar[int]
        STRATEGY_STATE_FIELD_NUMBER: _ClassVar[int]
        proposal: Proposal
        error: StepError
        strategy_state: str
        def __init__(self, proposal: _Optional[_Union[Proposal, _Mapping]] = ..., error: _Optional[_Union[StepError, _Mapping]] = ..., strategy_state: _Optional[str] = ...) -> None: ...
    class Act(_message.Message):
        __slots__ = ("call_id", "tool", "args", "status", "observation", "think_no")
        CALL_ID_FIELD_NUMBER: _ClassVar[int]
        TOOL_FIELD_NUMBER: _ClassVar[int]
        ARGS_FIELD_NUMBER: _ClassVar[int]
        STATUS_FIELD_NUMBER: _ClassVar[int]
        OBSERVATION_FIELD_NUMBER: _ClassVar[int]
        THINK_NO_FIELD_NUMBER: _ClassVar[int]
        call_id: str
        tool: str
        args: str
        status: str
        observation: str
        think_no: int
        def __init__(self, call_id: _Optional[str] = ..., tool: _Optional[str] = ..., args: _Optional[str] = ..., status: _Optional[str] = ..., observation: _Optional[str] = ..., think_no: _Optional[int] = ...) -> None: ...
    NO_FIELD_NUMBER: _ClassVar[int]
    STEP_ID_FIELD_NUMBER: _ClassVar[int]
    THINK_FIELD_NUMBER: _ClassVar[int]
    ACT_FIELD_NUMBER: _ClassVar[int]
    no: int
    step_id: str
    think: JournalStep.Think
    act: JournalStep.Act
    def __init__(self, no: _Optional[int] = ..., step_id: _Optional[str] = ..., think: _Optional[_Union[JournalStep.Think, _Mapping]] = ..., act: _Optional[_Union[JournalStep.Act, _Mapping]] = ...) -> None: ...

class Proposal(_message.Message):
    __slots__ = ("thought", "calls", "output")
    THOUGHT_FIELD_NUMBER: _ClassVar[int]
    CALLS_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    thought: str
    calls: _containers.RepeatedCompositeFieldContainer[ProposedCall]
    output: str
    def __init__(self, thought: _Optional[str] = ..., calls: _Optional[_Iterable[_Union[ProposedCall, _Mapping]]] = ..., output: _Optional[str] = ...) -> None: ...

class ProposedCall(_message.Message):
    __slots__ = ("id", "tool", "args")
    ID_FIELD_NUMBER: _ClassVar[int]
    TOOL_FIELD_NUMBER: _ClassVar[int]
    ARGS_FIELD_NUMBER: _ClassVar[int]
    id: str
    tool: str
    args: str
    def __init__(self, id: _Optional[str] = ..., tool: _Optional[str] = ..., args: _Optional[str] = ...) -> None: ...

class ExecuteStepResponse(_message.Message):
    __slots__ = ("output_payload", "audit_logs", "metadata", "proposal", "strategy_state", "lineage", "error")
    class MetadataEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    OUTPUT_PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    AUDIT_LOGS_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    PROPOSAL_FIELD_NUMBER: _ClassVar[int]
    STRATEGY_STATE_FIELD_NUMBER: _ClassVar[int]
    LINEAGE_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    output_payload: str
    audit_logs: _containers.RepeatedCompositeFieldContainer[ToolCall]
    metadata: _containers.ScalarMap[str, str]
    proposal: Proposal
    strategy_state: str
    lineage: _containers.RepeatedCompositeFieldContainer[LineageRef]
    error: StepError
    def __init__(self, output_payload: _Optional[str] = ..., audit_logs: _Optional[_Iterable[_Union[ToolCall, _Mapping]]] = ..., metadata: _Optional[_Mapping[str, str]] = ..., proposal: _Optional[_Union[Proposal, _Mapping]] = ..., strategy_state: _Optional[str] = ..., lineage: _Optional[_Iterable[_Union[LineageRef, _Mapping]]] = ..., error: _Optional[_Union[StepError, _Mapping]] = ...) -> None: ...

class ToolCall(_message.Message):
    __slots__ = ("id", "tool", "input_payload", "output_payload", "status", "started_at_unix_ms", "duration_ms")
    ID_FIELD_NUMBER: _ClassVar[int]
    TOOL_FIELD_NUMBER: _ClassVar[int]
    INPUT_PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_UNIX_MS_FIELD_NUMBER: _ClassVar[int]
    DURATION_MS_FIELD_NUMBER: _ClassVar[int]
    id: str
    tool: str
    input_payload: str
    output_payload: str
    status: str
    started_at_unix_ms: int
    duration_ms: int
    def __init__(self, id: _Optional[str] = ..., tool: _Optional[str] = ..., input_payload: _Optional[str] = ..., output_payload: _Optional[str] = ..., status: _Optional[str] = ..., started_at_unix_ms: _Optional[int] = ..., duration_ms: _Optional[int] = ...) -> None: ...

class LineageRef(_message.Message):
    __slots__ = ("chunk_id", "title", "source", "score")
    CHUNK_ID_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    chunk_id: str
    title: str
    source: str
    score: float
    def __init__(self, chunk_id: _Optional[str] = ..., title: _Optional[str] = ..., source: _Optional[str] = ..., score: _Optional[float] = ...) -> None: ...

class StepError(_message.Message):
    __slots__ = ("code", "message", "retryable")
    CODE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    RETRYABLE_FIELD_NUMBER: _ClassVar[int]
    code: ErrorCode
    message: str
    retryable: bool
    def __init__(self, code: _Optional[_Union[ErrorCode, str]] = ..., message: _Optional[str] = ..., retryable: bool = ...) -> None: ...

class ExecuteStepEvent(_message.Message):
    __slots__ = ("delta", "response")
    DELTA_FIELD_NUMBER: _ClassVar[int]
    RESPONSE_FIELD_NUMBER: _ClassVar[int]
    delta: str
    response: ExecuteStepResponse
    def __init__(self, delta: _Optional[str] = ..., response: _Optional[_Union[ExecuteStepResponse, _Mapping]] = ...) -> None: ...

class HealthCheckRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class HealthCheckResponse(_message.Message):
    __slots__ = ("serving", "detail")
    SERVING_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    serving: bool
    detail: str
    def __init__(self, serving: bool = ..., detail: _Optional[str] = ...) -> None: ...
