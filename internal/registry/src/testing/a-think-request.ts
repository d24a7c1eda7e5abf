import type { ThinkRequest } from '@openeaap/adapter';
import { AGENT_DEFAULTS, NO_CONSTRAINTS } from '@openeaap/kernel';

export const aThinkRequest = (rest: Partial<ThinkRequest> = {}): ThinkRequest => ({
  tenantId: 't',
  runId: 'r',
  stepId: 's',
  stepNo: 1,
  agentId: 'a',
  agentName: 'a',
  agentVersion: '1',
  agent: AGENT_DEFAULTS,
  principal: { tenantId: 't', userId: 'u', groups: [], clearance: 1 },
  traceContext: {},
  input: 'the task',
  journal: [],
  tools: [],
  ephemeralCredentials: {},
  constraints: NO_CONSTRAINTS,
  ...rest,
});
