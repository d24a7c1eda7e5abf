from __future__ import annotations

import asyncio
from typing import Any

from pydantic import ValidationError

from openeaap._proto import runtime_pb2 as pb
from openeaap.plugin.json_text import NoJson, to_json_text
from openeaap.plugin.offer import Offer
from openeaap.plugin.secrets import Scrubber
from openeaap.plugin.step import Step
from openeaap.plugin.step_failed import ErrorCode, StepFailed
from openeaap.plugin.step_outcome import failed_step, to_step_failed
from openeaap.plugin.tool import Tool
from openeaap.plugin.tool_context import ToolContext
from openeaap.plugin.tool_result import ToolResult
from openeaap.plugin.wire import from_constraints, from_principal, to_metadata


async def execute_tool(offer: Offer, request: pb.ExecuteStepRequest, step: Step) -> pb.ExecuteStepResponse:
    """One tool call. Raises nothing but the cancellation of the step."""
    ctx = _context(request, step)
    try:
        tool = offer.tool_named(request.tool)
        _check_constraints(tool, request)
        args, kwargs = tool.arguments.bind(request.input_payload, ctx)
        returned = await step.call(tool.function, args, kwargs)
        return _to_response(tool, returned, step.max_response_bytes)
    except (asyncio.CancelledError, GeneratorExit):
        raise
    except BaseException as error:  # noqa: BLE001 - the user's code may raise anything
        return failed_step(to_step_failed(request.tool, error, ctx.log), Scrubber(ctx.secrets))


def _context(request: pb.ExecuteStepRequest, step: Step) -> ToolContext:
    return ToolContext(
        secrets=dict(request.ephemeral_credentials),
        idempotency_key=request.idempotency_key,
        run_id=request.run_id,
        step_id=request.step_id,
        step_no=request.step_no,
        tenant_id=request.tenant_id,
        agent_id=request.agent_id,
        tool=request.tool,
        principal=from_principal(request.principal),
        dry_run=request.constraints.dry_run,
        trace_context=dict(request.trace_context),
        deadline=step.deadline,
        cancellation=step.cancellation,
    )


def _check_constraints(tool: Tool[..., Any], request: pb.ExecuteStepRequest) -> None:
    constraints = from_constraints(request.constraints)
    if tool.name in constraints.blocked_tools:
        raise StepFailed(ErrorCode.CONSTRAINT_VIOLATED, f"{tool.name} is blocked in this run.")
    if constraints.dry_run and tool.effect != "read" and not tool.handles_dry_run:
        raise StepFailed(ErrorCode.CONSTRAINT_VIOLATED, f"This is a dry run, and {tool.name} has an effect ({tool.effect}). It was not called.")


def _to_response(tool: Tool[..., Any], returned: Any, limit_bytes: int) -> pb.ExecuteStepResponse:
    result = returned if isinstance(returned, ToolResult) else ToolResult(returned)
    response = pb.ExecuteStepResponse(
        output_payload=_output_text(tool, result.output),
        lineage=[
            pb.LineageRef(chunk_id=piece.chunk_id, title=piece.title, source=piece.source, score=piece.score)
            for piece in result.lineage
        ],
        metadata=to_metadata(result.metadata.items()),
    )
    size = response.ByteSize()
    if size > limit_bytes:
        # A tool that only reads certainly changed nothing; of any other the effect has happened.
        code = ErrorCode.TOOL_FAILED if tool.effect == "read" else ErrorCode.INTERNAL
        raise StepFailed(code, f"The result of {tool.name} has {size} bytes; the platform receives {limit_bytes}. Ask for less.")
    return response


def _output_text(tool: Tool[..., Any], output: Any) -> str:
    try:
        if tool.result_type is None:
            return to_json_text(output)
        checked = tool.result_type.validate_python(output)
        return tool.result_type.dump_json(checked, by_alias=True).decode()
    except ValidationError as error:
        problem = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(str(part) for part in problem["loc"]) or "the result"
        raise StepFailed(ErrorCode.INTERNAL, f"{tool.name} returned what does not fit its output_schema: {where}: {problem['msg']}.") from error
    except NoJson as error:
        raise StepFailed(ErrorCode.INTERNAL, f"{tool.name} returned {error}. Return JSON values, pydantic models or dataclasses.") from error
