import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

export interface LaunchOptions {
  /** Program and arguments. */
  readonly command: readonly string[];
  readonly cwd: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** OPENEAAP_PLUGIN_LISTEN; null: a Unix socket in a private folder. */
  readonly listen: string | null;
  /** OPENEAAP_PLUGIN_TOKEN; null: not set. */
  readonly token: string | null;
  /** Other variables of the contract, such as those of TLS. */
  readonly extra?: Readonly<Record<string, string>>;
}

/** A plugin that the kit has started. Its whole process group is ended with it. */
export interface PluginProcess {
  /** What it was told to listen on. */
  readonly asked: string;
  readonly token: string | null;
  /** What its first line on standard output said; null: no such line until it ended or the time was over. */
  readonly announced: (timeoutMs: number) => Promise<Announcement | null>;
  readonly stdout: () => string;
  readonly stderr: () => string;
  /** null while it runs. */
  readonly exit: () => PluginExit | null;
  /** null: it still ran when the time was over. */
  readonly waitForExit: (timeoutMs: number) => Promise<PluginExit | null>;
  readonly terminate: () => void;
  /** SIGKILL for the group. Resolves when it is gone and its folder is removed. */
  readonly kill: () => Promise<void>;
}

export interface PluginExit {
  readonly code: number | null;
  readonly signal: string | null;
  /** Set when the program could not be started at all. */
  readonly failure: string | null;
}

/** The first line, and what was wrong with it, if anything. */
export type Announcement = { readonly ok: true; readonly listen: string } | { readonly ok: false; readonly line: string; readonly why: string };

/** Of what a plugin writes, each stream; more is dropped. */
const OUTPUT_BYTES = 1_048_576;
const LINE_CHARS = 4_096;

export async function launchPlugin(options: LaunchOptions): Promise<PluginProcess> {
  const folder = await mkdtemp(path.join(tmpdir(), 'openeaap-'));
  const asked = options.listen ?? `unix:${path.join(folder, 'plugin.sock')}`;
  const [program = '', ...args] = options.command;
  const child = spawn(program, args, {
    cwd: options.cwd,
    env: toEnvironment(options, asked),
    stdio: ['ignore', 'pipe', 'pipe'],
    // A group of its own, so that what a wrapper starts is ended as well.
    detached: true,
  });
  const stdout = collect(child, 'stdout');
  const stderr = collect(child, 'stderr');
  let exit: PluginExit | null = null;
  const exited = new Promise<PluginExit>((resolve) => {
    child.once('error', (error) => resolve({ code: null, signal: null, failure: error.message }));
    // Not `exit`: by then not all of its output need have been read.
    child.once('close', (code, signal) => resolve({ code, signal, failure: null }));
  }).then((seen) => (exit = seen));
  const waitForExit = (timeoutMs: number): Promise<PluginExit | null> => within(exited, timeoutMs);
  return {
    asked,
    token: options.token,
    stdout: stdout.text,
    stderr: stderr.text,
    exit: () => exit,
    waitForExit,
    announced: async (timeoutMs) => {
      const line = await within(Promise.race([stdout.firstLine, exited.then(() => stdout.lineSoFar())]), timeoutMs);
      return line === null || line === '' ? null : readAnnouncement(line);
    },
    terminate: () => signalGroup(child, 'SIGTERM', false),
    kill: async () => {
      signalGroup(child, 'SIGKILL', true);
      await exited;
      await rm(folder, { recursive: true, force: true });
    },
  };
}

function toEnvironment(options: LaunchOptions, asked: string): NodeJS.ProcessEnv {
  // What is set for a plugin in our own environment is not meant for this one.
  const inherited = Object.fromEntries(Object.entries(options.environment).filter(([name]) => !name.startsWith('OPENEAAP_PLUGIN_')));
  return { ...inherited, OPENEAAP_PLUGIN_LISTEN: asked, OPENEAAP_PLUGIN_NAME: 'conformance', ...(options.token === null ? {} : { OPENEAAP_PLUGIN_TOKEN: options.token }), ...options.extra };
}

/** Only SIGKILL goes to the whole group: a plugin behind a wrapper is asked to end through the wrapper, as the platform would. */
function signalGroup(child: ChildProcess, signal: 'SIGTERM' | 'SIGKILL', group: boolean): void {
  if (child.pid === undefined) return;
  try {
    process.kill(group ? -child.pid : child.pid, signal);
  } catch {
    // It has ended by itself.
  }
}

function collect(child: ChildProcess, name: 'stdout' | 'stderr') {
  let bytes = 0;
  const chunks: Buffer[] = [];
  let tell: (line: string) => void = () => undefined;
  const firstLine = new Promise<string>((resolve) => (tell = resolve));
  const text = (): string => Buffer.concat(chunks).toString('utf8');
  child[name]?.on('data', (chunk: Buffer) => {
    if (bytes >= OUTPUT_BYTES) return;
    bytes += chunk.length;
    chunks.push(chunk);
    if (chunk.includes(0x0a)) tell(text().split('\n', 1)[0] ?? '');
  });
  return { text, firstLine, lineSoFar: () => text().split('\n', 1)[0] ?? '' };
}

function readAnnouncement(text: string): Announcement {
  const line = text.slice(0, LINE_CHARS);
  const wrong = (why: string): Announcement => ({ ok: false, line, why });
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return wrong('it is no JSON');
  }
  if (typeof value !== 'object' || value === null) return wrong('it is no JSON object');
  if (!('openeaap_plugin' in value) || value.openeaap_plugin !== 1) return wrong('"openeaap_plugin" is not 1');
  if (!('listen' in value) || typeof value.listen !== 'string' || value.listen === '') return wrong('"listen" is no address');
  return { ok: true, listen: value.listen };
}

async function within<T>(promise: Promise<T>, timeoutMs: number): Promise<T | null> {
  const done = new AbortController();
  try {
    return await Promise.race([promise, sleep(timeoutMs, null, { signal: done.signal }).catch(() => null)]);
  } finally {
    done.abort();
  }
}
