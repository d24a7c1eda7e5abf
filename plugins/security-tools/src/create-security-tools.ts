import type { ToolAdapter } from '@openeaap/adapter';
import { PlatformError, toPlatformError } from '@openeaap/kernel';
import type { Dispatcher } from 'undici';
import { Agent } from 'undici';
import { createCheckIpReputation } from './check-ip-reputation.ts';
import { createCmdbLookup } from './cmdb-lookup.ts';
import { createFirewallBlockIp } from './firewall-block-ip.ts';
import type { SecurityToolsConfig, SecurityToolsOptions } from './parse-config.ts';
import { parseConfig } from './parse-config.ts';
import { requestJson } from './request-json.ts';
import type { Ask, SecurityTool } from './security-tool.ts';
import { below } from './security-tool.ts';

/** The pack holds connections; close it when no call is running. */
export interface SecurityTools extends ToolAdapter {
  readonly close: () => Promise<void>;
}

const HEALTH_TIMEOUT_MS = 2_000;

/**
 * `check_ip_reputation`, `cmdb_lookup` and `firewall_block_ip` over HTTP. Errors of this function:
 * `invalid_input` for a configuration that cannot be used.
 */
export function createSecurityTools(config: SecurityToolsConfig): SecurityTools {
  const options = parseConfig(config);
  // Connections are kept for a few seconds only: alerts come in bursts, and an idle socket is often half dead.
  const dispatcher = new Agent({ connect: { timeout: options.timeoutMs }, keepAliveTimeout: 5_000 });
  const tools = createTools(options, (request) => requestJson(dispatcher, { ...request, timeoutMs: options.timeoutMs }));
  return {
    handshake: () => Promise.resolve({ name: 'security-tools', version: '1.0.0', tools: [...tools.values()].map((tool) => tool.spec) }),
    call: async (invocation, context) => {
      const tool = tools.get(invocation.tool);
      if (tool === undefined) throw new PlatformError('tool_failed', `security-tools has no tool "${invocation.tool}".`);
      if (context.signal.aborted) throw new PlatformError('cancelled', 'The call was cancelled.');
      try {
        return { output: await tool.call(invocation, context) };
      } catch (thrown) {
        throw toPlatformError(thrown, 'tool_failed');
      }
    },
    healthCheck: () => checkHealth(dispatcher, options),
    close: () => dispatcher.destroy(),
  };
}

function createTools({ threatIntelUrl, cmdbUrl, firewallUrl, timeoutMs }: SecurityToolsOptions, ask: Ask): ReadonlyMap<string, SecurityTool> {
  const tools = [createCheckIpReputation(threatIntelUrl, timeoutMs, ask), createCmdbLookup(cmdbUrl, timeoutMs, ask), createFirewallBlockIp(firewallUrl, timeoutMs, ask)];
  return new Map(tools.map((tool) => [tool.spec.name, tool]));
}

/** Serving means that each product answers at all; what it answers to an unknown path does not matter. */
async function checkHealth(dispatcher: Dispatcher, options: SecurityToolsOptions): Promise<{ readonly serving: boolean; readonly detail: string }> {
  const products = [
    ['threat intelligence', options.threatIntelUrl],
    ['CMDB', options.cmdbUrl],
    ['firewall', options.firewallUrl],
  ] as const;
  const reached = await Promise.all(products.map(async ([name, url]) => ({ name, ok: await answers(dispatcher, below(url, 'health')) })));
  const missing = reached.filter((product) => !product.ok).map((product) => product.name);
  return missing.length === 0 ? { serving: true, detail: 'All products answer.' } : { serving: false, detail: `Not reachable: ${missing.join(', ')}.` };
}

async function answers(dispatcher: Dispatcher, url: URL): Promise<boolean> {
  try {
    const response = await dispatcher.request({ origin: url.origin, path: url.pathname, method: 'GET', signal: AbortSignal.timeout(HEALTH_TIMEOUT_MS) });
    await response.body.dump({ limit: 4_096 });
    return response.statusCode < 500;
  } catch {
    return false;
  }
}
