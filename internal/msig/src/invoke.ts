import type { Tracer } from '@opentelemetry/api';
import { LIMITS, NO_USAGE, PlatformError, toPlatformError, unlessAborted } from '@openeaap/kernel';
import type { UsageMeter } from './accounting/usage-meter.ts';
import { askInTurn } from './ask-in-turn.ts';
import type { Retake } from './ask-in-turn.ts';
import type { RequestReply } from './backends/backend.ts';
import type { Closing } from './backends/closing.ts';
import { inTime } from './backends/in-time.ts';
import { openBill } from './bill.ts';
import type { Bill } from './bill.ts';
import { DEFAULT_CACHE_CONTROL } from './cache/answer-cache.ts';
import type { CacheOutcome } from './cache/answer-cache.ts';
import type { BackendConfig } from './config/gateway-config.ts';
import type { Answer, AskOptions, GatewayDeps } from './gateway.ts';
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

function timedOut(backend: string, timeoutMs: number): PlatformError {
  return new PlatformError('model_unavailable', `The model backend "${backend}" did not finish within ${timeoutMs} ms.`, {
    details: { backend, reason: 'timeout', timeout_ms: timeoutMs },
  });
}
