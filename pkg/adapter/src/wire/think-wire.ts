import type { AgentConfiguration, JsonObject, JsonValue, ReasoningMode, TokenUsage } from '@openeaap/kernel';
import { AGENT_DEFAULTS, LIMITS, PlatformError, REASONING_MODES, isJsonObject } from '@openeaap/kernel';
import { ExecuteStepRequest, ExecuteStepResponse, StepKind } from '@openeaap/proto';
import type { AgentConfiguration as WireAgent, ToolCall } from '@openeaap/proto';
import type { ThinkMetadata, ThinkRequest, ThinkResponse } from '../runtime.ts';
import { errorFromWire } from './error-wire.ts';
import { journalFromWire, journalToWire, proposalFromWire, proposalToWire, stateFromWire, stateToWire } from './journal-wire.ts';
import { jsonFromWire, storableJson, textFromWire, toPositiveInt32, toUint32 } from './json-wire.ts';
import { principalFromWire, principalToWire } from './principal-wire.ts';
import { toolSpecFromWire, toolSpecToWire } from './tool-spec-wire.ts';
import { WIRE_LIMITS } from './wire-limits.ts';

export function thinkToWire(request: ThinkRequest): ExecuteStepRequest {
  const { constraints } = request;
  return {
    ...ExecuteStepRequest.create(),
    kind: StepKind.STEP_KIND_THINK,
    tenantId: request.tenantId,
    runId: request.runId,
    stepId: request.stepId,
    stepNo: toUint32(request.stepNo),
    agentId: request.agentId,
    traceContext: { ...request.traceContext },
    inputPayload: JSON.stringify(request.input),
    ephemeralCredentials: { ...request.ephemeralCredentials },
    constraints: { blockedTools: constraints.blockedTools, dryRun: constraints.dryRun, maxTokens: toPositiveInt32(constraints.maxTokens) },
    principal: principalToWire(request.principal),
    agent: agentToWire(request),
    tools: request.tools.map(toolSpecToWire),
    journal: journalToWire(request.journal),
  };
}

function agentToWire({ agent, agentName, agentVersion }: ThinkRequest): WireAgent {
  return {
    name: agentName,
    version: agentVersion,
    entrypoint: agent.entrypoint,
    reasoning: agent.reasoning,
    systemPrompt: agent.systemPrompt,
    model: { name: agent.model.name, temperature: agent.model.temperature, maxTokens: toUint32(agent.model.maxTokens), toolCalling: agent.model.toolCalling },
    settings: Object.keys(agent.settings).length === 0 ? '' : JSON.stringify(agent.settings),
  };
}

/**
 * The answer to a think. Errors: what the plugin says went wrong, by its code; `model_invalid_output` for an answer
 * that cannot be used, with the field in the message: the runtime is shown it at the next think.
 */
export function thinkFromWire(response: ExecuteStepResponse): ThinkResponse {
  if (response.error !== undefined) throw errorFromWire(response.error, 'think');
  const { proposal } = response;
  if (proposal === undefined) throw unusable('proposal', 'is not set, and neither is error. A think answers with one of them.');
  if (proposal.calls.length > LIMITS.toolCallsPerThink) throw unusable('proposal.calls', `has ${proposal.calls.length} entries; at most ${LIMITS.toolCallsPerThink} are taken.`);
  const bytes = proposal.calls.reduce((sum, call) => sum + Buffer.byteLength(call.args), Buffer.byteLength(proposal.thought));
  if (bytes > LIMITS.modelReplyBytes) throw unusable('proposal', `has ${bytes} bytes of thought and arguments; at most ${LIMITS.modelReplyBytes} are taken.`);
  const code = 'model_invalid_output';
  return {
    proposal: proposalFromWire(proposal, { at: 'proposal', code, maxBytes: LIMITS.modelReplyBytes }),
    strategyState: storableJson(stateFromWire(response.strategyState, { field: 'strategy_state', code, maxBytes: WIRE_LIMITS.strategyStateBytes })),
    auditLogs: response.auditLogs.slice(0, LIMITS.toolCallsPerThink).map(claimFromWire),
    metadata: metadataFromWire(response.metadata),
  };
}

const unusable = (field: string, why: string): PlatformError => new PlatformError('model_invalid_output', `${field} ${why}`, { details: { field } });

/** A call that the plugin says it made by itself: kept as it was told, cut to a size. */
function claimFromWire(call: ToolCall): JsonObject {
  return {
    id: textFromWire(call.id, WIRE_LIMITS.nameChars),
    tool: textFromWire(call.tool, WIRE_LIMITS.nameChars),
    input: claimedJson(call.inputPayload),
    output: claimedJson(call.outputPayload),
    status: textFromWire(call.status, WIRE_LIMITS.nameChars),
    started_at_unix_ms: call.startedAtUnixMs,
    duration_ms: call.durationMs,
  };
}

/** A claim that is no JSON, or too much of it, is kept as text: nothing builds on it. */
function claimedJson(text: string): JsonValue {
  if (text === '') return null;
  try {
    return storableJson(jsonFromWire(text, { field: 'audit_logs', maxBytes: WIRE_LIMITS.claimedPayloadBytes, code: 'invalid_input' }));
  } catch {
    return textFromWire(text, WIRE_LIMITS.claimedPayloadBytes / 4);
  }
}

function metadataFromWire(metadata: ExecuteStepResponse['metadata']): ThinkMetadata {
  const usage: TokenUsage = { promptTokens: count(metadata['prompt_tokens']), completionTokens: count(metadata['completion_tokens']), costUsdMicros: count(metadata['cost_usd_micros']) };
  return { usage: metadata['estimated'] === 'true' ? { ...usage, estimated: true } : usage, backend: textFromWire(metadata['model'] ?? '', WIRE_LIMITS.nameChars) };
}

function count(text: string | undefined): number {
  const value = Number(text ?? 0);
  return Number.isSafeInteger(value) && value >= 0 ? value : 0;
}

/** A think on the plugin's side. Errors: invalid_input that names the field. */
export function thinkRequestFromWire(request: ExecuteStepRequest): ThinkRequest {
  const constraints = request.constraints ?? { blockedTools: [], dryRun: false, maxTokens: 0 };
  // Left out by the sender already; no model here is to be tempted should that fail.
  const tools = request.tools.filter(({ name }) => !constraints.blockedTools.includes(name)).map((spec) => toolSpecFromWire(spec, ''));
  return {
    tenantId: request.tenantId,
    runId: request.runId,
    stepId: request.stepId,
    stepNo: request.stepNo,
    agentId: request.agentId,
    agentName: request.agent?.name ?? '',
    agentVersion: request.agent?.version ?? '',
    agent: { ...agentFromWire(request.agent), tools: tools.map(({ name }) => name), dryRun: constraints.dryRun },
    principal: principalFromWire(request.principal, request.tenantId),
    traceContext: request.traceContext,
    input: requestJson(request.inputPayload, 'input_payload'),
    journal: journalFromWire(request.journal, request.agent?.version ?? ''),
    tools,
    ephemeralCredentials: request.ephemeralCredentials,
    constraints: { blockedTools: constraints.blockedTools, dryRun: constraints.dryRun, maxTokens: Math.max(constraints.maxTokens, 0) },
  };
}

/** What is not on the wire (the limits that the control plane itself enforces) has its default. */
function agentFromWire(agent: WireAgent | undefined): AgentConfiguration {
  if (agent === undefined) return AGENT_DEFAULTS;
  const settings = agent.settings === '' ? {} : requestJson(agent.settings, 'agent.settings');
  if (!isJsonObject(settings)) throw new PlatformError('invalid_input', 'agent.settings must be a JSON object.', { details: { field: 'agent.settings' } });
  return {
    ...AGENT_DEFAULTS,
    entrypoint: agent.entrypoint,
    settings,
    reasoning: reasoningFromWire(agent.reasoning),
    systemPrompt: agent.systemPrompt,
    model: agent.model === undefined ? AGENT_DEFAULTS.model : { ...agent.model, toolCalling: agent.model.toolCalling === 'text' ? 'text' : 'native' },
  };
}

function reasoningFromWire(text: string): ReasoningMode {
  const mode = text === '' ? AGENT_DEFAULTS.reasoning : REASONING_MODES.find((known) => known === text);
  if (mode === undefined) throw new PlatformError('invalid_input', `agent.reasoning is ${JSON.stringify(text.slice(0, 80))}, which is none of ${REASONING_MODES.join(', ')}.`, { details: { field: 'agent.reasoning' } });
  return mode;
}

const requestJson = (text: string, field: string): JsonValue => jsonFromWire(text, { field, maxBytes: WIRE_LIMITS.messageBytes, code: 'invalid_input', maxDepth: Infinity });

export function thinkResponseToWire(response: ThinkResponse): ExecuteStepResponse {
  const { proposal, metadata } = response;
  return {
    ...ExecuteStepResponse.create(),
    outputPayload: proposal.output === null ? '' : JSON.stringify(proposal.output),
    proposal: proposalToWire(proposal),
    strategyState: stateToWire(response.strategyState),
    auditLogs: response.auditLogs.slice(0, LIMITS.toolCallsPerThink).map(claimToWire),
    metadata: {
      prompt_tokens: String(metadata.usage.promptTokens),
      completion_tokens: String(metadata.usage.completionTokens),
      ...(metadata.usage.costUsdMicros === 0 ? {} : { cost_usd_micros: String(metadata.usage.costUsdMicros) }),
      ...(metadata.usage.estimated === true ? { estimated: 'true' } : {}),
      model: metadata.backend,
    },
  };
}

function claimToWire(claim: JsonObject): ToolCall {
  const text = (key: string): string => (typeof claim[key] === 'string' ? claim[key] : '');
  const json = (key: string): string => (claim[key] === undefined || claim[key] === null ? '' : JSON.stringify(claim[key]));
  const whole = (key: string): number => (Number.isSafeInteger(claim[key]) ? Number(claim[key]) : 0);
  return { id: text('id'), tool: text('tool'), inputPayload: json('input'), outputPayload: json('output'), status: text('status'), startedAtUnixMs: whole('started_at_unix_ms'), durationMs: toUint32(whole('duration_ms')) };
}
