import type { Backend, BackendCall } from './backend.ts';
import { chatOnce } from './chat-once.ts';
import { completeOnce } from './complete-once.ts';
import type { BackendConfig } from '../config/gateway-config.ts';
import { parseEndpoint } from '../config/endpoint.ts';
import { firstListedModel, openPool, withRetries } from './openai-upstream.ts';
import type { Upstream } from './openai-upstream.ts';

export interface OpenAiBackendDeps {
  readonly now: () => number;
  readonly newId: () => string;
  readonly random: () => number;
}

/** A configured server that speaks the OpenAI Chat Completions API: OpenAI, vLLM, Ollama, llama.cpp. */
export function createOpenAiBackend(config: BackendConfig, deps: OpenAiBackendDeps): Backend {
  const endpoint = parseEndpoint(config.endpoint);
  const upstream: Upstream = {
    pool: openPool(endpoint.origin),
    endpoint,
    context: { backend: config.name, apiKey: config.apiKey?.() ?? '' },
    firstByteTimeoutMs: config.firstByteTimeoutMs,
    maxAttempts: config.maxAttempts,
    now: deps.now,
    random: deps.random,
  };
  /** Asked once, kept while the backend lives; not kept when asking failed. */
  let listed: string | null = config.model === '' ? null : config.model;
  const model = async (signal: AbortSignal): Promise<string> => {
    listed ??= await firstListedModel(upstream, signal);
    return listed;
  };
  const target = { model, newId: deps.newId };
  /** `attempt` gets what it calls when something of the answer has reached the caller. */
  const inTries = <T>({ signal, deadlineMs }: Pick<BackendCall, 'signal' | 'deadlineMs'>, attempt: (pass: () => void) => Promise<T>): Promise<T> => {
    let isPassedOn = false;
    return withRetries(upstream, { signal, deadlineMs, passedOn: () => isPassedOn }, () => attempt(() => {
      isPassedOn = true;
    }));
  };
  return {
    chat: (request, call) =>
      inTries(call, (pass) => {
        const onDelta = (text: string): void => {
          pass();
          call.onDelta(text);
        };
        return chatOnce(upstream, target, { request, call: { ...call, onDelta } });
      }),
    complete: (completion, call) =>
      inTries(call, (pass) => {
        const onChunk = (json: string): Promise<void> | null => {
          pass();
          return call.onChunk(json);
        };
        return completeOnce(upstream, target, { completion, call: { ...call, onChunk } });
      }),
    close: () => upstream.pool.destroy(),
  };
}
