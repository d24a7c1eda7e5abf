export interface SemanticPlace {
  readonly tenantId: string;
  /** At most 64 characters, as the id. */
  readonly scope: string;
  readonly id: string;
}

export interface SemanticQuery extends Omit<SemanticPlace, 'id'> {
  /** Of length 1. */
  readonly vector: Float32Array;
  readonly limit: number;
  /** Cosine. */
  readonly least: number;
  readonly nowMs: number;
}

export interface SemanticEntry extends SemanticPlace {
  readonly vector: Float32Array;
  readonly facts: string;
  readonly answer: Uint8Array;
  readonly nowMs: number;
  readonly untilMs: number;
}

export interface SemanticMatch {
  readonly id: string;
  readonly similarity: number;
  readonly facts: string;
}
