from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from openeaap._proto import runtime_pb2 as pb
from openeaap.plugin.agent import Agent
from openeaap.plugin.json_text import NoJson
from openeaap.plugin.offer import Offer
from openeaap.plugin.secrets import Scrubber
from openeaap.plugin.step import Step
from openeaap.plugin.step_failed import ErrorCode, StepFailed
from openeaap.plugin.step_outcome import failed_step, to_step_failed
from openeaap.plugin.think import Constraints, Proposal, ProposedCall, ThinkResult
from openeaap.plugin.think_context import ThinkContext
from openeaap.plugin.wire import from_think_request, to_think_response

GATEWAY_URL = "OPENEAAP_GATEWAY_URL"
MODEL_TOKEN = "OPENEAAP_MODEL_TOKEN"


async def execute_think(offer: Offer, request: pb.ExecuteStepRequest, step: Step) -> pb.ExecuteStepResponse:
    """One think. Raises nothing but the cancellation of the step."""
    started = time.monotonic()
    ctx = _context(request, step)
    try:
        agent = offer.agent_named(request.agent.entrypoint)
        think = from_think_request(request)
        result = _checked(agent, await step.call(agent.think, [think, ctx], {}), think.constraints)
        duration_ms = round((time.monotonic() - started) * 1_000)
        measured = dataclasses.replace(result, metadata={"duration_ms": duration_ms, **result.metadata})
        return _to_response(agent, measured, step.max_response_bytes)
    except (asyncio.CancelledError, GeneratorExit):
        raise
    except BaseException as error:  # noqa: BLE001 - the user's code may raise anything
        what = request.agent.entrypoint or "The agent"
        # The gateway's address is no secret, and people need it in a message.
        secret = {name: value for name, value in request.ephemeral_credentials.items() if name != GATEWAY_URL}
        return failed_step(to_step_failed(what, error, ctx.log), Scrubber(secret))


def _context(request: pb.ExecuteStepRequest, step: Step) -> ThinkContext:
    return ThinkContext(
        gateway_url=request.ephemeral_credentials.get(GATEWAY_URL, ""),
        model_token=request.ephemeral_credentials.get(MODEL_TOKEN, ""),
        trace_context=dict(request.trace_context),
        deadline=step.deadline,
        cancellation=step.cancellation,
        emit=step.emit,
        run_id=request.run_id,
        step_id=request.step_id,
        agent=request.agent.entrypoint,
    )


def _checked(agent: Agent, returned: Any, constraints: Constraints) -> ThinkResult:
    result = ThinkResult(returned) if isinstance(returned, Proposal) else returned
    if not isinstance(result, ThinkResult) or not isinstance(result.proposal, Proposal):
        raise _broken(agent, f"returned a {type(returned).__name__}; return a Proposal or a ThinkResult")
    proposal = result.proposal
    if proposal.calls and proposal.finishes:
        raise _broken(agent, "proposed calls and an output; it is one or the other")
    if not proposal.calls and not proposal.finishes and not proposal.thought:
        raise StepFailed(ErrorCode.MODEL_INVALID_OUTPUT, "There was neither a tool call, nor an output, nor a thought.")
    for call in proposal.calls:
        if call.tool in constraints.blocked_tools:
            raise StepFailed(ErrorCode.CONSTRAINT_VIOLATED, f"{call.tool} was proposed and is blocked in this run.")
        if not isinstance(call.args, (str, Mapping, BaseModel)):
            raise _broken(agent, f"proposed {call.tool} with arguments that are a {type(call.args).__name__}; they are a JSON object")
    calls = list(_numbered(proposal.calls))
    if len({call.id for call in calls}) < len(calls):
        raise _broken(agent, "proposed two calls with the same id; ids are unique within a think")
    return dataclasses.replace(result, proposal=dataclasses.replace(proposal, calls=calls))


def _numbered(calls: Any) -> Iterator[ProposedCall]:
    """Gives calls without an id the next free number."""
    taken = {call.id for call in calls}
    free = (name for name in (f"call_{number}" for number in range(1, 2 * len(calls) + 1)) if name not in taken)
    for call in calls:
        yield call if call.id else dataclasses.replace(call, id=next(free))


def _to_response(agent: Agent, result: ThinkResult, limit_bytes: int) -> pb.ExecuteStepResponse:
    try:
        response = to_think_response(result)
    except NoJson as error:
        raise _broken(agent, f"answered with {error}") from error
    if response.ByteSize() > limit_bytes:
        raise _broken(agent, f"answered with {response.ByteSize()} bytes; the platform receives {limit_bytes}")
    return response


def _broken(agent: Agent, what: str) -> StepFailed:
    return StepFailed(ErrorCode.INTERNAL, f"Agent {agent.name} {what}.")
