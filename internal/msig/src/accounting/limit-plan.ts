import { createHash } from 'node:crypto';
import type { ModelLimitField, ModelLimits } from '@openeaap/kernel';
import { MODEL_LIMIT_FIELDS } from '@openeaap/kernel';
import type { LimitConfig } from '../config/gateway-config.ts';
import type { MeteredAccess, ReserveRequest } from './accountant.ts';
import { NANOS_PER_USD } from './price-of.ts';
import type { TakeItem } from './shared-counters.ts';

export type LimitUnit = ModelLimitField['unit'];

/** One thing that a request takes from, and what it is called in answers. An amount of 0 is only charged for, if it was used after all. */
export interface PlannedTake extends TakeItem {
  readonly per: LimitConfig['per'];
  readonly unit: LimitUnit;
  /** E.g. `tokens_per_minute`. */
  readonly field: string;
}

/** What a request takes from; empty: no limit holds. */
export interface LimitPlan {
  /** Of the key, the user and the tenant. */
  readonly ofCaller: (request: ReserveRequest) => readonly PlannedTake[];
  readonly ofBackend: (backend: string, request: ReserveRequest) => readonly PlannedTake[];
}

const NOTHING: readonly PlannedTake[] = [];

/**
 * Sorts the configured limits by their subject once. A counter names who, what and how long, not
 * the limit: two limits on one counter take from it once and the tighter one holds, and a limit
 * that is changed goes on with what was counted.
 */
export function planLimits(limits: readonly LimitConfig[]): LimitPlan {
  const rulesOf = (per: LimitConfig['per']): readonly Rule[] => limits.filter((limit) => limit.per === per).map(toRule);
  const callers = (['key', 'user', 'tenant'] as const).map((per) => ({ per, rules: rulesOf(per) })).filter(({ rules }) => rules.length > 0);
  const backends = rulesOf('model');
  return {
    ofCaller: (request) => {
      const own = request.access.limits ?? null;
      if (callers.length === 0 && own === null) return NOTHING;
      const takes = new Map<string, PlannedTake>();
      for (const { per, rules } of callers) addRules(takes, rules, { per, ...callerOf(per, request.access), request });
      const key = callerOf('key', request.access);
      if (own !== null && key.subject !== '') addTakes(takes, toAmounts(own), { per: 'key', ...key, request });
      return takes.size === 0 ? NOTHING : [...takes.values()];
    },
    ofBackend: (backend, request) => {
      if (backends.length === 0) return NOTHING;
      const takes = new Map<string, PlannedTake>();
      addRules(takes, backends, { per: 'model', subject: backend, request });
      return takes.size === 0 ? NOTHING : [...takes.values()];
    },
  };
}

interface Rule {
  readonly name: string | null;
  readonly amounts: readonly Amount[];
}

interface Amount extends Pick<PlannedTake, 'field' | 'unit' | 'window'> {
  /** Whole: requests, tokens or nano-dollars. */
  readonly limit: number;
}

const toRule = (limit: LimitConfig): Rule => ({ name: limit.name, amounts: toAmounts({ ...limit, usdTotal: null }) });

function toAmounts(limits: ModelLimits): readonly Amount[] {
  return MODEL_LIMIT_FIELDS.flatMap(({ of, name, unit, window }) => {
    const limit = limits[of];
    return limit === null ? [] : [{ field: name, unit, window, limit: unit === 'usd' ? Math.round(limit * NANOS_PER_USD) : limit }];
  });
}

interface Holder {
  readonly per: LimitConfig['per'];
  /** Whose counters they are; empty: nobody's. */
  readonly subject: string;
  /** Another name that a limit may have it by. */
  readonly alias?: string | undefined;
  readonly request: ReserveRequest;
}

function callerOf(per: 'key' | 'user' | 'tenant', { keyId, keyName, userId, tenantId }: MeteredAccess): Pick<Holder, 'subject' | 'alias'> {
  if (per === 'key') return { subject: keyId ?? '', alias: keyName };
  return { subject: per === 'user' ? userId : tenantId };
}

function addRules(takes: Map<string, PlannedTake>, rules: readonly Rule[], holder: Holder): void {
  const { subject, alias } = holder;
  if (subject === '') return;
  for (const { name, amounts } of rules) if (name === null || name === subject || name === alias) addTakes(takes, amounts, holder);
}

function addTakes(takes: Map<string, PlannedTake>, amounts: readonly Amount[], { per, subject, request }: Holder): void {
  for (const { field, unit, window, limit } of amounts) {
    const amount = amountOf(unit, request);
    const counter = `${per}:${toName(subject)}/${unit}/${window}`;
    const other = takes.get(counter);
    if (other === undefined || limit < other.limit) takes.set(counter, { counter, window, amount, limit, per, unit, field });
  }
}

function amountOf(unit: LimitUnit, request: ReserveRequest): number {
  if (unit === 'requests') return 1;
  return Math.ceil(unit === 'tokens' ? request.tokens : request.costUsdNanos);
}

const SUBJECT_CHARS = 200;

/** Stores bound the names of counters. */
function toName(subject: string): string {
  const encoded = encodeURIComponent(subject.toWellFormed());
  return encoded.length <= SUBJECT_CHARS ? encoded : `sha256-${createHash('sha256').update(subject).digest('hex')}`;
}
