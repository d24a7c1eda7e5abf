import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { PlatformError, systemClock } from '@openeaap/kernel';
import type { Launched, LaunchRequest, Launcher } from './launcher.ts';

export interface CommandSettings {
  readonly command: readonly string[];
  /** Relative paths of the command and of its arguments are meant from here. */
  readonly cwd: string;
  /** What a program needs to run at all, taken from the platform's own environment: PATH, HOME, LANG, TMPDIR. Nothing else of it. */
  readonly inherited: Readonly<Record<string, string>>;
  /** The program that makes the kernel end a child when its parent dies (util-linux); null: there is none. */
  readonly setpriv: string | null;
}

/** What the plugin said last, for the message when it ends. */
const TAIL_LINES = 5;
const LINE_CHARS = 2_000;
const LOOK_EVERY_MS = 20;

/**
 * A plugin as a process of this machine, in its own environment: its command says which (a virtual environment, a
 * binary). It listens on a Unix socket in a folder that only we may enter. Where `setpriv` exists, it dies with us.
 */
export function createCommandLauncher(settings: CommandSettings): Launcher {
  return {
    launch: async (request, signal) => {
      const folder = await mkdtemp(path.join(tmpdir(), 'oea-plugin-'));
      const socket = path.join(folder, 'p.sock');
      const child = start(settings, request, socket);
      const tail = readOutput(child, request.onOutput);
      const exited = withoutFolder(whenGone(child, request.plugin, tail), folder);
      const stop = (graceMs: number): Promise<void> => end(child, exited, graceMs);
      try {
        await listening(socket, exited, request, signal);
      } catch (thrown) {
        await stop(0);
        throw thrown;
      }
      return { target: `unix:${socket}`, tls: null, exited, stop } satisfies Launched;
    },
  };
}

function start({ command, cwd, inherited, setpriv }: CommandSettings, request: LaunchRequest, socket: string): ChildProcess {
  const [program = '', ...args] = setpriv === null ? command : [setpriv, '--pdeathsig', 'TERM', '--', ...command];
  return spawn(program, args, {
    cwd,
    // A group of its own: what the plugin starts is ended with it.
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...inherited, ...request.environment, OPENEAAP_PLUGIN_NAME: request.plugin, OPENEAAP_PLUGIN_LISTEN: `unix:${socket}`, OPENEAAP_PLUGIN_TOKEN: request.token },
  });
}

function readOutput(child: ChildProcess, onOutput: (line: string) => void): () => string {
  const last: string[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    let rest = '';
    stream?.setEncoding('utf8');
    stream?.on('data', (chunk: string) => {
      const lines = (rest + chunk).split('\n');
      // A program that never ends its line must not fill our memory.
      rest = (lines.pop() ?? '').slice(0, LINE_CHARS);
      for (const line of lines) {
        if (line.trim() === '') continue;
        const cut = line.slice(0, LINE_CHARS);
        last.push(cut);
        if (last.length > TAIL_LINES) last.shift();
        onOutput(cut);
      }
    });
  }
  return () => last.join(' | ');
}

async function withoutFolder(gone: Promise<string>, folder: string): Promise<string> {
  const reason = await gone;
  await rm(folder, { recursive: true, force: true }).catch(() => undefined);
  return reason;
}

function whenGone(child: ChildProcess, plugin: string, tail: () => string): Promise<string> {
  return new Promise((resolve) => {
    child.once('error', (error: NodeJS.ErrnoException) => {
      resolve(error.code === 'ENOENT' ? `The command of the plugin "${plugin}" does not exist: ${child.spawnfile}. Give its full path, or install it.` : `The command of the plugin "${plugin}" cannot be started: ${error.code ?? error.message}.`);
    });
    child.once('close', (code, signal) => {
      const said = tail();
      resolve(`The process of the plugin "${plugin}" ended with ${signal === null ? `exit code ${String(code)}` : signal}${said === '' ? ' and said nothing.' : `. It said last: ${said}`}`);
    });
  });
}

/** Resolves when the socket is there. Errors: PlatformError `unavailable`. */
async function listening(socket: string, exited: Promise<string>, { plugin, startTimeoutMs }: LaunchRequest, signal: AbortSignal): Promise<void> {
  let gone: string | null = null;
  void (async () => {
    gone = await exited;
  })();
  const until = Date.now() + startTimeoutMs;
  while (!existsSync(socket)) {
    if (gone !== null) throw new PlatformError('unavailable', gone);
    if (signal.aborted) throw new PlatformError('cancelled', 'The start was stopped.');
    if (Date.now() > until) throw new PlatformError('unavailable', `The plugin "${plugin}" runs but did not listen on OPENEAAP_PLUGIN_LISTEN within ${startTimeoutMs} ms. Does its program call serve()? A slow one needs a higher start_timeout_ms.`);
    await systemClock.sleep(LOOK_EVERY_MS, signal);
  }
}

async function end(child: ChildProcess, exited: Promise<string>, graceMs: number): Promise<void> {
  if (child.pid === undefined) return;
  kill(child, 'SIGTERM');
  const forced = setTimeout(() => kill(child, 'SIGKILL'), graceMs);
  await exited;
  clearTimeout(forced);
  // What it started and left behind.
  kill(child, 'SIGKILL');
}

function kill(child: ChildProcess, signal: NodeJS.Signals): void {
  try {
    if (child.pid !== undefined) process.kill(-child.pid, signal);
  } catch {
    // It is gone already.
  }
}
