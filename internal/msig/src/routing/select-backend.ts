import type { BackendConfig, GatewayConfig } from '../config/gateway-config.ts';
import { createModelTable } from './model-table.ts';

/**
 * The first of the backends that `model` stands for (`createModelTable` says how it is read): the
 * default wins, then the order of the configuration. Of any request in particular it says nothing;
 * that is `Fleet.plan`. Errors: `not_found` with what there is to choose from.
 */
export function selectBackend(config: GatewayConfig, model: string): BackendConfig {
  const [first] = createModelTable(config)(model).backends;
  if (first === undefined) throw new Error('A word of the table stands for nobody.');
  return first;
}
