/** How a server has done of late. */
export interface ServerRecord {
  /** Tries that said something, of which `failedShare` (0 to 1) failed. */
  readonly tries: number;
  readonly failedShare: number;
  /** Answers that `firstByteMs` is the mean of. */
  readonly answers: number;
  readonly firstByteMs: number | null;
}

/** Fewer say nothing. */
const SAMPLES_MIN = 10;
/** So many times the median of its peers. */
const FACTOR = 3;
/** Below these a large factor is chance: two failures of twenty beside none, 3 ms beside 1. */
const FAILED_SHARE_MIN = 0.2;
const EXCESS_MIN_MS = 50;

/** Why `own` does not fit among `peers` (the other servers of its backend that are in use); null: it does, or nobody can tell. */
export function findOutlier(own: ServerRecord, peers: readonly ServerRecord[]): 'errors' | 'latency' | null {
  if (own.tries >= SAMPLES_MIN && own.failedShare >= FAILED_SHARE_MIN) {
    const usual = median(peers.filter(({ tries }) => tries >= SAMPLES_MIN).map(({ failedShare }) => failedShare));
    if (usual !== null && own.failedShare > FACTOR * usual) return 'errors';
  }
  if (own.answers < SAMPLES_MIN || own.firstByteMs === null) return null;
  const usualMs = median(peers.flatMap(({ answers, firstByteMs }) => (answers >= SAMPLES_MIN && firstByteMs !== null ? [firstByteMs] : [])));
  return usualMs !== null && own.firstByteMs > FACTOR * usualMs && own.firstByteMs - usualMs > EXCESS_MIN_MS ? 'latency' : null;
}

function median(values: readonly number[]): number | null {
  const sorted = values.toSorted((a, b) => a - b);
  const upper = sorted[sorted.length >> 1];
  const lower = sorted[(sorted.length - 1) >> 1];
  return upper === undefined || lower === undefined ? null : (lower + upper) / 2;
}
