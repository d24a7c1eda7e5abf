import type { TryOutcome } from '../routing/fleet.ts';

/**
 * What a try says of the server. `alive`: it answered, with a refusal that is about the request or
 * the traffic and not about the server. `nothing`: the try was ended for reasons of our own.
 */
export type Verdict = 'ok' | 'failed' | 'alive' | 'nothing';

export interface Judgement {
  readonly verdict: Verdict;
  /** How long the server wants to be left alone; 0: it did not say. */
  readonly pauseMs: number;
  /** It refuses us or has not what we ask for, and may well go on so: a wrong key, no such model, a quota. */
  readonly refused: boolean;
}

/** A server may ask for an hour; it is asked again sooner, for it may be wrong. */
export const PAUSE_MAX_MS = 60_000;

const OK: Judgement = { verdict: 'ok', pauseMs: 0, refused: false };
const FAILED: Judgement = { verdict: 'failed', pauseMs: 0, refused: false };
const NOTHING: Judgement = { verdict: 'nothing', pauseMs: 0, refused: false };

/** Whose key, model or quota it is that was refused. Not 400 and 422: those are about one request. */
const REFUSALS: readonly number[] = [401, 403, 404, 429];

export function judgeOutcome({ error, firstByteMs }: Pick<TryOutcome, 'error' | 'firstByteMs'>): Judgement {
  if (error === null) return OK;
  const { code, details } = error;
  const status = Number(details['status']);
  if (code === 'model_rejected') return { verdict: 'alive', pauseMs: 0, refused: REFUSALS.includes(status) };
  if (code === 'model_invalid_output') return FAILED;
  if (code !== 'model_unavailable' || details['reason'] === 'closing') return NOTHING;
  if (status === 429) return { verdict: 'alive', pauseMs: pauseOf(details['retry_after_ms']), refused: true };
  // A long answer that had begun says how long it is, not that the server hangs: that shows at the next first byte.
  if (details['reason'] === 'timeout' && firstByteMs !== null) return NOTHING;
  return FAILED;
}

function pauseOf(asked: unknown): number {
  return typeof asked === 'number' && asked > 0 ? Math.min(asked, PAUSE_MAX_MS) : 0;
}
