/**
 * Where the questions of the semantic level are, as vectors of length 1. Vectors are only ever
 * compared within one scope, whose name is a keyed hash. Structural, for the PostgreSQL one lives
 * in another room.
 */
export interface VectorStore {
  /** The nearest of at least `least` cosine similarity, best first; entries whose time is over are left out. */
  readonly search: (query: VectorQuery) => Promise<readonly VectorMatch[]>;
  readonly add: (entry: VectorEntry) => Promise<void>;
  /** The answer as it was added; null: it is gone. */
  readonly load: (place: VectorPlace) => Promise<Uint8Array | null>;
  readonly close: () => Promise<void>;
}

export interface VectorPlace {
  readonly tenantId: string;
  readonly scope: string;
  readonly id: string;
}

export interface VectorQuery extends Omit<VectorPlace, 'id'> {
  readonly vector: Float32Array;
  readonly limit: number;
  readonly least: number;
  readonly nowMs: number;
}

export interface VectorEntry extends VectorPlace {
  readonly vector: Float32Array;
  /** What the guard compares: keyed hashes. */
  readonly facts: string;
  readonly answer: Uint8Array;
  readonly nowMs: number;
  readonly untilMs: number;
}

export interface VectorMatch {
  readonly id: string;
  readonly similarity: number;
  readonly facts: string;
}

/** Length 1, so that a dot product is the cosine; null: it has no direction. */
export function normalized(numbers: ArrayLike<number>): Float32Array | null {
  const vector = Float32Array.from(numbers);
  let squares = 0;
  for (const each of vector) squares += each * each;
  const length = Math.sqrt(squares);
  if (!Number.isFinite(length) || length === 0) return null;
  for (let at = 0; at < vector.length; at += 1) vector[at] = (vector[at] ?? 0) / length;
  return vector;
}

/** Of vectors of length 1; 0 for two of other lengths: they come from another embedder. */
export function cosine(a: Float32Array, b: Float32Array): number {
  if (a.length !== b.length) return 0;
  let sum = 0;
  for (let at = 0; at < a.length; at += 1) sum += (a[at] ?? 0) * (b[at] ?? 0);
  // Rounding may go a little beyond.
  return Math.min(1, Math.max(-1, sum));
}
