import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { PluginOffer } from '@openeaap/adapter';
import { thinkFromWire, thinkToWire, toolOutcomeFromWire, toolToWire } from '@openeaap/adapter';
import { PlatformError } from '@openeaap/kernel';
import type { PluginDeclaration, PluginStart, TlsFiles } from '../declare/plugin-declaration.ts';
import type { Launched, Launcher } from '../launch/launcher.ts';
import type { OpenPeer, PeerOffer, PluginPeer } from '../supervise/plugin-peer.ts';
import type { PluginConnection, SystemTls } from './connect-plugin.ts';
import { connectPlugin } from './connect-plugin.ts';

export interface GrpcPeerDeps {
  readonly platformVersion: string;
  /** The value of a variable of the platform's environment. */
  readonly variable: (name: string) => string | undefined;
  readonly onOutput: (plugin: string, line: string) => void;
}

/** Opens copies of a plugin that `launcher` starts. */
export function openLaunchedPeer(declaration: PluginDeclaration, launcher: Launcher, deps: GrpcPeerDeps): OpenPeer {
  return async (replica, signal) => {
    const token = randomBytes(24).toString('base64url');
    const launched = await launcher.launch(
      { plugin: declaration.name, replica, replicas: declaration.replicas, environment: declaration.env, token, startTimeoutMs: declaration.startTimeoutMs, onOutput: (line) => deps.onOutput(declaration.name, line) },
      signal,
    );
    try {
      const connection = await connectPlugin({ plugin: declaration.name, target: launched.target, tls: launched.tls, token: launched.token ?? token, platformVersion: deps.platformVersion, timeoutMs: declaration.startTimeoutMs }, signal);
      return toPeer(declaration.name, connection, launched);
    } catch (thrown) {
      await launched.stop(0);
      throw thrown;
    }
  };
}

/** What somebody else runs is there or not; why not is told soon, and it is tried again. */
const CONNECT_MS = 5_000;

/** Opens connections to a plugin that somebody else runs. */
export function openAddressPeer(declaration: PluginDeclaration, start: PluginStart & { readonly kind: 'address' }, deps: GrpcPeerDeps): OpenPeer {
  return async (_replica, signal) => {
    const token = start.tokenEnv === null ? null : (deps.variable(start.tokenEnv) ?? missing(declaration.name, start.tokenEnv));
    const tls = start.tls === null ? null : await readTls(declaration.name, start.tls);
    return toPeer(declaration.name, await connectPlugin({ plugin: declaration.name, target: start.address, tls, token, platformVersion: deps.platformVersion, timeoutMs: Math.min(declaration.startTimeoutMs, CONNECT_MS) }, signal), null);
  };
}

function missing(plugin: string, variable: string): never {
  throw new PlatformError('invalid_input', `The plugin "${plugin}" wants its token from the variable ${variable}, which is not set on this node.`, { details: { field: 'token_env' } });
}

async function readTls(plugin: string, files: TlsFiles): Promise<SystemTls> {
  const read = async (field: string, file: string | null): Promise<string | null> => {
    if (file === null) return null;
    return readFile(file, 'utf8').catch((thrown: NodeJS.ErrnoException) => {
      throw new PlatformError('invalid_input', `The file ${file} of the plugin "${plugin}" (tls.${field}) cannot be read: ${thrown.code ?? 'unknown error'}.`, { cause: thrown, details: { field: `tls.${field}` } });
    });
  };
  return { ca: await read('ca', files.ca), clientCert: await read('cert', files.cert), clientKey: await read('key', files.key), serverName: files.serverName };
}

/** A copy that was started here is gone when its launcher says so; until then gRPC connects to it again by itself. */
function toPeer(plugin: string, connection: PluginConnection, launched: Launched | null): PluginPeer {
  return {
    offer: toPeerOffer(connection.offer),
    callTool: async (invocation, context, timeoutMs) => {
      const response = await connection.execute(toolToWire(invocation, context), { signal: context.signal, timeoutMs, onDelta: null });
      try {
        return toolOutcomeFromWire(response);
      } catch (thrown) {
        throw thrown instanceof PlatformError && thrown.code === 'invalid_input' ? contradiction(plugin, invocation.tool, thrown) : thrown;
      }
    },
    think: async (request, context, timeoutMs) => thinkFromWire(await connection.execute(thinkToWire(request), { signal: context.signal, timeoutMs, onDelta: context.onDelta })),
    checkHealth: connection.health,
    closed: launched === null ? connection.lost : launched.exited,
    close: async (graceMs) => {
      await launched?.stop(graceMs);
      connection.close();
    },
  };
}

/** We have validated the call by the schema that the plugin itself offered. */
const contradiction = (plugin: string, tool: string, error: PlatformError): PlatformError =>
  new PlatformError('tool_failed', `The plugin "${plugin}" offers the tool "${tool}" and refuses a call that its own schema allows: ${error.message} Restart the plugin, or correct its schema.`, { cause: error });

const toPeerOffer = (offer: PluginOffer): PeerOffer => ({
  name: offer.name,
  version: offer.version,
  sdk: `${offer.sdk.language} ${offer.sdk.version}`.trim(),
  tools: offer.tools,
  agents: offer.agents,
  maxConcurrentSteps: offer.maxConcurrentSteps,
  warnings: [],
  changed: {},
});
