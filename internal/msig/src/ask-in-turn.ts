import { setTimeout as sleep } from 'node:timers/promises';
import { PlatformError, toPlatformError } from '@openeaap/kernel';
import type { Access } from './access.ts';
import type { Backend, RequestReply, TokenCounts } from './backends/backend.ts';
import { mayRepeat, retryWaitMs } from './backends/retry-wait.ts';
import type { BackendConfig } from './config/gateway-config.ts';
import { hostOf, toDeniedFact } from './privacy/create-egress-guard.ts';
import type { AnswerRestorer, EgressFact, EgressGuard, EgressPass } from './privacy/egress-guard.ts';
import type { ModelRequest } from './request/model-request.ts';
import type { Fleet, Plan, TryOutcome } from './routing/fleet.ts';

export interface TurnsDeps {
  readonly fleet: Fleet;
  readonly backendOf: (config: BackendConfig) => Backend;
  readonly guard: EgressGuard;
  /** Written before anything leaves. Errors: nothing is sent. */
  readonly auditEgress: (fact: EgressFact) => Promise<void>;
  /** Milliseconds. */
  readonly now: () => number;
  /** 0 up to 1. */
  readonly random: () => number;
}

export interface Turns {
  readonly request: ModelRequest;
  readonly access: Access;
  readonly plan: Plan;
  readonly signal: AbortSignal;
  readonly deadlineMs: number;
  readonly maxTokens: number | null;
  readonly onChunk: (json: string) => Promise<void> | null;
  /** For a caller that can begin anew although it has seen chunks; null: what was passed on cannot be taken back. */
  readonly retake: Retake | null;
  /** Takes from the limits of one backend before it is asked; the returned function settles that. Errors: `quota_exceeded`, `unavailable`. */
  readonly reserveAt: (backend: BackendConfig, signal: AbortSignal) => (() => void) | Promise<() => void>;
  /** Which backend is about to answer; the last one told did. */
  readonly onBackend: (backend: BackendConfig) => void;
  readonly onFirstByte: () => void;
  readonly onUsage: (usage: TokenCounts, backend: BackendConfig) => void;
}

export interface Retake {
  /** Something has gone further than the caller. */
  readonly passedOn: () => boolean;
  /** Forget the chunks so far. */
  readonly restart: () => void;
}

/**
 * Asks the backends of the plan, one after the other, until one answers: each up to its number of
 * tries, at another of its servers where it has one. Nothing is tried again once a piece of an
 * answer was passed on, and no more often than the retry budget has room for.
 */
export async function askInTurn(deps: TurnsDeps, turns: Turns): Promise<RequestReply> {
  const { plan, signal, retake } = turns;
  let hasChunks = false;
  const onChunk = (json: string): Promise<void> | null => {
    hasChunks = true;
    return turns.onChunk(json);
  };
  const passedOn = (): boolean => hasChunks && (retake === null || retake.passedOn());
  let last: PlatformError | null = null;
  for (const backend of plan.backends) {
    if (last !== null && (passedOn() || !mayFallBack(last) || deps.now() >= turns.deadlineMs || !deps.fleet.takeRetry(backend))) throw last;
    try {
      const reply = await askBackend(deps, { ...turns, onChunk }, { backend, passedOn });
      return plan.fallbacks.includes(backend) ? { ...reply, keep: false } : reply;
    } catch (thrown) {
      signal.throwIfAborted();
      const error = toPlatformError(thrown);
      // What the first one said is more to the point than that a fallback was full, or not allowed.
      last = last !== null && isRefusal(error) ? last : error;
    }
  }
  throw last ?? new PlatformError('internal', 'No backend was planned for this request.');
}

/** Nobody was asked: no server is ready for it, it may not be sent there, or a limit of the backend is reached. */
function isRefusal({ code, details }: PlatformError): boolean {
  return code === 'policy_denied' || code === 'quota_exceeded' || ['breaker_open', 'queue_full', 'queue_timeout'].includes(String(details['reason']));
}

/** Another backend may do better: this one is away, answers nonsense, lacks the model or the right to it, may not see the content, or has no room within its limits. */
function mayFallBack({ code, details }: PlatformError): boolean {
  if (code === 'model_unavailable' || code === 'model_invalid_output' || code === 'policy_denied' || code === 'quota_exceeded') return true;
  return code === 'model_rejected' && [401, 403, 404, 429].includes(Number(details['status']));
}

interface AtBackend {
  readonly backend: BackendConfig;
  readonly passedOn: () => boolean;
}

async function askBackend(deps: TurnsDeps, turns: Turns, at: AtBackend): Promise<RequestReply> {
  const pass = at.backend.external ? await mask(deps, turns, at.backend) : null;
  const reserved = turns.reserveAt(at.backend, turns.signal);
  const settle = reserved instanceof Promise ? await reserved : reserved;
  try {
    return await askServers(deps, turns, { ...at, pass });
  } finally {
    settle();
  }
}

interface Sent {
  /** null: it stays in the house. */
  readonly pass: EgressPass | null;
}

async function askServers(deps: TurnsDeps, turns: Turns, { backend, passedOn, pass }: AtBackend & Sent): Promise<RequestReply> {
  const { signal, deadlineMs } = turns;
  const avoid: string[] = [];
  for (let made = 1; ; made += 1) {
    try {
      return await askServer(deps, turns, { backend, avoid, pass });
    } catch (thrown) {
      signal.throwIfAborted();
      if (!(thrown instanceof PlatformError) || passedOn() || made >= backend.maxAttempts || isRefusal(thrown) || !mayRepeat(thrown)) throw thrown;
      // Another server need not be waited for.
      const waitMs = deps.fleet.hasOther(backend, avoid) ? 0 : retryWaitMs(thrown, made, deps.random);
      if (deps.now() + waitMs >= deadlineMs || !deps.fleet.takeRetry(backend)) throw thrown;
      if (waitMs > 0) await sleep(waitMs, undefined, { signal });
    }
  }
}

/** What may leave; that something may not is written down. */
async function mask(deps: TurnsDeps, { request, access }: Turns, { name, endpoints }: BackendConfig): Promise<EgressPass> {
  const backend = { name, endpoint: endpoints[0] ?? '' };
  try {
    return deps.guard.prepare(request, access, backend);
  } catch (thrown) {
    const error = toPlatformError(thrown);
    await deps.auditEgress(toDeniedFact({ request, access, backend }, error));
    throw error;
  }
}

interface AtServer extends Pick<AtBackend, 'backend'>, Sent {
  /** Servers that were asked in vain; this one is added when it fails. */
  readonly avoid: string[];
}

async function askServer(deps: TurnsDeps, turns: Turns, { backend, avoid, pass }: AtServer): Promise<RequestReply> {
  const { access, signal, deadlineMs, maxTokens, onChunk } = turns;
  const request = pass?.request ?? turns.request;
  const restorer = pass?.restorer() ?? null;
  const place = await deps.fleet.enter(backend, request, access, { signal, deadlineMs, avoid });
  turns.onBackend(backend);
  const startedMs = deps.now();
  let firstByteMs: number | null = null;
  turns.retake?.restart();
  const leave = (error: PlatformError | null): void => place.leave({ error, firstByteMs, totalMs: deps.now() - startedMs } satisfies TryOutcome);
  try {
    // Each try leaves once more, for one server of the backend.
    if (pass !== null) await deps.auditEgress({ ...pass.fact, host: hostOf(place.endpoint) });
    const reply = await deps.backendOf(backend).ask(request, {
      signal,
      endpoint: place.endpoint,
      access,
      maxTokens,
      onChunk: restorer === null ? onChunk : (json) => sendAll(restorer.chunk(json), onChunk),
      onFirstByte: () => {
        firstByteMs ??= deps.now() - startedMs;
        place.began();
        turns.onFirstByte();
      },
      onUsage: (usage) => turns.onUsage(usage, backend),
    });
    const whole = restorer === null ? reply : await restored(restorer, reply, onChunk);
    leave(null);
    return whole;
  } catch (thrown) {
    const error = toPlatformError(signal.aborted ? signal.reason : thrown);
    avoid.push(place.endpoint);
    leave(error);
    throw error;
  }
}

async function restored(restorer: AnswerRestorer, reply: RequestReply, onChunk: Turns['onChunk']): Promise<RequestReply> {
  if (reply.document !== null) return { ...reply, document: restorer.document(reply.document) };
  await sendAll(restorer.end(), onChunk);
  return reply;
}

/** In order; waits for a slow reader between two. */
function sendAll(chunks: readonly string[], onChunk: Turns['onChunk']): Promise<void> | null {
  for (const [at, json] of chunks.entries()) {
    const full = onChunk(json);
    if (full !== null) return full.then(() => sendAll(chunks.slice(at + 1), onChunk) ?? undefined);
  }
  return null;
}
