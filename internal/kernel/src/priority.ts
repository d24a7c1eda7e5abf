/** Which of the runs of a tenant that are due goes first. Strict: a lower one waits as long as a higher one is due. */
export const PRIORITIES = ['low', 'normal', 'high', 'urgent'] as const;
export type Priority = (typeof PRIORITIES)[number];

/** How many runs of a tenant may be running at once, over all nodes; what waits for a person or a time does not count. */
export interface ConcurrencyLimits {
  /** For tenants that are not named; null: no limit. */
  readonly default: number | null;
  readonly tenants: Readonly<Record<string, number>>;
}

export const NO_CONCURRENCY_LIMITS: ConcurrencyLimits = { default: null, tenants: {} };
