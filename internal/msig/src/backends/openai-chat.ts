import { setTimeout as sleep } from 'node:timers/promises';
import { LIMITS, PlatformError } from '@openeaap/kernel';
import type { ChatReply, ChatRequest } from '@openeaap/kernel';
import type { Pool } from 'undici';
import { createClosing } from './closing.ts';
import { createChatReader } from './chat-reader.ts';
import { completeOnce } from './complete-once.ts';
import { describeBadEndpoint } from '../config/config.ts';
import { parseEndpoint } from '../config/endpoint.ts';
import { inTime } from './in-time.ts';
import { openPool } from './openai-upstream.ts';
import { mayRepeat, retryWaitMs } from './retry-wait.ts';
import { toChatModelRequest } from '../request/chat-model-request.ts';

/** Chats with whatever server each call names: for a runtime in a process of its own, whose every step has an address and a credential. */
export interface OpenAiChat {
  /**
   * One chat. An empty `request.model` is sent as it is: the platform's gateway takes it for the
   * default. Errors: as the gateway's own chat, and `invalid_input` for a URL that is none. The
   * price is the server's business: `costUsdMicros` is 0.
   */
  readonly chat: (request: ChatRequest, call: OpenAiChatCall) => Promise<ChatReply>;
  /** Ends the chats in flight with `model_unavailable` and gives connections back. */
  readonly close: () => Promise<void>;
}

export interface OpenAiChatCall {
  /** As an OpenAI client has it: with `/v1` at the end. */
  readonly baseUrl: string;
  /** Goes into the header, and into no error. */
  readonly apiKey: string;
  readonly signal: AbortSignal;
  /** Text as it is produced. Once it was called, the chat is not tried again. */
  readonly onDelta?: (text: string) => void;
  /** Bound of the whole chat; default: the ceiling of a think, for the step has a clock of its own. */
  readonly timeoutMs?: number;
}

export interface OpenAiChatDeps {
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** Ids for tool calls that the server left without one. */
  readonly newId: () => string;
  /** 0 up to 1. */
  readonly random: () => number;
}

/** One more hides a dropped keep-alive connection. */
const ATTEMPTS = 2;
/** Servers whose connections are kept; of more, the one that was opened first gives its own back. */
const ORIGINS_MAX = 16;
/** What the server is called in errors and replies: who the backend was only the gateway knows. */
const NAME = 'gateway';

export function createOpenAiChat(deps: OpenAiChatDeps): OpenAiChat {
  const pools = new Map<string, Pool>();
  const closing = createClosing();
  const poolOf = (origin: string): Pool => {
    const known = pools.get(origin);
    if (known !== undefined) return known;
    const [oldest] = pools.size >= ORIGINS_MAX ? pools : [];
    if (oldest !== undefined) {
      pools.delete(oldest[0]);
      // Not awaited: the chats on it end in their own time, and each has a clock.
      void oldest[1].close();
    }
    const pool = openPool(origin);
    pools.set(origin, pool);
    return pool;
  };

  const chat = async (request: ChatRequest, call: OpenAiChatCall): Promise<ChatReply> => {
    const problem = describeBadEndpoint(call.baseUrl);
    if (problem !== null) throw new PlatformError('invalid_input', `The base URL of the model gateway cannot be used: ${problem}`, { details: { field: 'baseUrl' } });
    const ended = closing.reason();
    if (ended !== null) throw ended;
    const endpoint = parseEndpoint(call.baseUrl);
    const timeoutMs = call.timeoutMs ?? LIMITS.thinkTimeoutCeilingMs;
    const context = { backend: NAME, apiKey: call.apiKey };
    const upstream = { pool: poolOf(endpoint.origin), endpoint, context, firstByteTimeoutMs: timeoutMs, now: deps.now };
    const target = { model: () => request.model, newId: deps.newId };
    const completion = toChatModelRequest(request);
    const reader = createChatReader({ context, onDelta: call.onDelta });
    const bounds = { caller: call.signal, closing, timeoutMs, timedOut: () => timedOut(timeoutMs) };
    const deadlineMs = deps.now() + timeoutMs;
    const attempt = (signal: AbortSignal) => {
      reader.restart();
      return completeOnce(upstream, target, { completion, call: { signal, maxTokens: request.maxTokens ?? null, onChunk: reader.onChunk, onUsage: () => undefined } });
    };
    const { model, usage } = await inTime(bounds, (signal) => withRetries(() => attempt(signal), { ...deps, signal, deadlineMs, passedOn: reader.passedOn }));
    const reply = reader.finish();
    return { ...reply, model: reply.model === '' ? model : reply.model, usage: { ...usage, costUsdMicros: 0 }, backend: NAME };
  };

  return {
    chat,
    close: async () => {
      closing.close(new PlatformError('model_unavailable', 'The connection to the model gateway is closed.', { details: { reason: 'closing' } }));
      await Promise.all([...pools.values()].map((pool) => pool.destroy()));
    },
  };
}

function timedOut(timeoutMs: number): PlatformError {
  return new PlatformError('model_unavailable', `The model gateway did not finish within ${timeoutMs} ms.`, { details: { backend: NAME, reason: 'timeout', timeout_ms: timeoutMs } });
}

interface Tries extends Pick<OpenAiChatDeps, 'now' | 'random'> {
  readonly signal: AbortSignal;
  /** No wait may go beyond it. */
  readonly deadlineMs: number;
  readonly passedOn: () => boolean;
}

async function withRetries<T>(attempt: () => Promise<T>, { now, random, signal, deadlineMs, passedOn }: Tries): Promise<T> {
  for (let made = 1; ; made += 1) {
    try {
      return await attempt();
    } catch (thrown) {
      signal.throwIfAborted();
      if (!(thrown instanceof PlatformError) || passedOn() || made >= ATTEMPTS || !mayRepeat(thrown)) throw thrown;
      const waitMs = retryWaitMs(thrown, made, random);
      if (now() + waitMs >= deadlineMs) throw thrown;
      await sleep(waitMs, undefined, { signal });
    }
  }
}
