import { PlatformError, toPlatformError } from '@openeaap/kernel';
import type { LimitConfig } from '../config/gateway-config.ts';
import { withinMs } from '../within-ms.ts';
import type { Accountant, Drawn, Reservation } from './accountant.ts';
import { createGiveQueue } from './give-queue.ts';
import type { GiveQueue } from './give-queue.ts';
import { createLedger } from './ledger.ts';
import type { WriteUsage } from './ledger.ts';
import { toLimitHeaders } from './limit-headers.ts';
import { planLimits } from './limit-plan.ts';
import type { LimitPlan, PlannedTake } from './limit-plan.ts';
import { refuseTake } from './refuse-take.ts';
import type { SharedCounters, TakeResult } from './shared-counters.ts';

export interface AccountantDeps {
  /** As configured now; another list after a reload. */
  readonly limits: () => readonly LimitConfig[];
  readonly counters: SharedCounters;
  readonly writeUsage: WriteUsage;
  /** UUIDs, for batches of the ledger. */
  readonly newId: () => string;
  /** What goes wrong in the background: corrections that stay open, a ledger that cannot be written. */
  readonly onError: (error: unknown) => void;
  /** How long a request waits for the counters. */
  readonly takeTimeoutMs?: number;
}

const TAKE_TIMEOUT_MS = 2_000;
const CLOSE_TIMEOUT_MS = 5_000;
const RETRY_AFTER_MS = 1_000;

const FREE: Reservation = { settle: () => undefined, charge: () => undefined, headers: {} };
const NOTHING_TAKEN: Promise<TakeResult> = Promise.resolve({ kind: 'granted', nowMs: 0, states: [] });

export function createAccountant(deps: AccountantDeps): Accountant {
  const { counters, takeTimeoutMs = TAKE_TIMEOUT_MS } = deps;
  const gives = createGiveQueue(counters, deps.onError);
  const ledger = createLedger({ write: deps.writeUsage, newId: deps.newId, onError: deps.onError });
  const plan = followLimits(deps.limits);

  const hold = async (tenantId: string, all: readonly PlannedTake[]): Promise<Reservation> => {
    // What costs nothing is not held up by a budget that is used up. A fallback may cost something after all.
    const takes = all.filter(({ amount }) => amount > 0);
    const unasked = all.filter(({ amount }) => amount <= 0);
    const taken = takes.length === 0 ? NOTHING_TAKEN : counters.take(tenantId, takes);
    const look = await withinMs(takeTimeoutMs, taken);
    if (look.kind === 'failed') throw toPlatformError(look.reason);
    if (look.kind === 'late') {
      // It may still be granted, to a request that is over.
      void taken.then((late) => correct(gives, tenantId, { held: heldOf(takes, late), used: NOTHING_USED }), () => undefined);
      throw new PlatformError('unavailable', `The limits could not be checked within ${takeTimeoutMs} ms.`, { details: { reason: 'limits_unavailable', retry_after_ms: RETRY_AFTER_MS } });
    }
    const result = look.value;
    if (result.kind === 'exceeded') throw refuseTake(takes, result.states, result.nowMs);
    const held = [...heldOf(takes, result), ...unasked.map((take) => ({ take, amount: 0, bucket: 0 }))];
    let isSettled = false;
    return {
      headers: toLimitHeaders(takes, result.states, result.nowMs),
      settle: (spent) => {
        if (isSettled) return;
        isSettled = true;
        correct(gives, tenantId, { held, used: toUsed(spent, 1) });
      },
      charge: (spent) => correct(gives, tenantId, { held: held.map((each) => ({ ...each, amount: 0 })), used: toUsed(spent, 0) }),
    };
  };

  const reserve = (tenantId: string, takes: readonly PlannedTake[]): Reservation | Promise<Reservation> => (takes.length === 0 ? FREE : hold(tenantId, takes));

  return {
    reserve: (request) => reserve(request.access.tenantId, plan().ofCaller(request)),
    reserveBackend: (backend, request) => reserve(request.access.tenantId, plan().ofBackend(backend, request)),
    record: ledger.record,
    close: async () => {
      await withinMs(CLOSE_TIMEOUT_MS, Promise.all([gives.close(), ledger.close()]));
    },
  };
}

/** Sorted anew only when the list is another one. */
function followLimits(limits: () => readonly LimitConfig[]): () => LimitPlan {
  let known = limits();
  let plan = planLimits(known);
  return () => {
    const now = limits();
    if (now === known) return plan;
    known = now;
    plan = planLimits(now);
    return plan;
  };
}

interface Held {
  readonly take: PlannedTake;
  readonly amount: number;
  readonly bucket: number;
}

function heldOf(takes: readonly PlannedTake[], result: TakeResult): readonly Held[] {
  if (result.kind !== 'granted') return [];
  return takes.map((take, index) => ({ take, amount: take.amount, bucket: result.states[index]?.bucket ?? 0 }));
}

type Used = Readonly<Record<PlannedTake['unit'], number>>;
const NOTHING_USED: Used = { requests: 0, tokens: 0, usd: 0 };
const toUsed = ({ promptTokens, completionTokens, costUsdNanos }: Drawn, requests: 0 | 1): Used => ({ requests, tokens: promptTokens + completionTokens, usd: costUsdNanos });

/** Back where less was used than is held, taken on top where more was. */
function correct(gives: GiveQueue, tenantId: string, { held, used }: { readonly held: readonly Held[]; readonly used: Used }): void {
  for (const { take, amount, bucket } of held) {
    const rest = amount - used[take.unit];
    if (rest !== 0) gives.add(tenantId, { counter: take.counter, window: take.window, bucket, amount: rest });
  }
}
