import type { AgentConfiguration } from '@openeaap/kernel';
import type { StepIdentity } from './port.ts';
import type { RunState } from './run-state.ts';
import { sensitivityOf } from './sensitivity.ts';

/** Who a step's credential for the model stands for. What differs between a think and a tool's call is said by whoever makes it. */
export function stepIdentity(state: RunState, step: Pick<StepIdentity, 'stepId' | 'tool' | 'maxTokens' | 'timeoutMs'>): StepIdentity {
  const { run, agent } = state;
  return {
    ...step,
    tenantId: run.tenantId,
    runId: run.id,
    agentId: agent.id,
    userId: run.principal.userId,
    traceId: run.traceId,
    sensitivity: sensitivityOf(state),
    models: modelsOf(agent.configuration),
  };
}

/** What a step of this agent may ask for; null: everything. */
function modelsOf({ model }: Pick<AgentConfiguration, 'model'>): readonly string[] | null {
  if (model.allowed === undefined) return null;
  return model.name === '' ? model.allowed : [model.name, ...model.allowed];
}
