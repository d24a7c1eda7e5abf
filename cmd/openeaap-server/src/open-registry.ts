import { existsSync } from 'node:fs';
import path from 'node:path';
import type { createRetrieve } from '@openeaap/dikf';
import { PlatformError } from '@openeaap/kernel';
import { createNativeRuntime } from '@openeaap/native-runtime';
import type { PeerSourceDeps, Plugin, Registry } from '@openeaap/registry';
import { createPeerSource, createRegistry, parsePluginFile } from '@openeaap/registry';
import { createSecurityTools } from '@openeaap/security-tools';
import { createStandardTools } from '@openeaap/standard-tools';
import { listPluginPins, pinTools } from '@openeaap/store';
import { TENANT } from './access.ts';
import type { ToImageLauncher } from './image-launcher.ts';
import { openImageLauncher } from './image-launcher.ts';
import type { ModelSessions } from './model-sessions.ts';
import type { PluginKeeper } from './plugin-keeper.ts';
import { createPluginKeeper } from './plugin-keeper.ts';
import { readYaml } from './read-yaml.ts';
import type { WireOptions } from './wire.ts';

/** How long a start waits for plugins: a run that is claimed before its tools are there would be told that there are none. */
const SETTLE_MS = 15_000;
/** What a program needs to run at all. */
const INHERITED = ['PATH', 'HOME', 'LANG', 'LC_ALL', 'TMPDIR', 'TZ'];
const SETPRIV = ['/usr/bin/setpriv', '/bin/setpriv'];

/** The plugins of the platform itself, and those that are declared. */
export async function openRegistry(options: WireOptions, parts: { readonly sessions: ModelSessions; readonly retrieve: ReturnType<typeof createRetrieve> }): Promise<{ readonly registry: Registry; readonly plugins: PluginKeeper }> {
  const { config, log } = options;
  const file = parsePluginFile(await readYaml(path.join(config.configDir, 'plugins.yaml')), 'plugins.yaml');
  const builtIn = builtInPlugins(options, parts);
  const unknown = file.without.find((name) => !builtIn.some((plugin) => plugin.name === name) && name !== 'security-tools');
  if (unknown !== undefined) throw new PlatformError('invalid_input', `plugins.yaml: "without" names "${unknown}", which is no plugin of the platform. These are: ${builtIn.map(({ name }) => name).join(', ')}.`);
  const registry = await createRegistry({
    plugins: builtIn.filter(({ name }) => !file.without.includes(name)),
    secret: options.secret,
    toPeerSource: createPeerSource(toDeps(options, await openImageLauncher(config))),
    onNews: ({ plugin, status, detail }) => (status === 'ready' || status === 'starting' ? log.info({ plugin, status }, detail) : log.warn({ plugin, status }, detail)),
  });
  const plugins = createPluginKeeper({ pool: options.database.pool, registry, declared: file.plugins, log });
  await plugins.sync();
  await registry.settle(SETTLE_MS);
  return { registry, plugins };
}

function builtInPlugins(options: WireOptions, { sessions, retrieve }: { readonly sessions: ModelSessions; readonly retrieve: ReturnType<typeof createRetrieve> }): readonly Plugin[] {
  const { threatIntelUrl, cmdbUrl, firewallUrl, allowInsecure } = options.products;
  const plugins: Plugin[] = [
    { kind: 'runtime', name: 'native', adapter: createNativeRuntime({ chat: sessions.chat, version: options.version }) },
    { kind: 'tools', name: 'standard-tools', adapter: createStandardTools({ retrieve }) },
  ];
  if (threatIntelUrl !== undefined && cmdbUrl !== undefined && firewallUrl !== undefined) {
    plugins.push({ kind: 'tools', name: 'security-tools', adapter: createSecurityTools({ threatIntelUrl, cmdbUrl, firewallUrl, allowInsecure }) });
  } else {
    options.log.info('the security tools are off: set THREAT_INTEL_URL, CMDB_URL and FIREWALL_URL to turn them on');
  }
  return plugins;
}

function toDeps({ config, database, log, secret, version }: WireOptions, toImageLauncher: ToImageLauncher | null): PeerSourceDeps {
  return {
    platformVersion: version,
    variable: secret,
    cwd: path.dirname(config.configDir),
    inherited: Object.fromEntries(INHERITED.flatMap((name) => (config.environment[name] === undefined ? [] : [[name, config.environment[name]]]))),
    setpriv: SETPRIV.find((file) => existsSync(file)) ?? null,
    toImageLauncher,
    fetch: globalThis.fetch,
    onOutput: (plugin, line) => log.info({ plugin }, line),
    readPins: (plugin) => listPluginPins(database.pool, TENANT, plugin),
    keepPins: (plugin, pins) => pinTools(database.pool, TENANT, plugin, pins),
  };
}
