import type { ModelKey, ModelKeySpec, ModelLimits } from '@openeaap/kernel';
import type { Caller, Page, PageRequest, TimeRange } from './port.ts';

/** The part of the platform's port that is about virtual keys for models and what their calls cost. */
export interface ModelKeyPort {
  /** Newest first. A caller for whom `actsForOthers` is false sees and changes only keys of its own. */
  listModelKeys(caller: Caller, filter: ModelKeyFilter, page: PageRequest): Promise<Page<ModelKeyItem>>;
  /**
   * `secret` is shown once. Errors: `conflict` (the name is taken, too many), `permission_denied`
   * (without `act_for_others`: for others, labels of groups that the caller is not in, a priority before others).
   */
  createModelKey(caller: Caller, request: CreateModelKeyRequest): Promise<{ readonly key: ModelKeyItem; readonly secret: string }>;
  /** `keyRef`: its id or its name. Errors: `not_found`. */
  getModelKey(caller: Caller, keyRef: string): Promise<ModelKeyItem>;
  /** Errors: those of `createModelKey`, `not_found`, and `conflict` when it is revoked, or somebody else changed it meanwhile. */
  updateModelKey(caller: Caller, keyRef: string, change: ModelKeyChange): Promise<ModelKeyItem>;
  /** Revoking what is revoked changes nothing. Errors: `not_found`. */
  revokeModelKey(caller: Caller, keyRef: string): Promise<ModelKeyItem>;

  /** What models were asked, of all users or, without `actsForOthers`, by the caller. The dearest first; days in their order. */
  getModelUsage(caller: Caller, query: ModelUsageQuery): Promise<readonly ModelUsageRow[]>;
}

export interface ModelKeyItem extends ModelKey {
  readonly status: 'active' | 'expired' | 'revoked';
}

export interface ModelKeyFilter {
  /** null: any. */
  readonly owner: string | null;
  readonly withRevoked: boolean;
}

export interface CreateModelKeyRequest extends Omit<ModelKeySpec, 'expiresAt'> {
  /** A user id, or `service:NAME`. */
  readonly owner: string;
  /** null: until it is revoked. */
  readonly expiry: { readonly kind: 'at'; readonly at: Date } | { readonly kind: 'after'; readonly delayMs: number } | null;
}

/** What is left out stays; so do limits that are left out. */
export interface ModelKeyChange extends Partial<Omit<ModelKeySpec, 'limits'>> {
  readonly limits?: Partial<ModelLimits>;
}

export const MODEL_USAGE_GROUPS = ['key', 'user', 'agent', 'run', 'model', 'backend', 'kind', 'cache', 'day'] as const;

export interface ModelUsageQuery extends TimeRange {
  readonly groupBy: (typeof MODEL_USAGE_GROUPS)[number];
  readonly limit: number;
}

export interface ModelUsageRow {
  /** Empty: none, e.g. calls of agents under `key`. */
  readonly key: string;
  readonly calls: number;
  readonly failed: number;
  readonly promptTokens: number;
  readonly completionTokens: number;
  /** Of the prompt. */
  readonly cachedTokens: number;
  /** Of the completion. */
  readonly reasoningTokens: number;
  readonly costUsdNanos: number;
  /** Calls whose tokens no server has counted. */
  readonly estimated: number;
  /** Sum over the calls. */
  readonly latencyMs: number;
}
