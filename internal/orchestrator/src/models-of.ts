import type { AgentConfiguration } from '@openeaap/kernel';

/** What a step of this agent may ask for; null: everything. */
export function modelsOf({ model }: Pick<AgentConfiguration, 'model'>): readonly string[] | null {
  if (model.allowed === undefined) return null;
  return model.name === '' ? model.allowed : [model.name, ...model.allowed];
}
