import path from 'node:path';
import { PlatformError } from '@openeaap/kernel';
import type { PluginDeclaration } from './declare/plugin-declaration.ts';
import type { McpPeer } from './mcp/connect-mcp.ts';
import { connectMcp } from './mcp/connect-mcp.ts';
import type { McpConfig, McpDeps, McpTransport, Pins } from './mcp/mcp-config.ts';
import type { OpenPeer, PeerOffer, PluginPeer } from './supervise/plugin-peer.ts';

export interface McpPeerDeps {
  readonly platformVersion: string;
  readonly variable: (name: string) => string | undefined;
  readonly inherited: Readonly<Record<string, string>>;
  readonly cwd: string;
  readonly fetch: McpDeps['fetch'];
  readonly onOutput: (plugin: string, line: string) => void;
  /** What was accepted of the plugin's tools so far, by the server's own names. */
  readonly readPins: (plugin: string) => Promise<Pins>;
  /** Keeps what is seen for the first time. */
  readonly keepPins: (plugin: string, pins: Pins) => Promise<void>;
}

/** Opens connections to an MCP server: a process that speaks over its pipes, or an address. */
export function openMcpPeer(declaration: PluginDeclaration, deps: McpPeerDeps): OpenPeer {
  const config = toConfig(declaration, deps.cwd);
  return async (_replica, signal) => {
    const mcp = await connectMcp(
      config,
      {
        version: deps.platformVersion,
        secret: deps.variable,
        environment: { PATH: deps.inherited['PATH'], HOME: deps.inherited['HOME'], LANG: deps.inherited['LANG'] },
        pins: declaration.mcp.pin ? await deps.readPins(declaration.name) : {},
        onOutput: (line) => deps.onOutput(declaration.name, line),
        fetch: deps.fetch,
      },
      signal,
    );
    const pin = (): Promise<void> => (declaration.mcp.pin ? deps.keepPins(declaration.name, Object.fromEntries(mcp.listed.map(({ serverName, hash }) => [serverName, hash]))) : Promise.resolve());
    await pin();
    return toPeer(mcp, declaration.name, pin);
  };
}

function toConfig(declaration: PluginDeclaration, cwd: string): McpConfig {
  const { mcp } = declaration;
  return { plugin: declaration.name, transport: toTransport(declaration, cwd), trustAnnotations: mcp.trustAnnotations, prefix: mcp.prefix, allow: mcp.allow, deny: mcp.deny, tools: mcp.tools, pin: mcp.pin, startTimeoutMs: declaration.startTimeoutMs };
}

/** A server over pipes finds its secrets in its environment, under their names. */
function toTransport({ start, env, secrets, name }: PluginDeclaration, cwd: string): McpTransport {
  switch (start.kind) {
    case 'command': {
      const [command = '', ...args] = start.command;
      return { kind: 'stdio', command, args, env: { ...env, ...Object.fromEntries(secrets.map((secret) => [secret, { secret }])) }, cwd: path.resolve(cwd, start.cwd ?? '.') };
    }
    case 'url':
      return { kind: 'http', url: start.url, headers: start.headers, bearerSecret: start.tokenEnv, plainHttp: false };
    case 'image':
    case 'address':
      throw new PlatformError('invalid_input', `The plugin "${name}" is an MCP server: it takes "command" or "url".`, { details: { field: start.kind } });
  }
}

function toPeer(mcp: McpPeer, plugin: string, pin: () => Promise<void>): PluginPeer {
  return {
    offer: toOffer(mcp),
    onOffer: (listener) => {
      mcp.onToolsChanged(() => {
        // A hash that is not kept is kept at the next listing; until then the peer itself remembers it.
        pin().catch(() => undefined);
        listener(toOffer(mcp));
      });
    },
    callTool: (invocation, context, timeoutMs) => {
      if (invocation.dryRun) return Promise.reject(new PlatformError('policy_denied', 'An MCP server knows no dry runs; nothing was called.', { details: { sent: false } }));
      return mcp.call(invocation.tool, invocation.args, { signal: context.signal, timeoutMs, idempotencyKey: invocation.idempotencyKey, traceContext: context.traceContext });
    },
    think: () => Promise.reject(new PlatformError('unsupported', `The plugin "${plugin}" is an MCP server: it has tools and hosts no agents.`)),
    checkHealth: async (timeoutMs) => {
      await mcp.ping(AbortSignal.timeout(timeoutMs));
      return { serving: true, detail: '' };
    },
    closed: mcp.closed,
    close: () => mcp.close(),
  };
}

const toOffer = (mcp: McpPeer): PeerOffer => ({
  name: mcp.name,
  version: mcp.version,
  sdk: 'mcp',
  tools: mcp.tools,
  agents: [],
  maxConcurrentSteps: 0,
  warnings: mcp.withheld.filter(({ reason }) => reason !== 'denied').map(({ serverName, message }) => `The tool "${serverName}" is withheld: ${message}`),
  changed: Object.fromEntries(mcp.withheld.flatMap(({ serverName, reason, hash }) => (reason === 'changed' && hash !== null ? [[serverName, hash]] : []))),
});
