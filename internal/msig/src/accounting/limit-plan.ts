import { createHash } from 'node:crypto';
import type { ModelLimits } from '@openeaap/kernel';
import type { LimitConfig } from '../config/gateway-config.ts';
import type { ReserveRequest } from './accountant.ts';
import { NANOS_PER_USD } from './price-of.ts';
import type { TakeItem } from './shared-counters.ts';

export type LimitUnit = 'requests' | 'tokens' | 'usd';

/** One thing that a request takes from, and what it is called in answers. An amount of 0 is only charged for, if it was used after all. */
export interface PlannedTake extends TakeItem {
  readonly per: LimitConfig['per'];
  readonly unit: LimitUnit;
  /** E.g. `tokens_per_minute`. */
  readonly field: string;
}

/** All limits that hold for a request; empty: none does. */
export type LimitPlan = (request: ReserveRequest) => readonly PlannedTake[];

const NOTHING: readonly PlannedTake[] = [];

/**
 * Sorts the configured limits by their subject once. A counter names who, what and how long, not
 * the limit: two limits on one counter take from it once and the tighter one holds, and a limit
 * that is changed goes on with what was counted.
 */
export function planLimits(limits: readonly LimitConfig[]): LimitPlan {
  const draws = new Map(SUBJECTS.map((per) => [per, limits.filter((limit) => limit.per === per).map(toRule)]));
  const active = SUBJECTS.filter((per) => draws.get(per)?.length !== 0);
  return (request) => {
    const own = request.access.limits ?? null;
    if (active.length === 0 && own === null) return NOTHING;
    const takes = new Map<string, PlannedTake>();
    for (const per of active) {
      const subject = subjectOf(per, request);
      if (subject === '') continue;
      for (const { name, amounts } of draws.get(per) ?? []) if (name === null || name === subject) addTakes(takes, amounts, { per, subject, request });
    }
    const key = subjectOf('key', request);
    if (own !== null && key !== '') addTakes(takes, toAmounts(own), { per: 'key', subject: key, request });
    return takes.size === 0 ? NOTHING : [...takes.values()];
  };
}

const SUBJECTS: readonly LimitConfig['per'][] = ['key', 'user', 'tenant', 'model'];

interface Rule {
  readonly name: string | null;
  readonly amounts: readonly Amount[];
}

interface Amount extends Pick<PlannedTake, 'field' | 'unit' | 'window'> {
  /** Whole: requests, tokens or nano-dollars. */
  readonly limit: number;
}

const FIELDS: readonly (Pick<Amount, 'field' | 'unit' | 'window'> & { readonly of: keyof ModelLimits })[] = [
  { of: 'requestsPerMinute', field: 'requests_per_minute', unit: 'requests', window: 'minute' },
  { of: 'tokensPerMinute', field: 'tokens_per_minute', unit: 'tokens', window: 'minute' },
  { of: 'tokensPerDay', field: 'tokens_per_day', unit: 'tokens', window: 'day' },
  { of: 'usdPerDay', field: 'usd_per_day', unit: 'usd', window: 'day' },
  { of: 'usdPerMonth', field: 'usd_per_month', unit: 'usd', window: 'month' },
  { of: 'usdTotal', field: 'usd_total', unit: 'usd', window: 'total' },
];

const toRule = (limit: LimitConfig): Rule => ({ name: limit.name, amounts: toAmounts({ ...limit, usdTotal: null }) });

function toAmounts(limits: ModelLimits): readonly Amount[] {
  return FIELDS.flatMap(({ of, field, unit, window }) => {
    const limit = limits[of];
    // Nine million dollars are where a double stops counting single nano-dollars; a budget above that is held at it.
    return limit === null ? [] : [{ field, unit, window, limit: unit === 'usd' ? Math.min(Number.MAX_SAFE_INTEGER, Math.round(limit * NANOS_PER_USD)) : limit }];
  });
}

/** Of `model`: the backend, which has the price; of an empty subject there is no limit. */
function subjectOf(per: LimitConfig['per'], { access, backend }: ReserveRequest): string {
  switch (per) {
    case 'key':
      return access.keyId ?? '';
    case 'user':
      return access.userId;
    case 'tenant':
      return access.tenantId;
    case 'model':
      return backend;
    default:
      return per satisfies never;
  }
}

interface Holder {
  readonly per: LimitConfig['per'];
  readonly subject: string;
  readonly request: ReserveRequest;
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
