import type { RuntimeAdapter, ThinkContext, ThinkRequest, ThinkResponse } from '@openeaap/adapter';
import type { ProposedCall, Step } from '@openeaap/kernel';
import { NO_USAGE, PlatformError, toObservation } from '@openeaap/kernel';
import type { AgentContext, AgentRequest, HostedAgentDefinition, JournalEntry, ModelAccess } from './agent.ts';
import type { Decision } from './decision.ts';
import { toJson } from './to-json.ts';
import { ModelInvalidOutput, toStepError } from './tool-error.ts';

/** Agents as the platform's adapter. */
export function createHostedAgents(name: string, version: string, agents: readonly HostedAgentDefinition[]): RuntimeAdapter {
  return {
    handshake: async () => ({ name, version, reasoningModes: [], agents: agents.map(({ name, description, reasoningModes }) => ({ name, description, reasoningModes })) }),
    healthCheck: async () => ({ serving: true, detail: '' }),
    executeStep: async (request, context) => {
      const wanted = request.agent.entrypoint;
      const agent = wanted === '' && agents.length === 1 ? agents[0] : agents.find((one) => one.name === wanted);
      if (agent === undefined) throw new PlatformError('invalid_input', `This plugin hosts no agent "${wanted}".`);
      try {
        return await think(agent, request, context);
      } catch (thrown) {
        throw toStepError(thrown, `The agent "${agent.name}"`);
      }
    },
  };
}

async function think(agent: HostedAgentDefinition, request: ThinkRequest, { signal, onDelta }: ThinkContext): Promise<ThinkResponse> {
  let usage = NO_USAGE;
  let backend = '';
  const context: AgentContext = {
    signal,
    emit: (text) => {
      // In JavaScript it may be given anything.
      if (typeof text !== 'string') throw new TypeError(`The agent "${agent.name}" emitted a ${typeof text}; emit takes text.`);
      onDelta(text);
    },
    model: modelOf(request),
    reportUsage: ({ model = backend, promptTokens = 0, completionTokens = 0 }) => {
      backend = model;
      usage = { ...usage, promptTokens: usage.promptTokens + promptTokens, completionTokens: usage.completionTokens + completionTokens };
    },
    traceContext: request.traceContext,
  };
  const decision = await agent.think(toAgentRequest(request), context);
  return { ...toProposal(agent.name, request.stepNo, decision), auditLogs: [], metadata: { usage, backend } };
}

function modelOf({ ephemeralCredentials }: ThinkRequest): ModelAccess | null {
  const url = ephemeralCredentials['OPENEAAP_GATEWAY_URL'] ?? '';
  return url === '' ? null : { url, token: ephemeralCredentials['OPENEAAP_MODEL_TOKEN'] ?? '' };
}

function toAgentRequest(request: ThinkRequest): AgentRequest {
  const { agent, tools } = request;
  const done = request.journal.findLast((step) => step.kind === 'think' && step.status === 'done');
  return {
    runId: request.runId,
    stepId: request.stepId,
    stepNo: request.stepNo,
    tenantId: request.tenantId,
    principal: request.principal,
    input: request.input,
    journal: request.journal.map(toEntry),
    state: done?.kind === 'think' ? done.strategyState : null,
    tools,
    constraints: request.constraints,
    agent: { id: request.agentId, name: request.agentName, version: request.agentVersion, reasoning: agent.reasoning, systemPrompt: agent.systemPrompt, model: agent.model, settings: agent.settings },
  };
}

type ActEntry = Extract<JournalEntry, { readonly kind: 'act' }>;

function toEntry(step: Step): JournalEntry {
  if (step.kind === 'think') return { kind: 'think', no: step.no, proposal: step.proposal, error: step.error, state: step.strategyState };
  // All acts of a journal are settled before an agent sees it.
  return { kind: 'act', no: step.no, callId: step.callId, tool: step.tool, args: step.args, status: step.status as ActEntry['status'], observation: toObservation(step), thinkNo: step.thinkNo };
}

function toProposal(name: string, stepNo: number, decision: Decision | undefined): Pick<ThinkResponse, 'proposal' | 'strategyState'> {
  if (decision === undefined || typeof decision.thought !== 'string' || !Array.isArray(decision.calls)) throw new TypeError(`The agent "${name}" decided nothing: return finish(...), call(...), calls([...]) or reflect(...).`);
  const output = toJson(decision.output, `The output of the agent "${name}"`);
  if (output === null && decision.calls.length === 0 && decision.thought === '') throw new ModelInvalidOutput(`The agent "${name}" ended with null, which would not end the run. End with another value.`);
  const nameless = decision.calls.find((call) => typeof call.tool !== 'string' || !['string', 'undefined'].includes(typeof call.id));
  if (nameless !== undefined) throw new TypeError(`The agent "${name}" proposed a call whose tool or id is no text: ${JSON.stringify(nameless).slice(0, 200)}.`);
  const calls = decision.calls.map((call, index): ProposedCall => ({ id: call.id ?? `call_${stepNo}_${index + 1}`, tool: call.tool, args: toJson(call.args ?? {}, `The arguments of the call of "${call.tool}"`) }));
  return { proposal: { thought: decision.thought, calls, output }, strategyState: toJson(decision.state, `The state of the agent "${name}"`) };
}
