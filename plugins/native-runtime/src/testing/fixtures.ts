import type { ActStep, AgentConfiguration, ChatReply, Proposal, Step, ThinkStep, ToolSpec } from '@openeaap/kernel';
import { AGENT_DEFAULTS, NO_CONSTRAINTS, NO_USAGE } from '@openeaap/kernel';
import type { ThinkRequest } from '@openeaap/adapter';

const AT = new Date('2026-01-01T00:00:00Z');

export const LOOK_UP: ToolSpec = {
  name: 'look_up', version: '1', description: 'Looks something up.', effect: 'read', idempotent: true, timeoutMs: 1_000,
  inputSchema: { type: 'object', properties: { q: { type: 'string' } } },
};

export function aRequest(journal: readonly Step[] = [], agent: Partial<AgentConfiguration> = {}, rest: Partial<ThinkRequest> = {}): ThinkRequest {
  return {
    tenantId: 't', runId: 'r', stepId: 's', stepNo: journal.length + 1, agentId: 'a', agentName: 'a', agentVersion: '1', principal: { tenantId: 't', userId: 'u', groups: [], clearance: 1 }, agent: { ...AGENT_DEFAULTS, systemPrompt: 'You are a test.', ...agent },
    traceContext: {}, input: 'the task', journal, tools: [LOOK_UP], ephemeralCredentials: {}, constraints: NO_CONSTRAINTS, ...rest,
  };
}

export function aReply(content: string, rest: Partial<ChatReply> = {}): ChatReply {
  return { content, toolCalls: [], finishReason: 'stop', usage: NO_USAGE, backend: 'b', model: 'm', ...rest };
}

export function aThink(no: number, proposal: Partial<Proposal> | null, rest: Partial<ThinkStep> = {}): ThinkStep {
  return {
    kind: 'think', no, id: `s${no}`, policyVersion: 'p', agentVersion: '1', startedAt: AT, finishedAt: AT, usage: NO_USAGE, model: 'm', strategyState: null, reportedByRuntime: [],
    decision: { effect: 'allow', constraints: NO_CONSTRAINTS, reservations: [], rule: 'r', reason: '', policyVersion: 'p' },
    status: proposal === null ? 'failed' : 'done',
    proposal: proposal === null ? null : { thought: '', calls: [], output: null, ...proposal },
    error: proposal === null ? { code: 'model_invalid_output', message: 'It was nonsense.' } : null,
    ...rest,
  };
}

export function anAct(no: number, thinkNo: number, rest: Partial<ActStep> = {}): ActStep {
  return {
    kind: 'act', no, id: `s${no}`, policyVersion: 'p', agentVersion: '1', startedAt: AT, finishedAt: AT, thinkNo, callId: 'c1', tool: 'look_up', args: { q: 'x' }, decision: null, approvalId: null,
    status: 'done', attempts: 1, lineage: [], result: { found: 7 }, suspicious: false, error: null, ...rest,
  };
}
