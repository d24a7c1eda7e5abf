import type { RunCommit, Step } from '@openeaap/kernel';

/** Part of a commit. What was done and what comes next are made apart and written together (R3). */
export type Fragment = Pick<RunCommit, 'steps' | 'events' | 'audit' | 'openApprovals' | 'expireApprovals' | 'usage' | 'settlements'>;

export const EMPTY: Fragment = { steps: [], events: [], audit: [], openApprovals: [], expireApprovals: [], usage: [], settlements: [] };

/** Nothing that has to be written. */
export const isEmpty = (fragment: Fragment): boolean => Object.values(fragment).every((part: readonly unknown[]) => part.length === 0);

/** In order; of two states of one step the later stands. */
export function merge(...fragments: readonly Partial<Fragment>[]): Fragment {
  const steps = new Map<number, Step>();
  for (const step of fragments.flatMap((f) => f.steps ?? [])) steps.set(step.no, step);
  return {
    steps: [...steps.values()],
    events: fragments.flatMap((f) => f.events ?? []),
    audit: fragments.flatMap((f) => f.audit ?? []),
    openApprovals: fragments.flatMap((f) => f.openApprovals ?? []),
    expireApprovals: fragments.flatMap((f) => f.expireApprovals ?? []),
    usage: fragments.flatMap((f) => f.usage ?? []),
    settlements: fragments.flatMap((f) => f.settlements ?? []),
  };
}
