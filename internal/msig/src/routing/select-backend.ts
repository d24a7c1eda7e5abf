import { PlatformError } from '@openeaap/kernel';
import type { BackendConfig, GatewayConfig } from '../config/gateway-config.ts';

/** For OpenAI clients, which must name a model. */
const DEFAULT = 'default';

/**
 * Which backend answers `model`: a backend's name, the model name that a backend sends, or a
 * capability, in this order; empty is the default, and so is `default` where nothing is called so. Of several the default wins, then the order
 * of the configuration. Errors: `not_found` with what there is to choose from.
 */
export function selectBackend(config: GatewayConfig, model: string): BackendConfig {
  const candidates = config.backends.toSorted((a, b) => rank(config, a) - rank(config, b));
  const wanted = model === '' ? config.defaultBackend : model;
  const found =
    candidates.find((backend) => backend.name === wanted) ??
    candidates.find((backend) => backend.model === wanted) ??
    candidates.find((backend) => backend.capabilities.includes(wanted)) ??
    (wanted === DEFAULT ? candidates[0] : undefined);
  if (found !== undefined) return found;
  const names = config.backends.map((backend) => backend.name);
  const capabilities = [...new Set(config.backends.flatMap((backend) => backend.capabilities))];
  throw new PlatformError('not_found', `No model backend is called "${wanted.slice(0, 100)}" and none has it as a capability. Backends: ${names.join(', ')}. Capabilities: ${capabilities.join(', ') || 'none'}.`, {
    details: { model: wanted.slice(0, 100), backends: names, capabilities },
  });
}

function rank(config: GatewayConfig, backend: BackendConfig): number {
  return backend.name === config.defaultBackend ? 0 : 1;
}
