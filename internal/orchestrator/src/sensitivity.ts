import type { LineageRef, Sensitivity } from '@openeaap/kernel';
import type { RunState } from './run-state.ts';

/**
 * The label of the most secret knowledge that the run has read; 1 (Public) when it has read none. What
 * a step says to a model may repeat any of it. A ref without a label (from a plugin, or written before
 * refs had one) counts as the most secret that the user may read: more cannot have been shown.
 */
export function sensitivityOf({ run, steps }: Pick<RunState, 'run' | 'steps'>): Sensitivity {
  const labels = steps.flatMap((step) => (step.kind === 'act' ? step.lineage.map((ref) => labelOf(ref, run.principal.clearance)) : []));
  return labels.reduce<Sensitivity>((highest, label) => (label > highest ? label : highest), 1);
}

/** Tools write lineage: a number that is no label says nothing. */
function labelOf({ sensitivity }: LineageRef, unlabelled: Sensitivity): Sensitivity {
  return sensitivity === 1 || sensitivity === 2 || sensitivity === 3 ? sensitivity : unlabelled;
}
