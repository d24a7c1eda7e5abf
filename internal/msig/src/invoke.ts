import type { Tracer } from '@opentelemetry/api';
import { addUsage, LIMITS, NO_USAGE, PlatformError, toPlatformError, unlessAborted } from '@openeaap/kernel';
import type { TokenUsage } from '@openeaap/kernel';
import type { Drawn, LedgerEntry, Reservation } from './accounting/accountant.ts';
import { priceNanosOf, priceOf } from './accounting/price-of.ts';
import { estimateDemand } from './accounting/estimate-demand.ts';
import type { UsageMeter } from './accounting/usage-meter.ts';
import { askInTurn } from './ask-in-turn.ts';
import type { Retake } from './ask-in-turn.ts';
import type { RequestReply, TokenCounts } from './backends/backend.ts';
import type { Closing } from './backends/closing.ts';
import { inTime } from './backends/in-time.ts';
import { DEFAULT_CACHE_CONTROL } from './cache/answer-cache.ts';
import type { CacheOutcome } from './cache/answer-cache.ts';
import type { BackendConfig, Prices } from './config/gateway-config.ts';
import type { Answer, AskOptions, GatewayDeps } from './gateway.ts';
import { startInvokeSpan } from './invoke-span.ts';
import type { OpenFleet } from './open-fleet.ts';
import { toDeniedFact } from './privacy/create-egress-guard.ts';
import type { ModelRequest } from './request/model-request.ts';
import type { Plan } from './routing/fleet.ts';

export interface InvokeDeps extends GatewayDeps {
  readonly tracer: Tracer;
  readonly meter: UsageMeter;
  readonly closing: Closing;
  readonly live: () => OpenFleet;
}

export interface InvokeOptions<F> extends AskOptions {
  /** Makes what the caller wants of the whole stream; its error is the call's. */
  readonly finish: () => F;
  /** Only used where no cache keeps the chunks too. */
  readonly retake?: Retake;
}

export type Invoke = <F>(request: ModelRequest, options: InvokeOptions<F>) => Promise<{ readonly answer: Answer; readonly finished: F }>;

const OFF: CacheOutcome = { state: 'off', level: null, ageMs: null, similarity: null };
const NO_HEADERS = {} as const;

/**
 * One request from its plan to its bill: what it may use is reserved, a cache or the backends of the
 * plan answer, and what was used is settled, metered and written down once, however it ended.
 */
export function createInvoke(deps: InvokeDeps): Invoke {
  return async (request, options) => {
    const open = deps.live();
    const { access } = options;
    let plan: Plan;
    try {
      plan = open.fleet.plan(request, access);
    } catch (thrown) {
      const error = toPlatformError(thrown);
      await tellRefused(deps, error, { request, options });
      throw error;
    }
    const [primary] = plan.backends;
    if (primary === undefined) throw new PlatformError('internal', 'No backend was planned for this request.');
    const release = open.hold();
    const bill = openBill(deps, { request, options, plan: plan.backends, primary });
    const timeoutMs = Math.min(options.timeoutMs ?? LIMITS.thinkTimeoutCeilingMs, primary.timeoutMs);
    const bounds = {
      caller: options.signal,
      closing: deps.closing,
      timeoutMs,
      timedOut: () => timedOut(bill.backend().name, timeoutMs),
      // Not when the backend has noticed: a step's usage is taken as soon as the step was stopped.
      onStopped: (reason: PlatformError) => bill.settle(null, reason),
    };
    try {
      return await bill.span.run(() =>
        inTime(bounds, async (signal) => {
          await bill.reserve(signal);
          const { reply, cache } = await answerOf(deps, open, { request, options, plan, bill, signal, deadlineMs: bill.startedMs + timeoutMs });
          bill.route(cache);
          const finished = options.finish();
          const usage = bill.settle(reply, null);
          return { answer: { ...reply, usage, backend: bill.backend().name, cache }, finished };
        }),
      );
    } catch (thrown) {
      const error = toPlatformError(thrown);
      bill.settle(null, error);
      throw error;
    } finally {
      release();
    }
  };
}

/** That nobody may answer is told like any other end; that Confidential content had nowhere to go is in the audit too. */
async function tellRefused(deps: InvokeDeps, error: PlatformError, { request, options }: { readonly request: ModelRequest; readonly options: AskOptions }): Promise<void> {
  const { access } = options;
  options.onUsage?.(NO_USAGE);
  deps.observe?.({ kind: request.kind, backend: '', model: '', outcome: error.code, latencyMs: 0, firstByteMs: null, usage: NO_USAGE, cache: null, access });
  if (error.code === 'policy_denied') await deps.auditEgress(toDeniedFact({ request, access, backend: { name: request.model, endpoint: '' } }, error));
}

interface AnswerParts {
  readonly request: ModelRequest;
  readonly options: InvokeOptions<unknown>;
  readonly plan: Plan;
  readonly bill: Bill;
  readonly signal: AbortSignal;
  readonly deadlineMs: number;
}

async function answerOf(deps: InvokeDeps, open: OpenFleet, parts: AnswerParts): Promise<{ readonly reply: RequestReply; readonly cache: CacheOutcome }> {
  const { request, options, plan, bill, signal, deadlineMs } = parts;
  const turns = { fleet: open.fleet, backendOf: open.backendOf, guard: deps.guard, auditEgress: deps.auditEgress, now: deps.now, random: deps.random };
  const produce = (sink: { readonly signal: AbortSignal; readonly onChunk: AskOptions['onChunk'] }): Promise<RequestReply> =>
    askInTurn(turns, { request, access: options.access, plan, deadlineMs, maxTokens: options.maxTokens ?? null, signal: sink.signal, onChunk: sink.onChunk, retake: open.cache === null ? (options.retake ?? null) : null, reserveAt: bill.reserveAt, onBackend: bill.ask, onFirstByte: bill.firstByte, onUsage: bill.spend });
  const toClient = (json: string): Promise<void> | null => {
    // A reader that has stopped reading must not keep a call alive that was ended.
    const full = options.onChunk(json);
    return full === null ? null : unlessAborted(signal, full, () => toPlatformError(signal.reason, 'cancelled'));
  };
  if (open.cache === null) {
    const onChunk = (json: string): Promise<void> | null => {
      bill.route(OFF);
      return toClient(json);
    };
    return { reply: await produce({ signal, onChunk }), cache: OFF };
  }
  return open.cache.through(
    { request, access: options.access, control: options.cacheControl ?? DEFAULT_CACHE_CONTROL, identity: identityOf(plan.backends, request, options.maxTokens ?? null), signal, onChunk: toClient, onOutcome: bill.route },
    produce,
  );
}

/**
 * What may answer, in one text: whatever order the plan has today, the same backends with the same
 * models; an adapter is another model; and a bound that stands beside the body, for it cuts answers.
 */
function identityOf(plan: readonly BackendConfig[], { model }: ModelRequest, maxTokens: number | null): string {
  const names = plan.map((backend) => `${backend.name}=${backend.adapters.includes(model) ? model : backend.model}`);
  const all = names.length === 1 ? (names[0] ?? '') : names.toSorted().join('|');
  return maxTokens === null ? all : `${all}#${maxTokens}`;
}

/** What one call has used, and who is to be told. */
interface Bill {
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

function openBill(deps: InvokeDeps, { request, options, plan, primary }: BillParts): Bill {
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

/** What is granted to a caller who has left meanwhile is given back; he does not wait for it. */
async function heldUnlessAborted(asked: Promise<Reservation>, signal: AbortSignal): Promise<Reservation> {
  try {
    return await unlessAborted(signal, asked, () => toPlatformError(signal.reason, 'cancelled'));
  } catch (thrown) {
    if (signal.aborted) void asked.then((late) => late.settle(NOTHING_DRAWN), () => undefined);
    throw thrown;
  }
}

const NOTHING_DRAWN = { promptTokens: 0, completionTokens: 0, costUsdNanos: 0 } as const;
const noTab = (): void => undefined;

/** What one backend of the plan has used, for the limits of that backend. */
interface Tab {
  /** Usage that is told after `settle` is charged. */
  readonly add: (spent: Drawn) => void;
  readonly settle: () => void;
}

function openTab(held: Reservation): Tab {
  let isSettled = false;
  let sum: Drawn = NOTHING_DRAWN;
  return {
    add: (spent) => {
      if (isSettled) return held.charge(spent);
      sum = { promptTokens: sum.promptTokens + spent.promptTokens, completionTokens: sum.completionTokens + spent.completionTokens, costUsdNanos: sum.costUsdNanos + spent.costUsdNanos };
    },
    settle: () => {
      isSettled = true;
      held.settle(sum);
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

function timedOut(backend: string, timeoutMs: number): PlatformError {
  return new PlatformError('model_unavailable', `The model backend "${backend}" did not finish within ${timeoutMs} ms.`, {
    details: { backend, reason: 'timeout', timeout_ms: timeoutMs },
  });
}

const numberOrNull = (value: unknown): number | null => (typeof value === 'number' ? value : null);
