import { PlatformError } from '@openeaap/kernel';
import { isExternal } from './is-external.ts';
import { assertHeaderSafe, BACKEND_DEFAULTS, describeBadEndpoint } from './config.ts';
import type { BackendConfig, GatewayConfig } from './gateway-config.ts';

/** The values of OPENAI_BASE_URL, OPENAI_API_KEY and OPENAI_MODEL; unset and empty are the same. */
export interface OpenAiEnvironment {
  readonly baseUrl: string | undefined;
  readonly apiKey: string | undefined;
  readonly model: string | undefined;
}

/** Where OPENAI_API_KEY alone points to, as in every OpenAI client. */
const OPENAI_BASE_URL = 'https://api.openai.com/v1';

/**
 * Puts the server that the well-known OPENAI_* variables name first and makes it the default;
 * without a base URL and a key the configuration comes back unchanged. It takes over every
 * capability of the configured backends: who sets the variables wants their model to answer,
 * also for agents that ask for a capability. A backend asked for by name stays reachable.
 * Without a model, the first that the server lists is used, asked at the first chat.
 * Errors: `invalid_input` when the URL or the key cannot be used; the message never shows them.
 */
export function withOpenAiEnvironment(config: GatewayConfig, environment: OpenAiEnvironment): GatewayConfig {
  const baseUrl = environment.baseUrl?.trim() ?? '';
  const apiKey = environment.apiKey?.trim() ?? '';
  if (baseUrl === '' && apiKey === '') return config;
  const endpoint = baseUrl === '' ? OPENAI_BASE_URL : baseUrl;
  const problem = describeBadEndpoint(endpoint);
  if (problem !== null) throw new PlatformError('invalid_input', `OPENAI_BASE_URL: ${problem}`, { details: { field: 'OPENAI_BASE_URL' } });
  if (apiKey !== '') assertHeaderSafe(apiKey, 'OPENAI_API_KEY');
  const { kinds, maxConcurrent, maxQueue, vllm, timeoutMs, maxAttempts } = BACKEND_DEFAULTS;
  const backend: BackendConfig = {
    name: freeName(config),
    type: 'openai',
    endpoints: [endpoint],
    model: environment.model?.trim() ?? '',
    adapters: [],
    capabilities: [...new Set(config.backends.flatMap((each) => each.capabilities))],
    kinds: [...kinds, 'embeddings'],
    prices: { input: 0, cachedInput: 0, output: 0 },
    contextWindow: null,
    size: null,
    external: isExternal(endpoint, config.privacy.internalHosts),
    weight: 1,
    fallbacks: [],
    ...(apiKey === '' ? {} : { apiKey: () => apiKey }),
    timeoutMs,
    firstByteTimeoutMs: timeoutMs,
    maxAttempts,
    maxConcurrent,
    maxQueue,
    vllm,
    script: '',
    labels: { source: 'environment' },
  };
  // Two that have a capability would share its requests by price.
  const others = config.backends.map((each) => ({ ...each, capabilities: [] }));
  return { ...config, defaultBackend: backend.name, backends: [backend, ...others] };
}

function freeName(config: GatewayConfig): string {
  const taken = new Set(config.backends.map((backend) => backend.name));
  let name = 'openai';
  while (taken.has(name)) name = `${name}-environment`;
  return name;
}
