"""The plugin protocol's messages to the data of this package, and back. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

from openeaap._proto import runtime_pb2 as pb
from openeaap.plugin.agent import Agent
from openeaap.plugin.json_text import json_or_text, parse_json_field, parse_json_object, to_json_text
from openeaap.plugin.step_failed import ErrorCode, StepFailed
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
from openeaap.plugin.tool import Tool

_EFFECT_PREFIX = "TOOL_EFFECT_"
_CODE_PREFIX = "ERROR_CODE_"


def to_tool_spec(tool: Tool[..., Any]) -> pb.ToolSpec:
    return pb.ToolSpec(
        name=tool.name,
        version=tool.version,
        description=tool.description,
        input_schema=to_json_text(tool.input_schema),
        output_schema="" if tool.output_schema is None else to_json_text(tool.output_schema),
        effect=_EFFECT_PREFIX + tool.effect.upper(),
        idempotent=tool.idempotent,
        timeout_ms=0 if tool.timeout is None else round(tool.timeout * 1_000),
        secrets=tool.secrets,
        untrusted_output=tool.untrusted_output,
    )


def to_agent_spec(agent: Agent) -> pb.AgentSpec:
    return pb.AgentSpec(name=agent.name, description=agent.description, reasoning_modes=agent.reasoning_modes)


def from_think_request(request: pb.ExecuteStepRequest) -> ThinkRequest:
    """Raises StepFailed INVALID_INPUT, which names the field."""
    journal = [_from_journal_step(step) for step in request.journal]
    states = (entry.state for entry in reversed(journal) if isinstance(entry, ThinkEntry) and entry.state is not None)
    return ThinkRequest(
        run_id=request.run_id,
        step_id=request.step_id,
        step_no=request.step_no,
        tenant_id=request.tenant_id,
        agent_id=request.agent_id,
        input=parse_json_field(request.input_payload, "input_payload"),
        journal=journal,
        tools=[_from_tool_spec(spec) for spec in request.tools],
        agent=_from_agent_configuration(request.agent),
        principal=from_principal(request.principal),
        constraints=from_constraints(request.constraints),
        state=next(states, None),
    )


def from_principal(principal: pb.Principal) -> Principal:
    return Principal(user_id=principal.user_id, groups=tuple(principal.groups), clearance=principal.clearance)


def from_constraints(constraints: pb.GovernanceConstraints) -> Constraints:
    return Constraints(
        blocked_tools=frozenset(constraints.blocked_tools),
        dry_run=constraints.dry_run,
        max_tokens=constraints.max_tokens,
    )


def _from_agent_configuration(agent: pb.AgentConfiguration) -> AgentConfiguration:
    return AgentConfiguration(
        name=agent.name,
        version=agent.version,
        entrypoint=agent.entrypoint,
        reasoning=agent.reasoning,
        system_prompt=agent.system_prompt,
        model=Model(
            name=agent.model.name,
            temperature=agent.model.temperature,
            max_tokens=agent.model.max_tokens,
            tool_calling=agent.model.tool_calling or "native",
        ),
        settings=parse_json_object(agent.settings, "agent.settings"),
    )


def _from_tool_spec(spec: pb.ToolSpec) -> ToolInfo:
    empty: dict[str, Any] = {"type": "object", "properties": {}}
    return ToolInfo(
        name=spec.name,
        version=spec.version,
        description=spec.description,
        input_schema=parse_json_object(spec.input_schema, f"tools.{spec.name}.input_schema") if spec.input_schema else empty,
        effect=_from_effect(spec.effect),
    )


def _from_effect(effect: int) -> Effect:
    # An effect that is not said, or that a later version has, is taken for the usual one.
    name = pb.ToolEffect.Name(effect).removeprefix(_EFFECT_PREFIX).lower() if effect in pb.ToolEffect.values() else ""
    return cast(Effect, name) if name in ("read", "egress", "destructive") else "write"


def _from_journal_step(step: pb.JournalStep) -> ThinkEntry | ActEntry:
    if step.WhichOneof("step") == "act":
        act = step.act
        return ActEntry(
            no=step.no,
            step_id=step.step_id,
            call_id=act.call_id,
            tool=act.tool,
            args=json_or_text(act.args),
            status=act.status,
            observation=parse_json_object(act.observation, f"journal.{step.no}.observation"),
            think_no=act.think_no,
        )
    think = step.think
    return ThinkEntry(
        no=step.no,
        step_id=step.step_id,
        proposal=_from_proposal(think.proposal, step.no) if think.HasField("proposal") else None,
        error=_from_step_error(think.error) if think.HasField("error") else None,
        state=parse_json_field(think.strategy_state, f"journal.{step.no}.strategy_state"),
    )


def _from_proposal(proposal: pb.Proposal, no: int) -> Proposal:
    return Proposal(
        thought=proposal.thought,
        calls=[ProposedCall(call.id, call.tool, json_or_text(call.args)) for call in proposal.calls],
        output=parse_json_field(proposal.output, f"journal.{no}.output") if proposal.HasField("output") else UNSET,
    )


def _from_step_error(error: pb.StepError) -> StepErrorInfo:
    name = pb.ErrorCode.Name(error.code).removeprefix(_CODE_PREFIX) if error.code in pb.ErrorCode.values() else ""
    code = ErrorCode(name) if name in ErrorCode.__members__ else ErrorCode.INTERNAL
    return StepErrorInfo(code=code, message=error.message, retryable=error.retryable)


def to_step_error(error: StepFailed, message: str) -> pb.StepError:
    return pb.StepError(code=_CODE_PREFIX + error.code.value, message=message, retryable=error.retryable)


def to_think_response(result: ThinkResult) -> pb.ExecuteStepResponse:
    """Raises NoJson when a part of it is no JSON."""
    return pb.ExecuteStepResponse(
        proposal=_to_proposal(result.proposal),
        strategy_state="" if result.state is None else to_json_text(result.state),
        audit_logs=[_to_tool_call(call) for call in result.audit_logs],
        metadata=to_metadata(result.metadata.items()),
    )


def to_metadata(items: Iterable[tuple[str, Any]]) -> dict[str, str]:
    return {str(name): value if isinstance(value, str) else to_json_text(value) for name, value in items if value is not None}


def _to_proposal(proposal: Proposal) -> pb.Proposal:
    made = pb.Proposal(
        # A model's text may hold halves of surrogate pairs, which cannot be sent.
        thought=proposal.thought.encode("utf-8", "replace").decode("utf-8"),
        calls=[
            pb.ProposedCall(
                id=call.id or f"call_{index}",
                tool=call.tool,
                args=call.args if isinstance(call.args, str) else to_json_text(call.args),
            )
            for index, call in enumerate(proposal.calls, 1)
        ],
    )
    if proposal.finishes:
        made.output = to_json_text(proposal.output)
    return made


def _to_tool_call(call: ToolCallLog) -> pb.ToolCall:
    return pb.ToolCall(
        id=call.id,
        tool=call.tool,
        input_payload=to_json_text(call.input),
        output_payload=to_json_text(call.output),
        status=call.status,
        started_at_unix_ms=call.started_at_unix_ms,
        duration_ms=call.duration_ms,
    )
