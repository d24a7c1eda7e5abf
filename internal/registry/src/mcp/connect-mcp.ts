/* oxlint-disable unicorn/prefer-add-event-listener -- the client of the SDK is no event target */
import type { Client } from '@modelcontextprotocol/sdk/client/index.js';
import type { ClientRequest } from '@modelcontextprotocol/sdk/types.js';
import { ResultSchema } from '@modelcontextprotocol/sdk/types.js';
import type { ToolOutcome } from '@openeaap/adapter';
import type { JsonObject, ToolSpec } from '@openeaap/kernel';
import { PlatformError, linkSignals, unlessAborted } from '@openeaap/kernel';
import type { EndedTransport } from './ended-transport.ts';
import { STOPPED } from './ended-transport.ts';
import type { ListedTool, McpListing, WithheldTool } from './judge-tools.ts';
import { judgeTools } from './judge-tools.ts';
import type { McpConfig, McpDeps } from './mcp-config.ts';
import { MCP_LIMITS } from './mcp-config.ts';
import type { Opened } from './open-mcp.ts';
import { openMcp, toStartError } from './open-mcp.ts';
import { relistWhenTold } from './relist-when-told.ts';
import type { ServerOutput } from './server-output.ts';
import { createServerOutput } from './server-output.ts';
import { toCallError } from './to-call-error.ts';
import { toOutcome } from './to-outcome.ts';

export interface McpCallOptions {
  readonly signal: AbortSignal;
  readonly timeoutMs: number;
  /** The same for each try of one step; sent as `_meta["openeaap.dev/idempotency-key"]`. */
  readonly idempotencyKey?: string;
  /** W3C trace context headers, sent in `_meta`. */
  readonly traceContext?: Readonly<Record<string, string>>;
}

/** A connected MCP server. When it is lost it stays lost: whoever holds it connects anew. */
export interface McpPeer {
  /** What the server calls itself. */
  readonly name: string;
  readonly version: string;
  /** What may be called now. */
  readonly tools: readonly ToolSpec[];
  /** The same with the server's own names and hashes: what the caller keeps as pins for the next start. */
  readonly listed: readonly ListedTool[];
  /** What the server offers and is not called, with reasons; `changed` ones wait for `accept`. */
  readonly withheld: readonly WithheldTool[];
  /**
   * Errors: PlatformError `tool_failed`, `tool_unavailable`, `tool_timeout`, `cancelled`; `internal` when the outcome is
   * unknown. `details.sent` is false when the server certainly never saw the call.
   */
  readonly call: (tool: string, args: JsonObject, options: McpCallOptions) => Promise<ToolOutcome>;
  /** Errors: PlatformError `tool_unavailable`, `cancelled`. */
  readonly ping: (signal: AbortSignal) => Promise<void>;
  /** Called after each new listing. Returns what ends it. */
  readonly onToolsChanged: (listener: (listing: McpListing) => void) => () => void;
  /** The operator has read the tool as it is now. Another change in between has another hash, and stays withheld. */
  readonly accept: (serverName: string, hash: string) => void;
  /** Resolves when the connection is gone, with the reason in words. Never rejects. */
  readonly closed: Promise<string>;
  /** Ends the connection, and the process of a server over stdio. Never rejects. */
  readonly close: () => Promise<void>;
}

/**
 * Connects to an MCP server and asks what it offers. Nothing that it says is believed but what the declaration says may
 * be; what it asks of us (sampling, elicitation, roots) is refused. Errors: PlatformError `invalid_input` (the
 * declaration cannot work), `unavailable` (the server does not come up, with the end of its output), `cancelled`.
 */
export async function connectMcp(config: McpConfig, deps: McpDeps, signal: AbortSignal): Promise<McpPeer> {
  const output = createServerOutput(config, deps);
  const start = linkSignals([signal], config.startTimeoutMs);
  let opened: Opened | null = null;
  try {
    opened = await openMcp(config, deps, output, start.signal);
    const { peer, list } = createPeer(config, deps, output, opened);
    await unlessAborted(start.signal, list(start.signal), () => new Error('it did not come up'));
    return peer;
  } catch (thrown) {
    opened?.transport.giveUp(STOPPED);
    await opened?.transport.close().catch(() => undefined);
    if (signal.aborted) throw new PlatformError('cancelled', `The start of the MCP server "${config.plugin}" was stopped.`, { cause: thrown });
    throw toStartError(thrown, config, start.timedOut(), output);
  } finally {
    start.release();
  }
}

/** Whoever pings has a shorter patience of his own. */
const PING_TIMEOUT_MS = 60_000;

function createPeer(config: McpConfig, deps: McpDeps, output: ServerOutput, { client, transport }: Opened): { readonly peer: McpPeer; readonly list: (signal: AbortSignal) => Promise<void> } {
  const server = client.getServerVersion() ?? { name: config.plugin, version: '' };
  const listeners = new Set<(listing: McpListing) => void>();
  const stop = new AbortController();
  const pins = new Map(Object.entries(deps.pins));
  let offered: readonly unknown[] = [];
  let listing: McpListing = { tools: [], withheld: [] };

  const judge = (): void => {
    const compiled = new Set(listing.tools.map(({ hash }) => hash));
    listing = judgeTools(offered, { version: server.version, pins: Object.fromEntries(pins), compiled }, config);
    // What is seen first is accepted, and counts from now on.
    for (const tool of listing.tools) if (!pins.has(tool.serverName)) pins.set(tool.serverName, tool.hash);
  };
  const tell = (): void => {
    for (const listener of listeners) listener(listing);
  };
  const list = async (signal: AbortSignal): Promise<void> => {
    if (client.getServerCapabilities()?.tools === undefined) throw new PlatformError('invalid_input', `The MCP server "${config.plugin}" offers no tools, only prompts or resources, which the platform does not use. Take it out of the declaration.`);
    try {
      offered = await listAll(client, config, signal);
    } catch (thrown) {
      throw transport.ended() === null ? thrown : new Error(transport.ended() ?? '', { cause: thrown });
    }
    judge();
  };
  const closed = new Promise<string>((resolve) => {
    client.onclose = () => {
      stop.abort();
      resolve(`The MCP server "${config.plugin}" is gone: ${transport.ended() ?? 'the connection was closed'}.`);
    };
    if (transport.ended() !== null) client.onclose();
  });
  relistWhenTold(client, stop.signal, async () => {
    try {
      await list(stop.signal);
      tell();
    } catch {
      output.add('The list of tools has changed, but could not be read. What was listed before stays.');
    }
  });

  const peer: McpPeer = {
    name: server.name,
    version: server.version,
    get tools() {
      return listing.tools.map(({ spec }) => spec);
    },
    get listed() {
      return listing.tools;
    },
    get withheld() {
      return listing.withheld;
    },
    call: (tool, args, options) => callTool({ config, client, transport, listing, mask: output.mask }, tool, args, options),
    ping: async (signal) => {
      try {
        await ask(client, { method: 'ping' }, PING_TIMEOUT_MS, signal);
      } catch (thrown) {
        if (signal.aborted) throw new PlatformError('cancelled', `The question to the MCP server "${config.plugin}" was stopped.`, { cause: thrown });
        throw new PlatformError('tool_unavailable', `The MCP server "${config.plugin}" does not answer${transport.ended() === null ? '' : `: ${transport.ended()}`}.`, { cause: thrown });
      }
    },
    onToolsChanged: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    accept: (serverName, hash) => {
      pins.set(serverName, hash);
      judge();
      tell();
    },
    closed,
    close: async () => {
      stop.abort();
      await transport.close().catch(() => undefined);
    },
  };
  return { peer, list };
}

/** Each page as it is: one tool that is wrong must not hide the others. */
async function listAll(client: Client, config: McpConfig, signal: AbortSignal): Promise<readonly unknown[]> {
  const tools: unknown[] = [];
  let cursor: string | undefined;
  for (let page = 0; page < MCP_LIMITS.listPages && tools.length <= MCP_LIMITS.tools; page += 1) {
    const result = await ask(client, { method: 'tools/list', params: cursor === undefined ? {} : { cursor } }, config.startTimeoutMs, signal);
    if (!Array.isArray(result['tools'])) throw new Error('it answered the question for its tools with something that is no list');
    tools.push(...(result['tools'] as unknown[]));
    const { nextCursor } = result;
    if (typeof nextCursor !== 'string' || nextCursor === cursor) break;
    cursor = nextCursor;
  }
  return tools;
}

/** The SDK never takes its listener off a signal, so each request gets one of its own. */
async function ask(client: Client, request: ClientRequest, timeoutMs: number, parent: AbortSignal): Promise<Record<string, unknown>> {
  const { signal, release } = linkSignals([parent]);
  try {
    return await client.request(request, ResultSchema, { signal, timeout: timeoutMs });
  } finally {
    release();
  }
}

interface CallParts {
  readonly config: McpConfig;
  readonly client: Client;
  readonly transport: EndedTransport;
  readonly listing: McpListing;
  readonly mask: (text: string) => string;
}

async function callTool(parts: CallParts, tool: string, args: JsonObject, options: McpCallOptions): Promise<ToolOutcome> {
  const { config, client, transport, listing, mask } = parts;
  const listed = listing.tools.find(({ spec }) => spec.name === tool);
  if (listed === undefined) throw new PlatformError('tool_failed', refusal(tool, config, listing), { details: { sent: false } });
  if (transport.ended() !== null) throw new PlatformError('tool_unavailable', `The MCP server "${config.plugin}" is not connected: ${transport.ended()}. The call was not sent.`, { details: { sent: false } });
  const meta = { ...options.traceContext, ...(options.idempotencyKey === undefined ? {} : { 'openeaap.dev/idempotency-key': options.idempotencyKey }) };
  const { signal, timedOut, release } = linkSignals([options.signal], options.timeoutMs);
  try {
    // Our own clock is the shorter one; the SDK's would say the same in other words.
    const request = client.request({ method: 'tools/call', params: { name: listed.serverName, arguments: args, _meta: meta } }, ResultSchema, { signal, timeout: options.timeoutMs + 1_000 });
    return toOutcome(await request, tool, config.plugin);
  } catch (thrown) {
    if (options.signal.aborted) throw new PlatformError('cancelled', `The call of ${tool} was stopped.`, { cause: thrown });
    if (timedOut()) throw new PlatformError('tool_timeout', `The MCP server "${config.plugin}" did not answer the call of ${tool} within ${options.timeoutMs} ms.`, { cause: thrown });
    const error = toCallError(thrown, { plugin: config.plugin, tool, effect: listed.spec.effect, ended: transport.ended() });
    throw new PlatformError(error.code, mask(error.message), { cause: thrown, details: error.details });
  } finally {
    release();
  }
}

function refusal(tool: string, config: McpConfig, listing: McpListing): string {
  const withheld = listing.withheld.find(({ serverName }) => `${config.prefix}${serverName}` === tool || serverName === tool);
  return withheld === undefined ? `The MCP server "${config.plugin}" offers no tool "${tool}".` : `The tool "${tool}" of the MCP server "${config.plugin}" is withheld: ${withheld.message}`;
}

