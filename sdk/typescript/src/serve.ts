import { DRAIN_MS, announcement, createLineLog, loadPluginTls, pluginSettingsFromEnvironment, servePlugin } from '@openeaap/adapter';
import type { PluginLog } from '@openeaap/adapter';
import { PlatformError } from '@openeaap/kernel';
import type { HostedAgentDefinition } from './agent.ts';
import type { PluginProcess } from './environment.ts';
import { thisProcess } from './environment.ts';
import { createHostedAgents } from './hosted-agents.ts';
import type { Tool } from './tool.ts';
import { createToolPack } from './tool-pack.ts';
import { SDK_VERSION } from './version.ts';

export interface ServeOptions {
  /** The plugin's own name; `OPENEAAP_PLUGIN_NAME` wins. */
  readonly name: string;
  readonly version: string;
  readonly tools?: readonly Tool[];
  readonly agents?: readonly HostedAgentDefinition[];
  /** Steps at once; default 64, 0: no limit. */
  readonly maxConcurrentSteps?: number;
  /** Default: one line of JSON an entry, on standard error. */
  readonly log?: PluginLog;
  /** Default: this process. */
  readonly process?: PluginProcess;
}

export interface Serving {
  /** Where the plugin listens. */
  readonly address: string;
  /** Resolves once it has ended, by a signal or by `close`. */
  readonly closed: Promise<void>;
  /** Takes no new steps, finishes those under way for 10 s at most, and ends. */
  readonly close: () => Promise<void>;
}

/** What is left open then is cut: the launcher would kill us soon after. */
const LINGER_MS = 1_000;

/**
 * Serves tools and agents as a plugin, as the environment says (docs/plugin-protocol.md), until the process is told to end.
 * Errors: PlatformError `invalid_input` for what cannot be offered or set, with the cure; `unavailable` when the address is taken.
 */
export async function serve(options: ServeOptions): Promise<Serving> {
  const host = options.process ?? thisProcess();
  const { tools = [], agents = [] } = options;
  if (tools.length === 0 && agents.length === 0) throw new PlatformError('invalid_input', 'There is nothing to serve: give serve() tools, agents or both.', { details: { field: 'tools' } });
  const settings = pluginSettingsFromEnvironment(host.environment);
  const name = settings.name ?? options.name;
  const log = options.log ?? createLineLog(host.writeError);
  const plugin = await servePlugin({
    name,
    version: options.version,
    sdk: { language: 'typescript', version: SDK_VERSION },
    ...(tools.length === 0 ? {} : { tools: createToolPack(name, options.version, tools) }),
    ...(agents.length === 0 ? {} : { runtime: createHostedAgents(name, options.version, agents) }),
    listen: settings.listen,
    token: settings.token,
    tls: settings.tls === null ? null : await loadPluginTls(settings.tls),
    ...(options.maxConcurrentSteps === undefined ? {} : { maxConcurrentSteps: options.maxConcurrentSteps }),
    log,
  });
  let closing: Promise<void> | null = null;
  let settle: () => void = () => undefined;
  const closed = new Promise<void>((resolve) => (settle = resolve));
  const close = (): Promise<void> => {
    closing ??= plugin.close(DRAIN_MS).then(() => {
      forget();
      settle();
      return undefined;
    });
    return closing;
  };
  const stop = async (): Promise<void> => {
    await close();
    host.end(LINGER_MS);
  };
  const forget = host.onStop(() => void stop());
  host.writeOutput(announcement(plugin.address));
  log({ level: 'info', message: `${name} listens.`, listen: plugin.address, tools: tools.length, agents: agents.length });
  return { address: plugin.address, closed, close };
}
