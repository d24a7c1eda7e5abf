import { trace } from '@opentelemetry/api';
import type { Tracer } from '@opentelemetry/api';
import { addUsage, LIMITS, NO_USAGE, PlatformError, toPlatformError, unlessAborted } from '@openeaap/kernel';
import type { ChatReply, ChatRequest, ErrorCode, TokenUsage } from '@openeaap/kernel';
import type { Backend, BackendCall, CompletionCall, CompletionReply, TokenCounts } from './backends/backend.ts';
import type { BackendConfig, BackendType, GatewayConfig } from './config/gateway-config.ts';
import { startInvokeSpan } from './invoke-span.ts';
import type { InvokeFacts, InvokeOutcome } from './invoke-span.ts';
import { inTime } from './backends/in-time.ts';
import { createOpenAiBackend } from './backends/openai-backend.ts';
import type { ModelRequest } from './request/model-request.ts';
import { parseScript } from './scripted/script.ts';
import { createScriptedBackend } from './scripted/scripted-backend.ts';
import { selectBackend } from './routing/select-backend.ts';
import { createUsageMeter } from './accounting/usage-meter.ts';
import type { UsageMeter } from './accounting/usage-meter.ts';

/** The one way to a model. */
export interface Gateway {
  /**
   * One chat with the backend that `request.model` selects. Errors: `model_unavailable` (may be
   * tried again), `model_rejected`, `model_invalid_output`, `not_found` (no such model),
   * `cancelled` (the caller's signal).
   */
  readonly chat: (request: ChatRequest, options: ChatOptions) => Promise<ChatReply>;
  /**
   * One chat completion in the words of the OpenAI API, of a body that `parseCompletion` has read.
   * Errors: as of `chat`, and `invalid_input` for what the backend cannot do. Where the server
   * refused what the client wrote, `details.upstream_message` is what it said.
   */
  readonly complete: (completion: Completion, options: CompleteOptions) => Promise<CompletionAnswer>;
  /** The configured backends, the default one first. */
  readonly models: () => readonly ModelInfo[];
  /** The backend that a name, a model or a capability selects. Errors: `not_found`. */
  readonly findModel: (model: string) => ModelInfo;
  /** Usage per step as the gateway saw it. */
  readonly meter: Pick<UsageMeter, 'take'>;
  /** How the latest chat of each backend went; asks no server. */
  readonly health: () => GatewayHealth;
  /** Ends the chats in flight with `model_unavailable` and gives connections back. */
  readonly close: () => Promise<void>;
}

export interface ChatOptions {
  readonly signal: AbortSignal;
  /** Text as it is produced. Nothing of it is taken back: once it was called, the chat is not tried again. */
  readonly onDelta?: (text: string) => void;
  readonly attribution: Attribution;
  /** Told once, when the call has ended, however it ended. */
  readonly onUsage?: (usage: TokenUsage) => void;
  /** Bound of the whole chat; the backend's `timeout_ms` holds where it is less. */
  readonly timeoutMs?: number;
}

export interface CompleteOptions extends Omit<ChatOptions, 'onDelta'>, Pick<CompletionCall, 'maxTokens' | 'onChunk'> {}

export interface CompletionAnswer extends Omit<CompletionReply, 'usage'> {
  readonly usage: TokenUsage;
  readonly backend: string;
}

/** For whom the tokens are spent. */
export interface Attribution {
  readonly tenantId: string;
  readonly runId: string;
  readonly stepId: string;
  /** The tool whose call this step is; null or not set: a think. */
  readonly tool?: string | null;
  readonly agentId: string;
  readonly userId: string;
  readonly traceId: string;
}

export interface ModelInfo {
  readonly name: string;
  readonly type: BackendType;
  readonly labels: Readonly<Record<string, string>>;
  readonly capabilities: readonly string[];
}

export interface GatewayHealth {
  /** False when the latest chat of the default backend found no model. */
  readonly serving: boolean;
  readonly backends: readonly BackendHealth[];
}

export interface BackendHealth {
  readonly name: string;
  /** `unknown` before its first chat. */
  readonly state: 'unknown' | 'up' | 'down';
  /** Safe to show. */
  readonly detail: string;
}

export interface GatewayDeps {
  /** Milliseconds since the epoch, for a Retry-After may name a date. */
  readonly now: () => number;
  /** Ids for tool calls that a server left without one. */
  readonly newId: () => string;
  /** 0 up to 1; spreads the waits between tries. */
  readonly random: () => number;
  /** The text of a script, by its path as the configuration file gives it. */
  readonly readScript: (path: string) => string;
  /** For metrics; called once per chat, and must not throw. */
  readonly observe?: (event: GatewayEvent) => void;
  /** Default: the global tracer, silent until an SDK is registered. */
  readonly tracer?: Tracer;
}

export interface GatewayEvent {
  readonly backend: string;
  /** The model's own name for itself where it answered. */
  readonly model: string;
  readonly outcome: 'ok' | ErrorCode;
  readonly latencyMs: number;
  /** All tries together. */
  readonly usage: TokenUsage;
  readonly attribution: Attribution;
}

/** Errors: `invalid_input` when a script cannot be used. */
export function createGateway(config: GatewayConfig, deps: GatewayDeps): Gateway {
  const backends = new Map(config.backends.map((each) => [each.name, createBackend(each, deps)]));
  const meter = createUsageMeter();
  const health = new Map<string, BackendHealth>();
  const closing = new AbortController();
  const tracer = deps.tracer ?? trace.getTracer('@openeaap/msig');

  /** What all calls have in common: their span, their clock, their place in the meter, and what the health says of the backend. */
  const invoke = async <R extends Answer>(model: string, { about, options, work }: Invocation<R>): Promise<R & { readonly usage: TokenUsage; readonly backend: string }> => {
    const selected = selectBackend(config, model);
    const backend = backends.get(selected.name);
    if (backend === undefined) throw new PlatformError('internal', `The backend "${selected.name}" was not created.`);
    const span = startInvokeSpan(tracer, selected, { ...about, attribution: options.attribution });
    const startedMs = deps.now();
    const spent: TokenUsage[] = [];
    const onUsage = (counts: TokenCounts): void => void spent.push(price(counts, selected.costUsdPer1k));
    let isSettled = false;
    const settle = (reply: InvokeOutcome['reply'], error: PlatformError | null): void => {
      if (isSettled) return;
      isSettled = true;
      const usage = spent.reduce(addUsage, NO_USAGE);
      const latencyMs = deps.now() - startedMs;
      const seen = { usage, backend: selected.name, model: reply?.model ?? selected.model, latencyMs };
      meter.add(options.attribution.stepId, seen);
      span.end({ usage, reply, error });
      noteHealth(health, selected.name, error);
      options.onUsage?.(usage);
      deps.observe?.({ ...seen, outcome: error?.code ?? 'ok', attribution: options.attribution });
    };
    const timeoutMs = Math.min(options.timeoutMs ?? LIMITS.thinkTimeoutCeilingMs, selected.timeoutMs);
    const bounds = {
      caller: options.signal,
      closing: closing.signal,
      timeoutMs,
      timedOut: () => timedOut(selected.name, timeoutMs),
      // Not when the backend has noticed: a step's usage is taken as soon as the step was stopped.
      onStopped: (reason: PlatformError) => settle(null, reason),
    };
    try {
      const reply = await span.run(() => inTime(bounds, (signal) => work(backend, { signal, deadlineMs: startedMs + timeoutMs, onUsage })));
      settle(reply, null);
      return { ...reply, usage: price(reply.usage, selected.costUsdPer1k), backend: selected.name };
    } catch (thrown) {
      const error = toPlatformError(thrown);
      settle(null, error);
      throw error;
    }
  };

  return {
    chat: (request, options) =>
      invoke(request.model, {
        about: { isStream: true, maxTokens: request.maxTokens ?? null, temperature: request.temperature ?? null },
        options,
        work: (backend, call) => backend.chat(request, { ...call, onDelta: options.onDelta ?? (() => undefined) }),
      }),
    complete: (completion, options) =>
      invoke(completion.model, {
        about: { isStream: completion.isStream, maxTokens: options.maxTokens ?? completion.maxTokens, temperature: numberOrNull(completion.body['temperature']) },
        options,
        work: (backend, call) => {
          // A reader that has stopped reading must not keep a call alive that was ended.
          const onChunk = (json: string): Promise<void> | null => {
            const full = options.onChunk(json);
            return full === null ? null : unlessAborted(call.signal, full, () => toPlatformError(call.signal.reason, 'cancelled'));
          };
          return backend.complete(completion, { ...call, maxTokens: options.maxTokens, onChunk });
        },
      }),
    models: () => listModels(config),
    findModel: (model) => toModelInfo(selectBackend(config, model)),
    meter: { take: meter.take },
    health: () => reportHealth(config, health),
    close: async () => {
      closing.abort(new PlatformError('model_unavailable', 'The model gateway is shutting down.', { details: { reason: 'closing' } }));
      await Promise.all([...backends.values()].map((backend) => backend.close()));
    },
  };
}

/** What every kind of answer says about itself. */
interface Answer {
  readonly model: string;
  readonly finishReason: string;
  readonly usage: TokenCounts;
}

interface Invocation<R extends Answer> {
  readonly about: Omit<InvokeFacts, 'attribution'>;
  readonly options: Omit<ChatOptions, 'onDelta'>;
  readonly work: (backend: Backend, call: Omit<BackendCall, 'onDelta'>) => Promise<R>;
}

const numberOrNull = (value: unknown): number | null => (typeof value === 'number' ? value : null);

function createBackend(config: BackendConfig, deps: GatewayDeps): Backend {
  if (config.type === 'scripted') return createScriptedBackend(parseScript(config.script, deps.readScript(config.script)), deps);
  return createOpenAiBackend(config, deps);
}

function timedOut(backend: string, timeoutMs: number): PlatformError {
  return new PlatformError('model_unavailable', `The model backend "${backend}" did not finish within ${timeoutMs} ms.`, {
    details: { backend, reason: 'timeout', timeout_ms: timeoutMs },
  });
}

function price(counts: TokenCounts, costUsdPer1k: number): TokenUsage {
  // USD per 1,000 tokens is 1,000 micro-dollars per token for each dollar.
  const costUsdMicros = Math.round((counts.promptTokens + counts.completionTokens) * costUsdPer1k * 1_000);
  return { ...counts, costUsdMicros };
}

function listModels(config: GatewayConfig): readonly ModelInfo[] {
  const first = config.backends.filter((each) => each.name === config.defaultBackend);
  const others = config.backends.filter((each) => each.name !== config.defaultBackend);
  return [...first, ...others].map(toModelInfo);
}

function toModelInfo({ name, type, labels, capabilities }: BackendConfig): ModelInfo {
  return { name, type, labels, capabilities };
}

/** Only `model_unavailable` says something about the server; a refused request, and a call that its caller ended, do not. */
function noteHealth(health: Map<string, BackendHealth>, name: string, error: PlatformError | null): void {
  if (error?.code === 'cancelled' || error?.code === 'unauthenticated' || error?.details['reason'] === 'closing') return;
  if (error?.code === 'model_unavailable') health.set(name, { name, state: 'down', detail: error.message });
  else health.set(name, { name, state: 'up', detail: '' });
}

function reportHealth(config: GatewayConfig, health: ReadonlyMap<string, BackendHealth>): GatewayHealth {
  const backends = config.backends.map(({ name }): BackendHealth => health.get(name) ?? { name, state: 'unknown', detail: 'No chat yet.' });
  return { serving: health.get(config.defaultBackend)?.state !== 'down', backends };
}
