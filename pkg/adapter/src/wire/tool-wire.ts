import type { JsonObject, LineageRef } from '@openeaap/kernel';
import { LIMITS, PlatformError, isJsonObject } from '@openeaap/kernel';
import { ExecuteStepRequest, ExecuteStepResponse, StepKind } from '@openeaap/proto';
import type { ToolContext, ToolInvocation, ToolOutcome } from '../tool-adapter.ts';
import { errorFromWire } from './error-wire.ts';
import { jsonFromWire, textFromWire, toUint32 } from './json-wire.ts';
import { principalFromWire, principalToWire } from './principal-wire.ts';
import { WIRE_LIMITS } from './wire-limits.ts';

/** What a call is told beside its signal. */
export type CallContext = Pick<ToolContext, 'principal' | 'secrets' | 'traceContext'>;

export function toolToWire(invocation: ToolInvocation, context: CallContext): ExecuteStepRequest {
  return {
    ...ExecuteStepRequest.create(),
    kind: StepKind.STEP_KIND_TOOL,
    tenantId: context.principal.tenantId,
    runId: invocation.runId,
    stepId: invocation.stepId,
    stepNo: toUint32(invocation.stepNo),
    agentId: invocation.agentId,
    tool: invocation.tool,
    inputPayload: JSON.stringify(invocation.args),
    idempotencyKey: invocation.idempotencyKey,
    traceContext: { ...context.traceContext },
    ephemeralCredentials: { ...context.secrets },
    constraints: { blockedTools: [], dryRun: invocation.dryRun, maxTokens: 0 },
    principal: principalToWire(context.principal),
  };
}

/**
 * The result of a call. Errors: what the tool says went wrong; `internal` when it answered with something that
 * cannot be used: the call was made, and what it changed is not known.
 */
export function toolOutcomeFromWire(response: ExecuteStepResponse): ToolOutcome {
  if (response.error !== undefined) throw errorFromWire(response.error, 'tool');
  // A tool that has nothing to say has still done its work.
  const output = response.outputPayload === '' ? null : jsonFromWire(response.outputPayload, { field: 'output_payload', maxBytes: LIMITS.toolResponseBytes, code: 'internal' });
  const lineage = response.lineage.slice(0, WIRE_LIMITS.lineageRefs).map(lineageFromWire);
  return lineage.length === 0 ? { output } : { output, lineage };
}

function lineageFromWire(ref: LineageRef): LineageRef {
  return {
    chunkId: textFromWire(ref.chunkId, WIRE_LIMITS.nameChars),
    title: textFromWire(ref.title, WIRE_LIMITS.nameChars),
    source: textFromWire(ref.source, WIRE_LIMITS.nameChars),
    // Not every number is JSON.
    score: Number.isFinite(ref.score) ? ref.score : 0,
  };
}

/** A call on the plugin's side. Errors: invalid_input that names the field. */
export function toolInvocationFromWire(request: ExecuteStepRequest): { readonly invocation: ToolInvocation; readonly context: CallContext } {
  return {
    invocation: {
      tool: request.tool,
      args: argumentsOf(request),
      idempotencyKey: request.idempotencyKey,
      runId: request.runId,
      stepId: request.stepId,
      stepNo: request.stepNo,
      agentId: request.agentId,
      dryRun: request.constraints?.dryRun ?? false,
    },
    context: { principal: principalFromWire(request.principal, request.tenantId), secrets: request.ephemeralCredentials, traceContext: request.traceContext },
  };
}

function argumentsOf(request: ExecuteStepRequest): JsonObject {
  const args = jsonFromWire(request.inputPayload, { field: 'input_payload', maxBytes: WIRE_LIMITS.messageBytes, code: 'invalid_input', maxDepth: Infinity });
  if (!isJsonObject(args)) throw new PlatformError('invalid_input', 'input_payload of a tool step must be a JSON object.', { details: { field: 'input_payload' } });
  return args;
}

export function toolOutcomeToWire(outcome: ToolOutcome): ExecuteStepResponse {
  // A tool in JavaScript may return nothing, whatever its type says.
  return { ...ExecuteStepResponse.create(), outputPayload: JSON.stringify(outcome.output) ?? 'null', lineage: outcome.lineage ?? [] };
}
