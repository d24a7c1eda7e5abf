import { addUsage, NO_USAGE } from '@openeaap/kernel';
import type { PlatformError, TokenUsage } from '@openeaap/kernel';
import type { LedgerEntry, Reservation } from './accounting/accountant.ts';
import { heldUnlessAborted, noTab, openTab } from './accounting/backend-tab.ts';
import type { Tab } from './accounting/backend-tab.ts';
import { estimateDemand } from './accounting/estimate-demand.ts';
import { priceNanosOf, priceOf } from './accounting/price-of.ts';
import type { RequestReply, TokenCounts } from './backends/backend.ts';
import type { CacheOutcome } from './cache/answer-cache.ts';
import type { BackendConfig, Prices } from './config/gateway-config.ts';
import type { AskOptions } from './gateway.ts';
import { startInvokeSpan } from './invoke-span.ts';
import type { InvokeDeps } from './invoke.ts';
import type { ModelRequest } from './request/model-request.ts';

export type BillDeps = Pick<InvokeDeps, 'now' | 'tracer' | 'meter' | 'accountant' | 'observe'>;

const NO_HEADERS = {} as const;

/** What one call has used, and who is to be told. */
export interface Bill {
  readonly span: ReturnType<typeof startInvokeSpan>;
  readonly startedMs: number;
  readonly backend: () => BackendConfig;
  readonly reserve: (signal: AbortSignal) => Promise<void>;
  readonly reserveAt: (backend: BackendConfig, signal: AbortSignal) => (() => void) | Promise<() => void>;
  readonly ask: (backend: BackendConfig) => void;
  readonly firstByte: () => void;
  readonly spend: (counts: TokenCounts, backend: BackendConfig) => void;
  /** Tells the caller, once, where the answer comes from. */
  readonly route: (cache: CacheOutcome) => void;
  /** Once; later calls only give back what the first one found. */
  readonly settle: (reply: RequestReply | null, error: PlatformError | null) => TokenUsage;
}

interface BillParts {
  readonly request: ModelRequest;
  readonly options: AskOptions;
  readonly plan: readonly BackendConfig[];
  readonly primary: BackendConfig;
}

export function openBill(deps: BillDeps, { request, options, plan, primary }: BillParts): Bill {
  const { access } = options;
  const startedMs = deps.now();
  const span = startInvokeSpan(deps.tracer, primary, { kind: request.kind, attribution: access, isStream: request.isStream, maxTokens: options.maxTokens ?? request.maxTokens, temperature: numberOrNull(request.body['temperature']) });
  let backend = primary;
  let wasAsked = false;
  let usage: TokenUsage = NO_USAGE;
  let nanos = 0;
  let firstByteMs: number | null = null;
  let reservation: Reservation | null = null;
  let cache: CacheOutcome | null = null;
  let isSettled = false;

  const tabs = new Map<BackendConfig, Tab>();
  const demandAt = (prices: Prices) => ({ access, ...estimateDemand(request, { maxTokens: options.maxTokens ?? request.maxTokens, prices }) });
  const record = (spent: TokenUsage, costUsdNanos: number, about: Pick<LedgerEntry, 'calls' | 'outcome' | 'model' | 'latencyMs'>): void => {
    deps.accountant?.record({
      calls: about.calls,
      outcome: about.outcome,
      model: about.model,
      latencyMs: about.latencyMs,
      promptTokens: spent.promptTokens,
      completionTokens: spent.completionTokens,
      cachedTokens: spent.cachedTokens ?? 0,
      reasoningTokens: spent.reasoningTokens ?? 0,
      costUsdNanos,
      estimated: spent.estimated === true,
      access,
      kind: request.kind,
      backend: backend.name,
      cache: cache?.state ?? 'off',
      at: new Date(startedMs + about.latencyMs),
    });
  };

  return {
    span,
    startedMs,
    backend: () => backend,
    reserve: async (signal) => {
      if (deps.accountant === null || deps.accountant === undefined) return;
      const asked = deps.accountant.reserve(demandAt(dearestOf(plan)));
      reservation = asked instanceof Promise ? await heldUnlessAborted(asked, signal) : asked;
    },
    reserveAt: (at, signal) => {
      const asked = deps.accountant?.reserveBackend(at.name, demandAt(at.prices)) ?? null;
      if (asked === null) return noTab;
      const open = (held: Reservation): (() => void) => {
        const tab = openTab(held);
        tabs.set(at, tab);
        return tab.settle;
      };
      return asked instanceof Promise ? heldUnlessAborted(asked, signal).then(open) : open(asked);
    },
    ask: (asked) => {
      backend = asked;
      wasAsked = true;
    },
    firstByte: () => {
      firstByteMs ??= deps.now() - startedMs;
    },
    spend: (counts, by) => {
      const spent = { ...counts, costUsdMicros: priceOf(by.prices, counts) };
      const spentNanos = priceNanosOf(by.prices, counts);
      tabs.get(by)?.add({ ...spent, costUsdNanos: spentNanos });
      // The call was ended, but others waited for its answer, or the server told late: it is in no step's bill any more.
      if (isSettled) {
        reservation?.charge({ ...spent, costUsdNanos: spentNanos });
        return record(spent, spentNanos, { calls: 0, outcome: 'ok', model: by.model, latencyMs: 0 });
      }
      usage = addUsage(usage, spent);
      nanos += spentNanos;
    },
    route: (outcome) => {
      if (cache !== null) return;
      cache = outcome;
      options.onRouted?.({ backend: backend.name, cache: outcome, headers: reservation?.headers ?? NO_HEADERS });
    },
    settle: (reply, error) => {
      if (isSettled) return usage;
      isSettled = true;
      const latencyMs = deps.now() - startedMs;
      const model = reply?.model ?? backend.model;
      const outcome = error?.code ?? 'ok';
      reservation?.settle({ ...usage, costUsdNanos: nanos });
      if (access.stepId !== '') deps.meter.add(access.stepId, { usage, backend: backend.name, model, latencyMs });
      span.end({ usage, reply, error, backend: wasAsked ? backend.name : null, cache, firstByteMs });
      record(usage, nanos, { calls: 1, outcome, model, latencyMs });
      options.onUsage?.(usage);
      deps.observe?.({ kind: request.kind, backend: backend.name, model, outcome, latencyMs, firstByteMs, usage, cache, access });
      return usage;
    },
  };
}

/** A fallback may cost something although the first choice is free; a budget must not be passed for that. */
function dearestOf(plan: readonly BackendConfig[]): Prices {
  const [first] = plan;
  if (first !== undefined && plan.length === 1) return first.prices;
  const most = (read: (prices: Prices) => number): number => plan.reduce((dearest, { prices }) => Math.max(dearest, read(prices)), 0);
  return { input: most(({ input }) => input), cachedInput: most(({ cachedInput }) => cachedInput), output: most(({ output }) => output) };
}

const numberOrNull = (value: unknown): number | null => (typeof value === 'number' ? value : null);
