import type { RunCommit, Step } from '@openeaap/kernel';

/** Part of a commit. What was done and what comes next are made apart and written together (R3). */
export type Fragment = Pick<RunCommit, 'steps' | 'events' | 'audit' | 'openApprovals' | 'expireApprovals' | 'usage' | 'settlements'>;

export const EMPTY: Fragment = { steps: [], events: [], audit: [], openApprovals: [], expireApprovals: [], usage: [], settlements: [] };

/** Nothing that has to be written. */
export const isEmpty = (fragment: Fragment): boolean => Object.values(fragment).every((part: readonly unknown[]) => part.length === 0);

/** In order; of two states of one step the later stands. */
export function merge(...fragments: readonly Partial<Fragment>[]): Fragment {
  return {
    steps: newest(join(fragments, 'steps')),
    events: join(fragments, 'events'),
    audit: join(fragments, 'audit'),
    openApprovals: join(fragments, 'openApprovals'),
    expireApprovals: join(fragments, 'expireApprovals'),
    usage: join(fragments, 'usage'),
    settlements: join(fragments, 'settlements'),
  };
}

/** Most parts of most fragments are empty: a list is copied only when two have something. */
function join<K extends keyof Fragment>(fragments: readonly Partial<Fragment>[], key: K): Fragment[K] {
  const full = fragments.flatMap((fragment) => {
    const part = fragment[key];
    return part === undefined || part.length === 0 ? [] : [part];
  });
  return full.length <= 1 ? (full[0] ?? EMPTY[key]) : (full.flat() as readonly unknown[] as Fragment[K]);
}

function newest(steps: readonly Step[]): readonly Step[] {
  if (steps.length <= 1) return steps;
  const byNo = new Map<number, Step>();
  for (const step of steps) byNo.set(step.no, step);
  return byNo.size === steps.length ? steps : [...byNo.values()];
}
