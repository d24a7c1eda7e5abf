import type { Backend } from './backend.ts';
import { chatOnce } from './chat-once.ts';
import type { BackendConfig } from './config.ts';
import { parseEndpoint } from './endpoint.ts';
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
  return {
    chat: (request, call) => {
      let passedOn = false;
      const onDelta = (text: string): void => {
        passedOn = true;
        call.onDelta(text);
      };
      const tries = { signal: call.signal, deadlineMs: call.deadlineMs, passedOn: () => passedOn };
      return withRetries(upstream, tries, () => chatOnce(upstream, { model, newId: deps.newId }, { request, call: { ...call, onDelta } }));
    },
    close: () => upstream.pool.destroy(),
  };
}
