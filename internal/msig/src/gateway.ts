import { trace } from '@opentelemetry/api';
import type { Tracer } from '@opentelemetry/api';
import { PlatformError } from '@openeaap/kernel';
import type { ChatReply, ChatRequest, ErrorCode, TokenUsage } from '@openeaap/kernel';
import type { Access } from './access.ts';
import type { Accountant, MeteredAccess } from './accounting/accountant.ts';
import { createUsageMeter } from './accounting/usage-meter.ts';
import type { UsageMeter } from './accounting/usage-meter.ts';
import { createChatReader } from './backends/chat-reader.ts';
import { createClosing } from './backends/closing.ts';
import type { AnswerCache, CacheControl, CacheOutcome } from './cache/answer-cache.ts';
import type { BackendConfig, BackendType, GatewayConfig } from './config/gateway-config.ts';
import { createInvoke } from './invoke.ts';
import { openFleetOf } from './open-fleet.ts';
import type { OpenFleet } from './open-fleet.ts';
import type { EgressFact, EgressGuard } from './privacy/egress-guard.ts';
import { toChatModelRequest } from './request/chat-model-request.ts';
import type { ModelRequest, RequestKind } from './request/model-request.ts';
import type { BackendHealth, FleetEvent } from './routing/fleet.ts';
import type { Asker } from './routing/model-catalog.ts';
import type { VllmLoad } from './vllm/load.ts';

/** The one way to a model. */
export interface Gateway {
  /**
   * One chat with the backend that `request.model` selects. Errors: `model_unavailable` (may be
   * tried again), `model_rejected`, `model_invalid_output`, `not_found` (no such model),
   * `permission_denied` and `policy_denied` (not for whoever asks), `quota_exceeded`, `cancelled`
   * (the caller's signal).
   */
  readonly chat: (request: ChatRequest, options: ChatOptions) => Promise<ChatReply>;
  /**
   * One request in the words of the OpenAI API, that `parseRequest` has read. Errors: as of `chat`,
   * and `invalid_input` for what no backend can do. Where the server refused what the client wrote,
   * `details.upstream_message` is what it said.
   */
  readonly ask: (request: ModelRequest, options: AskOptions) => Promise<Answer>;
  /** The configured backends, or those that a key may ask for by some name; the default one first. */
  readonly models: (asker?: Asker) => readonly ModelInfo[];
  /** The first backend that a name, a model, an adapter or a capability selects. Errors: `not_found`, `permission_denied`. */
  readonly findModel: (model: string, asker?: Asker) => ModelInfo;
  /** Usage per step as the gateway saw it. */
  readonly meter: Pick<UsageMeter, 'take'>;
  /** How the backends do; asks no server. */
  readonly health: () => GatewayHealth;
  /** What the vLLM servers said of themselves last, by endpoint. */
  readonly loads: () => ReadonlyMap<string, VllmLoad>;
  /**
   * Requests from now on follow this configuration; those under way end as they began. Errors:
   * `invalid_input` when a script cannot be used; the old configuration stays.
   */
  readonly reload: (config: GatewayConfig) => void;
  /** Ends the requests in flight with `model_unavailable` and gives connections back. */
  readonly close: () => Promise<void>;
}

interface CallOptions {
  readonly signal: AbortSignal;
  readonly access: MeteredAccess;
  /** Told once, when the call has ended, however it ended. */
  readonly onUsage?: (usage: TokenUsage) => void;
  /** Bound of the whole call; the backend's `timeout_ms` holds where it is less. */
  readonly timeoutMs?: number;
}

export interface ChatOptions extends CallOptions {
  /** Text as it is produced. Nothing of it is taken back: once it was called, the chat is not tried again. */
  readonly onDelta?: (text: string) => void;
}

export interface AskOptions extends CallOptions {
  /** Most tokens of each choice; null or not set: as the client asks. */
  readonly maxTokens?: number | null;
  readonly cacheControl?: CacheControl;
  /** JSON of one chunk, on one line; a promise is waited for before the next. */
  readonly onChunk: (json: string) => Promise<void> | null;
  /** Told once, before the first chunk and before the answer. */
  readonly onRouted?: (facts: RoutedFacts) => void;
}

/** What is known when the answer begins. */
export interface RoutedFacts {
  readonly backend: string;
  readonly cache: CacheOutcome;
  /** `x-ratelimit-*`. */
  readonly headers: Readonly<Record<string, string>>;
}

export interface Answer {
  readonly model: string;
  readonly finishReason: string;
  /** What this call cost; an answer from a cache costs nothing, whatever its body says. */
  readonly usage: TokenUsage;
  readonly backend: string;
  readonly cache: CacheOutcome;
  /** JSON of the whole answer; null after a stream. */
  readonly document: string | null;
}

export interface ModelInfo {
  readonly name: string;
  readonly type: BackendType;
  readonly labels: Readonly<Record<string, string>>;
  readonly capabilities: readonly string[];
}

export interface GatewayHealth {
  /** False when no server of the default backend may be asked. */
  readonly serving: boolean;
  readonly backends: readonly BackendHealth[];
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
  /** Looks through what leaves for external backends. */
  readonly guard: EgressGuard;
  /** Written before anything leaves the house; its error keeps the request here. */
  readonly auditEgress: (fact: EgressFact) => Promise<void>;
  /** Key of the salts that keep tenants apart in a server's prefix cache. */
  readonly saltKey: string;
  /** The caches of a configuration; opened again only when what it says of caches has changed. Default, and null: nothing is cached. */
  readonly openCache?: (config: GatewayConfig) => AnswerCache | null;
  /** null: nothing is limited or written into the ledger. */
  readonly accountant?: Accountant | null;
  /** For metrics; called once per request, and must not throw. */
  readonly observe?: (event: GatewayEvent) => void;
  readonly onFleetEvent?: (event: FleetEvent) => void;
  /** Default: the global tracer, silent until an SDK is registered. */
  readonly tracer?: Tracer;
}

export interface GatewayEvent {
  readonly kind: RequestKind;
  readonly backend: string;
  /** The model's own name for itself where it answered. */
  readonly model: string;
  readonly outcome: 'ok' | ErrorCode;
  readonly latencyMs: number;
  /** null: nothing came, or it came from a cache. */
  readonly firstByteMs: number | null;
  /** All tries together. */
  readonly usage: TokenUsage;
  readonly cache: CacheOutcome | null;
  readonly access: Access;
}

/** Errors: `invalid_input` when a script cannot be used. */
export function createGateway(config: GatewayConfig, deps: GatewayDeps): Gateway {
  const meter = createUsageMeter();
  const closing = createClosing();
  const tracer = deps.tracer ?? trace.getTracer('@openeaap/msig');
  let live = openFleetOf(config, deps);
  const retired = new Set<Promise<void>>();

  const invoke = createInvoke({ ...deps, tracer, meter, closing, live: () => live });

  const retire = (old: OpenFleet): void => {
    const gone = old
      .closeWhenIdle()
      .then(() => (old.cache === live.cache ? undefined : old.cache?.close()))
      .finally(() => retired.delete(gone));
    retired.add(gone);
  };

  return {
    chat: async (request, { onDelta, ...options }) => {
      const context = { backend: '', apiKey: '' };
      const reader = createChatReader({ context, onDelta });
      const { answer, finished } = await invoke(toChatModelRequest(request), {
        ...options,
        maxTokens: request.maxTokens ?? null,
        onRouted: ({ backend }) => {
          context.backend = backend;
        },
        onChunk: reader.onChunk,
        retake: reader,
        finish: reader.finish,
      });
      return { ...finished, model: finished.model === '' ? answer.model : finished.model, usage: answer.usage, backend: answer.backend };
    },
    ask: async (request, options) => (await invoke(request, { ...options, finish: () => null })).answer,
    models: (asker = {}) => live.fleet.visibleModels(asker).map(toModelInfo),
    findModel: (model, asker = {}) => toModelInfo(live.fleet.find(model, asker)),
    meter: { take: meter.take },
    health: () => {
      const backends = live.fleet.health();
      return { serving: backends.find(({ name }) => name === live.config.defaultBackend)?.state !== 'down', backends };
    },
    loads: () => live.loads(),
    reload: (next) => {
      const old = live;
      live = openFleetOf(next, deps, old);
      retire(old);
    },
    close: async () => {
      closing.close(new PlatformError('model_unavailable', 'The model gateway is shutting down.', { details: { reason: 'closing' } }));
      await Promise.all([live.close(), ...retired]);
      await live.cache?.close();
      await deps.accountant?.close();
    },
  };
}

function toModelInfo({ name, type, labels, capabilities }: BackendConfig): ModelInfo {
  return { name, type, labels, capabilities };
}
