import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import { spawn } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';
import type { JSONRPCMessage } from '@modelcontextprotocol/sdk/types.js';
import { JSONRPCMessageSchema } from '@modelcontextprotocol/sdk/types.js';
import { LIMITS, PlatformError } from '@openeaap/kernel';
import type { EndedTransport } from './ended-transport.ts';
import { STOPPED } from './ended-transport.ts';
import { MCP_LIMITS } from './mcp-config.ts';

export interface StdioOptions {
  readonly plugin: string;
  readonly command: string;
  readonly args: readonly string[];
  /** All of it: nothing is inherited. */
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string | null;
  /** Standard error, and whatever is on standard output that is no message. */
  readonly onOutput: (line: string) => void;
}

/** How long the output of a process may still come after its exit. */
const DRAIN_MS = 500;

/**
 * A server as a process of ours. The SDK's own transport hides the exit code, lets grandchildren live (`npx` starts the
 * server as one) and passes on more of our environment than a server needs.
 */
export function createStdioTransport(options: StdioOptions): EndedTransport {
  let child: ChildProcessWithoutNullStreams | null = null;
  let gone: Promise<void> = Promise.resolve();
  let reason: string | null = null;
  let garbage = 0;
  let isGivenUp = false;

  const giveUp = (why: string): void => {
    reason ??= why;
    isGivenUp = true;
    if (child !== null) killGroup(child, 'SIGKILL');
  };

  const onLine = (line: string): void => {
    if (isGivenUp) return;
    const message = parseMessage(line);
    if (message !== null) return transport.onmessage?.(message);
    if (line.trim() === '') return;
    options.onOutput(line.slice(0, MCP_LIMITS.outputLineChars));
    garbage += 1;
    if (garbage >= MCP_LIMITS.garbageLines) giveUp(`it printed ${garbage} lines to standard output that are no messages; a server that talks over stdio must log to standard error`);
  };

  const transport: EndedTransport = {
    ended: () => reason,
    giveUp,
    start: () =>
      new Promise((resolve, reject) => {
        // A process group of its own: it can be ended with everything that it has started.
        const started = spawn(options.command, options.args, { env: { ...options.env }, ...(options.cwd === null ? {} : { cwd: options.cwd }), detached: true, stdio: 'pipe' });
        child = started;
        started.once('error', (error) => {
          reason ??= `it could not be started (${'code' in error ? String(error.code) : error.name})`;
          reject(error);
          transport.onclose?.();
        });
        started.once('spawn', resolve);
        // Writing to a server that has gone is found out by its `close`.
        started.stdin.on('error', () => undefined);
        readLines(started.stderr, MCP_LIMITS.outputLineChars, options.onOutput, 'cut');
        readLines(started.stdout, LIMITS.toolResponseBytes + MCP_LIMITS.envelopeBytes, onLine, () => giveUp(`it sent a message of more than ${LIMITS.toolResponseBytes} bytes`));
        gone = new Promise((left) => {
          let drain: NodeJS.Timeout | undefined;
          started.once('exit', (code, signal) => {
            reason ??= signal === null ? `it ended with exit code ${code}` : `it was ended by ${signal}`;
            // What it started does not outlive it, nor hold its pipes open.
            killGroup(started, 'SIGKILL');
            // What has left the group may still hold them; what was written by now has been read by then.
            drain = setTimeout(() => {
              started.stdout.destroy();
              started.stderr.destroy();
            }, DRAIN_MS);
          });
          started.once('close', () => {
            clearTimeout(drain);
            left();
            transport.onclose?.();
          });
        });
      }),
    send: async (message) => {
      if (child !== null && reason === null && (await writeLine(child.stdin, JSON.stringify(message)))) return;
      // Why comes with its exit, a moment later.
      await endsWithin(gone, DRAIN_MS);
      throw new PlatformError('tool_unavailable', `The MCP server "${options.plugin}" is not running: ${reason ?? 'it reads nothing any more'}. The message was not sent.`, { details: { sent: false } });
    },
    close: async () => {
      const running = child;
      if (running === null || running.pid === undefined) return;
      reason ??= STOPPED;
      running.stdin.end();
      for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
        if (await endsWithin(gone, MCP_LIMITS.stopGraceMs)) return;
        killGroup(running, signal);
      }
      await gone;
    },
  };
  return transport;
}

/**
 * Resolves when the pipe has taken it, so a server that reads nothing holds only its own callers. False: the pipe is
 * broken. Then nobody is at its other end, and a line without its end is no message.
 */
const writeLine = (stdin: Writable, line: string): Promise<boolean> => new Promise((resolve) => void stdin.write(`${line}\n`, (error) => resolve(!error)));

function parseMessage(line: string): JSONRPCMessage | null {
  if (!line.startsWith('{')) return null;
  try {
    return JSONRPCMessageSchema.parse(JSON.parse(line));
  } catch {
    return null;
  }
}

function killGroup(child: ChildProcessWithoutNullStreams, signal: NodeJS.Signals): void {
  try {
    if (child.pid !== undefined) process.kill(-child.pid, signal);
  } catch {
    // The group is empty.
  }
}

/** Calls `onLine` for each line; of one that is longer than the limit, its beginning, or `overflow` instead. */
function readLines(stream: Readable, limitBytes: number, onLine: (line: string) => void, overflow: 'cut' | (() => void)): void {
  let parts: Buffer[] = [];
  let bytes = 0;
  let isOver = false;
  const add = (part: Buffer): void => {
    if (isOver) return;
    parts.push(part.subarray(0, limitBytes - bytes + 1));
    bytes += part.length;
    isOver = bytes > limitBytes;
    if (isOver && overflow !== 'cut') overflow();
  };
  const end = (): void => {
    if (bytes > 0 && (!isOver || overflow === 'cut')) onLine(Buffer.concat(parts).toString('utf8').replace(/\r$/, ''));
    parts = [];
    bytes = 0;
    isOver = false;
  };
  stream.on('data', (chunk: Buffer) => {
    let from = 0;
    for (let at = chunk.indexOf(10); at !== -1; at = chunk.indexOf(10, from)) {
      add(chunk.subarray(from, at));
      end();
      from = at + 1;
    }
    add(chunk.subarray(from));
  });
  stream.on('end', end);
}

async function endsWithin(gone: Promise<void>, ms: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<false>((resolve) => {
    timer = setTimeout(() => resolve(false), ms);
  });
  try {
    return await Promise.race([gone.then(() => true), late]);
  } finally {
    clearTimeout(timer);
  }
}
