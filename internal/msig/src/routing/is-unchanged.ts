import type { GatewayConfig } from '../config/gateway-config.ts';

/** Whether two configurations say the same of a backend and of the routing, so that what is known of it and under way there goes on. */
export function isUnchanged(name: string, before: GatewayConfig, after: GatewayConfig): boolean {
  const own = settingsOf(name, before);
  return own !== null && own === settingsOf(name, after);
}

function settingsOf(name: string, { backends, routing }: GatewayConfig): string | null {
  const backend = backends.find((each) => each.name === name);
  return backend === undefined ? null : JSON.stringify([backend, backend.apiKey?.(), routing]);
}
