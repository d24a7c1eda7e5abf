import { hash, randomBytes } from 'node:crypto';
import type { Context } from '@opentelemetry/api';
import { context } from '@opentelemetry/api';
import type { ChatReply, ChatRequest, Sensitivity, TokenUsage } from '@openeaap/kernel';
import { PlatformError } from '@openeaap/kernel';
import type { StepIdentity } from '@openeaap/orchestrator';
import type { Access, CacheControl, Gateway, ModelInfo, RequestKind, RoutedFacts, TokenBudget } from '@openeaap/msig';
import { createTokenBudget, parseRequest } from '@openeaap/msig';
import { MODEL_CREDENTIAL } from '@openeaap/native-runtime';
import { readTraceparent, underSpan } from './traceparent.ts';

/**
 * Credentials for the model gateway, each good for one step. Whoever holds one can do no more than
 * that step may: the gateway books its calls on the step, all of them together write no more than
 * the step's tokens, and they end with the step, or with its time if nobody ends it.
 *
 * A session owns its calls: revoking it aborts them before `revoke` returns, so that what they have
 * used is in the meter when the step is billed.
 */
export interface ModelSessions {
  readonly credentials: (step: StepIdentity) => Readonly<Record<string, string>>;
  readonly revoke: (stepId: string) => void;
  /** Errors: unauthenticated (unknown or revoked credential), quota_exceeded, and those of the gateway. */
  readonly chat: (request: ChatRequest, call: { readonly credential: string; readonly signal: AbortSignal; readonly onDelta: (text: string) => void }) => Promise<ChatReply>;
  /** For the door to the gateway: what a credential opens; null: nothing. */
  readonly enter: (credential: string) => ModelSession | null;
}

export interface ModelSession {
  readonly models: () => readonly ModelInfo[];
  /** Errors: not_found. */
  readonly findModel: (name: string) => ModelInfo;
  /** `body`: text of a request of this kind. Errors: those of the gateway, and invalid_input. */
  readonly ask: (kind: RequestKind, body: string, call: AskCall) => Promise<{ readonly document: string | null }>;
}

export interface AskCall {
  readonly signal: AbortSignal;
  /** W3C trace context of the caller. */
  readonly traceparent: string | null;
  readonly cacheControl: CacheControl;
  /** As the caller says; it can only make more of what is known. */
  readonly sensitivity: Sensitivity | null;
  /** Whom to book it on where no step says it. */
  readonly agent: string | null;
  readonly onChunk: (json: string) => Promise<void> | null;
  /** Told once, before the first chunk and before the answer. */
  readonly onRouted: (facts: RoutedFacts) => void;
}

export interface ModelSessionsOptions {
  /** Calls that one step may make; more is a loop. */
  readonly callsPerStep: number;
  /** A session that was not revoked lives this much longer than its step may: clocks and networks are not exact. */
  readonly graceMs: number;
}

const DEFAULTS: ModelSessionsOptions = { callsPerStep: 50, graceMs: 5_000 };
const CREDENTIAL_BYTES = 24;

interface Session {
  readonly hash: string;
  readonly step: StepIdentity;
  readonly budget: TokenBudget;
  /** Calls in flight: each has a signal of its own, for most steps end with none left to abort. */
  readonly running: Set<AbortController>;
  readonly expiry: NodeJS.Timeout;
  /** The span in which the step was made; what it asks of a model belongs under it. */
  readonly trace: Context;
  calls: number;
  isOver: boolean;
}

export function createModelSessions(gateway: Pick<Gateway, 'chat' | 'ask' | 'models' | 'findModel'>, options: Partial<ModelSessionsOptions> = {}): ModelSessions {
  const { callsPerStep, graceMs } = { ...DEFAULTS, ...options };
  const byHash = new Map<string, Session>();
  const byStep = new Map<string, Session>();
  /** One for all: every step ends, and an error with its stack for each would cost more than the rest of the session. */
  const over = new PlatformError('unauthenticated', 'The step of this credential is over: nobody waits for the answer any more.');

  const end = (session: Session): void => {
    clearTimeout(session.expiry);
    byHash.delete(session.hash);
    if (byStep.get(session.step.stepId) === session) byStep.delete(session.step.stepId);
    session.isOver = true;
    for (const call of session.running) call.abort(over);
  };
  const find = (credential: string): Session | null => byHash.get(hashOf(credential)) ?? null;

  /** What both kinds of call share: their number, their part of the budget, and their end with the session. */
  const inSession = async <R>(session: Session, { need, signal, under, work }: SessionCall<R>): Promise<R> => {
    if (session.calls >= callsPerStep) {
      throw new PlatformError('quota_exceeded', `This step has asked a model ${callsPerStep} times, which is as often as a step may. End the step with what there is.`, { details: { calls: callsPerStep } });
    }
    if (session.isOver) throw over;
    session.calls += 1;
    const call = new AbortController();
    const follow = (): void => call.abort(signal.reason);
    if (signal.aborted) follow();
    else signal.addEventListener('abort', follow, { once: true });
    session.running.add(call);
    try {
      const grant = await session.budget.reserve(need, call.signal);
      let used = 0;
      try {
        return await context.with(under, () => work({ tokens: grant.tokens, signal: call.signal, onUsage: ({ completionTokens }) => (used = completionTokens) }));
      } finally {
        grant.settle(used);
      }
    } finally {
      session.running.delete(call);
      signal.removeEventListener('abort', follow);
    }
  };

  return {
    credentials: (step) => {
      const previous = byStep.get(step.stepId);
      if (previous !== undefined) end(previous);
      const credential = `step-${randomBytes(CREDENTIAL_BYTES).toString('base64url')}`;
      const session: Session = {
        hash: hashOf(credential),
        step,
        budget: createTokenBudget(step.maxTokens),
        running: new Set(),
        expiry: setTimeout(() => end(session), step.timeoutMs + graceMs).unref(),
        trace: context.active(),
        calls: 0,
        isOver: false,
      };
      byHash.set(session.hash, session);
      byStep.set(step.stepId, session);
      return { [MODEL_CREDENTIAL]: credential };
    },
    revoke: (stepId) => {
      const session = byStep.get(stepId);
      if (session !== undefined) end(session);
    },
    chat: async (request, { credential, signal, onDelta }) => {
      const session = find(credential);
      if (session === null) throw over;
      const { timeoutMs } = session.step;
      return inSession(session, {
        need: { wanted: request.maxTokens ?? null, least: 1 },
        signal,
        under: session.trace,
        work: ({ tokens, signal: either, onUsage }) => gateway.chat(tokens === null ? request : { ...request, maxTokens: tokens }, { signal: either, onDelta, access: accessOf(session.step, null), timeoutMs, onUsage }),
      });
    },
    enter: (credential) => {
      const session = find(credential);
      if (session === null) return null;
      const { timeoutMs } = session.step;
      return {
        models: gateway.models,
        findModel: gateway.findModel,
        ask: async (kind, body, { signal, traceparent, sensitivity, agent: _agent, ...call }) => {
          const request = parseRequest(kind, body);
          const { choices, maxTokens } = request;
          return inSession(session, {
            // What writes nothing takes nothing.
            need: maxTokens === 0 ? { wanted: 0, least: 0 } : { wanted: maxTokens === null ? null : maxTokens * choices, least: choices },
            signal,
            under: joinTrace(session, traceparent),
            work: ({ tokens, signal: either, onUsage }) =>
              gateway.ask(request, { ...call, signal: either, access: accessOf(session.step, sensitivity), timeoutMs, onUsage, maxTokens: tokens === null || maxTokens === 0 ? null : Math.floor(tokens / choices) }),
          });
        },
      };
    },
  };
}

function accessOf({ maxTokens: _maxTokens, timeoutMs: _timeoutMs, ...step }: StepIdentity, said: Sensitivity | null): Access {
  return said !== null && said > (step.sensitivity ?? 1) ? { ...step, sensitivity: said } : step;
}

interface SessionCall<R> {
  readonly need: { readonly wanted: number | null; readonly least: number };
  readonly signal: AbortSignal;
  readonly under: Context;
  readonly work: (granted: { readonly tokens: number | null; readonly signal: AbortSignal; readonly onUsage: (usage: TokenUsage) => void }) => Promise<R>;
}

/** Only the hash is kept and looked up: neither a dump of the memory's tables nor the time of a lookup gives a credential away. */
const hashOf = (credential: string): string => hash('sha256', credential, 'hex');

/** Under the span that the caller names, if it belongs to the run: a runtime elsewhere has spans of its own between. */
function joinTrace({ trace: own, step }: Session, traceparent: string | null): Context {
  const remote = readTraceparent(traceparent);
  return remote === null || remote.traceId !== step.traceId ? own : underSpan(remote);
}
