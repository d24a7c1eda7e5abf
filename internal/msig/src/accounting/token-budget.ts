import { PlatformError, unlessAborted } from '@openeaap/kernel';

/**
 * Tokens that may be written in all calls together, some of which run at once. What a call might
 * use is reserved before it begins and corrected when it has ended, so the sum never exceeds the
 * budget at a server that keeps its limit. A call that wants more than is free, while others hold
 * some of it, waits for them: most give back a part. First come, first served.
 */
export interface TokenBudget {
  /**
   * `wanted`: null: all there is. `least`: with less the call makes no sense. Errors:
   * `quota_exceeded` when the budget is used up, or the signal's reason.
   */
  readonly reserve: (need: { readonly wanted: number | null; readonly least: number }, signal: AbortSignal) => Promise<TokenGrant>;
}

export interface TokenGrant {
  /** Null: without limit. */
  readonly tokens: number | null;
  /** What was used; only the first time counts. */
  readonly settle: (used: number) => void;
}

interface Waiter {
  readonly wanted: number;
  readonly least: number;
  readonly resolve: (grant: TokenGrant) => void;
  readonly reject: (error: Error) => void;
}

/** `maxTokens` 0: no limit. The number of waiters is bounded by the number of calls, which is the caller's. */
export function createTokenBudget(maxTokens: number): TokenBudget {
  if (maxTokens === 0) return { reserve: async () => ({ tokens: null, settle: () => undefined }) };
  let spent = 0;
  let reserved = 0;
  const waiters: Waiter[] = [];

  const grant = (tokens: number): TokenGrant => {
    reserved += tokens;
    let isSettled = false;
    return {
      tokens,
      settle: (used) => {
        if (isSettled) return;
        isSettled = true;
        reserved -= tokens;
        spent += used;
        serve();
      },
    };
  };

  const serve = (): void => {
    for (let waiter = waiters[0]; waiter !== undefined; waiter = waiters[0]) {
      const free = maxTokens - spent - reserved;
      const isLast = reserved === 0;
      if (free < waiter.wanted && !isLast) return;
      waiters.shift();
      if (free >= waiter.least) waiter.resolve(grant(Math.min(free, waiter.wanted)));
      else waiter.reject(usedUp(maxTokens, Math.max(0, free), waiter.least));
    }
  };

  return {
    reserve: async (need, signal) => {
      signal.throwIfAborted();
      const wanted = Math.min(need.wanted ?? maxTokens, maxTokens);
      // Most calls are alone; they need no promise to wait for.
      if (waiters.length === 0 && wanted <= maxTokens - spent - reserved && wanted >= need.least) return grant(wanted);
      let waiter: Waiter | null = null;
      const granted = new Promise<TokenGrant>((resolve, reject) => {
        waiter = { wanted, least: need.least, resolve, reject };
        waiters.push(waiter);
      });
      serve();
      try {
        return await unlessAborted(signal, granted, () => (signal.reason instanceof Error ? signal.reason : new PlatformError('cancelled', 'The call was cancelled while it waited for tokens.')));
      } catch (thrown) {
        const at = waiter === null ? -1 : waiters.indexOf(waiter);
        if (at !== -1) waiters.splice(at, 1);
        // It may have been granted in the same moment; nobody will use it.
        void granted.then((grantedLate) => grantedLate.settle(0), () => undefined);
        serve();
        throw thrown;
      }
    },
  };
}

function usedUp(maxTokens: number, left: number, least: number): PlatformError {
  const rest = left === 0 ? 'all of them are used up' : `${left} are left, and this call needs at least ${least}`;
  return new PlatformError('quota_exceeded', `This step may let a model write ${maxTokens} tokens in all its calls together; ${rest}. End the step with what there is, or give the agent more max_tokens.`, {
    details: { max_tokens: maxTokens, left },
  });
}
