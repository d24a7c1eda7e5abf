import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { SseError } from '@modelcontextprotocol/sdk/client/sse.js';
import { StreamableHTTPError } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { PlatformError, unlessAborted } from '@openeaap/kernel';
import type { EndedTransport } from './ended-transport.ts';
import { STOPPED } from './ended-transport.ts';
import { createSseTransport, createStreamableTransport } from './http-transport.ts';
import { limitUnasked } from './limit-unasked.ts';
import type { McpConfig, McpDeps, McpText } from './mcp-config.ts';
import { MCP_LIMITS } from './mcp-config.ts';
import type { ServerOutput } from './server-output.ts';
import { createStdioTransport } from './stdio-transport.ts';

export interface Opened {
  readonly client: Client;
  readonly transport: EndedTransport;
}

/**
 * A client that is connected and has been told what the server is. Errors: PlatformError `invalid_input` when the
 * declaration cannot work; whatever else is thrown goes to `toStartError`.
 */
export async function openMcp(config: McpConfig, deps: McpDeps, output: ServerOutput, signal: AbortSignal): Promise<Opened> {
  const { transport, plugin } = config;
  if (transport.kind === 'stdio') {
    const env = { ...inherited(deps.environment), ...resolveAll(transport.env, config, deps) };
    return openClient(createStdioTransport({ plugin, command: transport.command, args: transport.args, env, cwd: transport.cwd, onOutput: output.add }), config, deps, signal);
  }
  const options = { url: checkUrl(transport, config), headers: headersOf(transport, config, deps), fetch: deps.fetch };
  try {
    return await openClient(createStreamableTransport(options), config, deps, signal);
  } catch (thrown) {
    // An old server does not know this way of asking (specification, backwards compatibility).
    if (!(thrown instanceof StreamableHTTPError) || ![400, 404, 405].includes(thrown.code ?? 0)) throw thrown;
    try {
      return await openClient(createSseTransport(options), config, deps, signal);
    } catch (second) {
      throw second instanceof SseError ? thrown : second;
    }
  }
}

async function openClient(transport: EndedTransport, config: McpConfig, deps: McpDeps, signal: AbortSignal): Promise<Opened> {
  // No capabilities: the SDK then answers what the server asks of us with "method not found".
  const client = new Client({ name: 'openeaap', version: deps.version }, { capabilities: {} });
  limitUnasked(transport);
  try {
    // The SDK's own clock starts later and would say the same in other words.
    await unlessAborted(signal, client.connect(transport, { signal, timeout: config.startTimeoutMs + 1_000 }), () => new Error('it did not come up'));
    return { client, transport };
  } catch (thrown) {
    const ended = transport.ended();
    transport.giveUp(STOPPED);
    await transport.close().catch(() => undefined);
    throw ended === null || ended === STOPPED ? thrown : new Error(ended, { cause: thrown });
  }
}

/** What a start that failed means, with the cure and the end of the server's own output. */
export function toStartError(thrown: unknown, config: McpConfig, timedOut: boolean, output: ServerOutput): PlatformError {
  if (thrown instanceof PlatformError && thrown.code === 'invalid_input') return thrown;
  const why = timedOut ? `it did not say what it offers within ${config.startTimeoutMs} ms` : describe(thrown);
  const tail = output.tail();
  return new PlatformError('unavailable', output.mask(`The MCP server "${config.plugin}" could not be connected: ${why}. ${cureOf(config, why)}${tail === '' ? '' : ` Its last output: ${tail}`}`), { cause: thrown });
}

function describe(thrown: unknown): string {
  if (thrown instanceof StreamableHTTPError && (thrown.code ?? 0) > 0) return `it answered with HTTP ${thrown.code}`;
  if (thrown instanceof StreamableHTTPError) return 'what answers at its URL does not speak MCP';
  if (thrown instanceof SyntaxError) return 'it answered with something that is no JSON';
  if (!(thrown instanceof Error)) return 'it broke off';
  const { cause } = thrown;
  return cause instanceof Error && 'code' in cause && typeof cause.code === 'string' ? `its address cannot be reached (${cause.code})` : thrown.message.slice(0, MCP_LIMITS.errorChars);
}

function cureOf(config: McpConfig, why: string): string {
  if (config.transport.kind === 'stdio') {
    if (why.includes('ENOENT')) return `Install "${config.transport.command}", or correct \`command\` or \`cwd\`.`;
    return `Run \`${[config.transport.command, ...config.transport.args].join(' ').slice(0, 200)}\` by hand to see why.`;
  }
  if (/HTTP 40[13]/.test(why)) return 'Check the secret that its declaration names.';
  return `Check \`url\` (${redactUrl(config.transport.url)}) and that the server runs.`;
}

function resolveAll(texts: Readonly<Record<string, McpText>>, config: McpConfig, deps: McpDeps): Record<string, string> {
  return Object.fromEntries(Object.entries(texts).map(([key, text]) => [key, typeof text === 'string' ? text : secretValue(text.secret, config, deps)]));
}

function secretValue(name: string, config: McpConfig, deps: McpDeps): string {
  const value = deps.secret(name);
  if (value === undefined || value === '') throw new PlatformError('invalid_input', `The MCP server "${config.plugin}" needs the secret ${name}, which is not configured.`, { details: { field: 'secret', secret: name } });
  return value;
}

const inherited = (environment: McpDeps['environment']): Record<string, string> =>
  Object.fromEntries((['PATH', 'HOME', 'LANG'] as const).flatMap((name) => (environment[name] === undefined ? [] : [[name, environment[name]]])));

type HttpTransport = Extract<McpConfig['transport'], { kind: 'http' }>;

function headersOf(transport: HttpTransport, config: McpConfig, deps: McpDeps): Record<string, string> {
  const headers = resolveAll(transport.headers, config, deps);
  return transport.bearerSecret === null ? headers : { ...headers, authorization: `Bearer ${secretValue(transport.bearerSecret, config, deps)}` };
}

function checkUrl(transport: HttpTransport, config: McpConfig): URL {
  const fail = (what: string): never => {
    throw new PlatformError('invalid_input', `The MCP server "${config.plugin}": ${what}`, { details: { field: 'url' } });
  };
  const url = URL.canParse(transport.url) ? new URL(transport.url) : fail('`url` is no URL. Write it as https://host/path.');
  if (url.protocol !== 'https:' && url.protocol !== 'http:') fail('`url` must begin with https://.');
  if (url.username !== '' || url.password !== '') fail('`url` must not hold a password. Use `token_env` or `headers`.');
  if (url.protocol === 'http:' && !isLoopback(url.hostname) && !transport.plainHttp) fail('`url` is plain http to another machine, where anybody on the way reads and changes what is said. Use https.');
  return url;
}

const isLoopback = (host: string): boolean => host === 'localhost' || host === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(host);

function redactUrl(text: string): string {
  if (!URL.canParse(text)) return 'no URL';
  const url = new URL(text);
  return `${url.origin}${url.pathname}`;
}
