import { toPlatformError, unlessAborted } from '@openeaap/kernel';
import type { Drawn, Reservation } from './accountant.ts';

/** What is granted to a caller who has left meanwhile is given back; he does not wait for it. */
export async function heldUnlessAborted(asked: Promise<Reservation>, signal: AbortSignal): Promise<Reservation> {
  try {
    return await unlessAborted(signal, asked, () => toPlatformError(signal.reason, 'cancelled'));
  } catch (thrown) {
    if (signal.aborted) void asked.then((late) => late.settle(NOTHING_DRAWN), () => undefined);
    throw thrown;
  }
}

const NOTHING_DRAWN = { promptTokens: 0, completionTokens: 0, costUsdNanos: 0 } as const;
/** Where nothing is limited. */
export const noTab = (): void => undefined;

/** What one backend of the plan has used, for the limits of that backend. */
export interface Tab {
  /** Usage that is told after `settle` is charged. */
  readonly add: (spent: Drawn) => void;
  readonly settle: () => void;
}

export function openTab(held: Reservation): Tab {
  let isSettled = false;
  let sum: Drawn = NOTHING_DRAWN;
  return {
    add: (spent) => {
      if (isSettled) return held.charge(spent);
      sum = { promptTokens: sum.promptTokens + spent.promptTokens, completionTokens: sum.completionTokens + spent.completionTokens, costUsdNanos: sum.costUsdNanos + spent.costUsdNanos };
    },
    settle: () => {
      isSettled = true;
      held.settle(sum);
    },
  };
}
