import type { Sensitivity } from './principal.ts';

/** What may be asked of models, and what it may cost. Each null: not limited. */
export interface ModelLimits {
  readonly requestsPerMinute: number | null;
  readonly tokensPerMinute: number | null;
  /** Days and months are those of UTC. */
  readonly tokensPerDay: number | null;
  readonly usdPerDay: number | null;
  readonly usdPerMonth: number | null;
  /** In all its life. */
  readonly usdTotal: number | null;
}

export const NO_MODEL_LIMITS: ModelLimits = { requestsPerMinute: null, tokensPerMinute: null, tokensPerDay: null, usdPerDay: null, usdPerMonth: null, usdTotal: null };

export interface ModelLimitField {
  readonly of: keyof ModelLimits;
  /** In files, in the API and in the database. */
  readonly name: string;
  readonly unit: 'requests' | 'tokens' | 'usd';
  readonly window: 'minute' | 'day' | 'month' | 'total';
  readonly about: string;
}

/** Everything that is said of a limit in more than one place. */
export const MODEL_LIMIT_FIELDS = [
  { of: 'requestsPerMinute', name: 'requests_per_minute', unit: 'requests', window: 'minute', about: 'Requests in a sliding minute' },
  { of: 'tokensPerMinute', name: 'tokens_per_minute', unit: 'tokens', window: 'minute', about: 'Tokens of prompt and answer in a sliding minute' },
  { of: 'tokensPerDay', name: 'tokens_per_day', unit: 'tokens', window: 'day', about: 'Tokens in a day of UTC' },
  { of: 'usdPerDay', name: 'usd_per_day', unit: 'usd', window: 'day', about: 'Dollars in a day of UTC' },
  { of: 'usdPerMonth', name: 'usd_per_month', unit: 'usd', window: 'month', about: 'Dollars in a month of UTC' },
  { of: 'usdTotal', name: 'usd_total', unit: 'usd', window: 'total', about: 'Dollars in all its life' },
] as const satisfies readonly ModelLimitField[];

export type ModelLimitName = (typeof MODEL_LIMIT_FIELDS)[number]['name'];

/** Requests and tokens are whole. Above the most dollars a double stops counting single nano-dollars. */
export const MODEL_LIMIT_BOUNDS = {
  requests: { min: 1, max: 1_000_000_000_000 },
  tokens: { min: 1, max: 1_000_000_000_000 },
  usd: { min: 0.000_001, max: 9_000_000 },
} as const satisfies Readonly<Record<ModelLimitField['unit'], { readonly min: number; readonly max: number }>>;

/** What a person says of a key; all but the owner can be changed later. */
export interface ModelKeySpec {
  /** Unique in its tenant, also after it was revoked. */
  readonly name: string;
  /** Names that may be asked for: backends, models, capabilities; null: all. */
  readonly models: readonly string[] | null;
  /** What is asked with it counts as this secret: Confidential (3) never goes to an external backend. */
  readonly sensitivity: Sensitivity;
  /** Access labels of what the holder reads. Cached answers are shared among equal labels only. */
  readonly labels: readonly string[];
  /** Lower is sooner. */
  readonly priority: number;
  readonly limits: ModelLimits;
  /** null: until it is revoked. */
  readonly expiresAt: Date | null;
}

/** A virtual key for models. The secret is shown once and not kept. */
export interface ModelKey extends ModelKeySpec {
  readonly tenantId: string;
  readonly id: string;
  /** First characters of the secret, for people to tell keys apart. */
  readonly prefix: string;
  /** Who is billed: a user id, or `service:NAME`. */
  readonly owner: string;
  /** The labels were given by somebody who acts for others. Else the key opens nothing once its owner has left one of their groups. */
  readonly labelsGranted: boolean;
  readonly createdBy: string;
  readonly createdAt: Date;
  readonly updatedAt: Date;
  readonly revokedAt: Date | null;
  /** To about five minutes. */
  readonly lastUsedAt: Date | null;
  /** Counts changes: whoever changes it says which one he has seen. */
  readonly revision: number;
}
