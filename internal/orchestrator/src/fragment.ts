import type { RunCommit, Step } from '@openeaap/kernel';

/** Part of a commit. What was done and what comes next are made apart and written together (R3). */
export type Fragment = Pick<RunCommit, 'steps' | 'events' | 'audit' | 'openApprovals' | 'expireApprovals' | 'usage' | 'settlements'>;

export const EMPTY: Fragment = { steps: [], events: [], audit: [], openApprovals: [], expireApprovals: [], usage: [], settlements: [] };

/** Nothing that has to be written. */
export const isEmpty = (fragment: Fragment): boolean => Object.values(fragment).every((part: readonly unknown[]) => part.length === 0);

/** In order; of two states of one step the later stands. */
export function merge(...fragments: readonly Partial<Fragment>[]): Fragment {
  let { steps, events, audit, openApprovals, expireApprovals, usage, settlements } = EMPTY;
  for (const fragment of fragments) {
    steps = join(steps, fragment.steps);
    events = join(events, fragment.events);
    audit = join(audit, fragment.audit);
    openApprovals = join(openApprovals, fragment.openApprovals);
    expireApprovals = join(expireApprovals, fragment.expireApprovals);
    usage = join(usage, fragment.usage);
    settlements = join(settlements, fragment.settlements);
  }
  return { steps: newest(steps), events, audit, openApprovals, expireApprovals, usage, settlements };
}

/** Most parts of most fragments are empty: a list is copied only when both have something. */
function join<T>(left: readonly T[], right: readonly T[] | undefined): readonly T[] {
  if (right === undefined || right.length === 0) return left;
  return left.length === 0 ? right : [...left, ...right];
}

function newest(steps: readonly Step[]): readonly Step[] {
  if (steps.length <= 1) return steps;
  const byNo = new Map<number, Step>();
  for (const step of steps) byNo.set(step.no, step);
  return byNo.size === steps.length ? steps : [...byNo.values()];
}
