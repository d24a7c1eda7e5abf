import type { Taint } from '@openeaap/kernel';
import type { ToolPort } from './port.ts';
import type { RunState } from './run-state.ts';

/** What the run has read so far that may carry somebody else's instructions. */
export function taintOf(state: Pick<RunState, 'steps'>, tools: Pick<ToolPort, 'find'>): Taint {
  const read = state.steps.filter((step) => step.kind === 'act' && step.status === 'done');
  return {
    untrusted: read.some((step) => step.kind === 'act' && tools.find(step.tool)?.untrustedOutput === true),
    injection: read.some((step) => step.kind === 'act' && step.suspicious),
  };
}
