import type { ChildProcessByStdio } from 'node:child_process';
import { spawn } from 'node:child_process';
import { randomUUID, createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import path from 'node:path';
import type { Readable } from 'node:stream';
import type { ApiClient } from './api-client.ts';
import { createApiClient } from './api-client.ts';
import type { DataFolder } from './data-folder.ts';
import { textAt } from './json.ts';
import { waitUntil } from './wait-until.ts';

export const ROOT = path.resolve(import.meta.dirname, '../../..');
const SERVER = path.join(ROOT, 'cmd/openeaap-server/dist/main.js');
const CLI = path.join(ROOT, 'cmd/openeaap-cli/dist/main.js');
const START_LIMIT_MS = 60_000;
/** A drain of 5 s and a stop of the database of 20 s at most. */
const STOP_LIMIT_MS = 40_000;

/** Models of tests may hang for ever; no test waits for the drain of a real installation. */
const DRAIN_SECONDS = '3';

export interface PlatformOptions {
  readonly folder: DataFolder;
  /** After `--json --data-dir DIR`; `--port 0` unless a port is among them. */
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** No `--port` at all. */
  readonly usualPort?: boolean;
}

/** The built server as a process of its own. */
export interface Platform {
  readonly url: string;
  readonly api: ApiClient;
  readonly pid: number;
  readonly folder: DataFolder;
  readonly stderr: () => string;
  readonly stdout: () => string;
  /** SIGTERM; resolves with the exit code, and kills (and rejects) when it does not stop in time. */
  readonly stop: () => Promise<number | null>;
  /** `kill -9` of the server alone; its database lives on. */
  readonly kill: () => Promise<void>;
  /** The exit code, once it has one. */
  readonly exited: Promise<Exit>;
  /** Another key, with these scopes alone. */
  readonly grant: (userId: string, scopes: readonly string[]) => Promise<ApiClient>;
}

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export async function startPlatform(options: PlatformOptions): Promise<Platform> {
  const launched = launch(SERVER, serverArgs(options), { OPENEAAP_DRAIN_SECONDS: DRAIN_SECONDS, ...options.env });
  const line = await Promise.race([
    waitUntil('the server says that it is ready', () => /^\{.*\}$/m.exec(launched.stdout())?.[0] ?? null, START_LIMIT_MS),
    launched.exited.then(({ code }) => {
      throw new Error(`the server ended with ${String(code)} instead of starting:\n${launched.stderr()}`);
    }),
  ]).catch(async (error: unknown) => {
    await launched.kill();
    throw error;
  });
  const ready: unknown = JSON.parse(line);
  const url = textAt(ready, 'url');
  const api = createApiClient(url, textAt(ready, 'api_key'));
  return { ...launched, url, api, folder: options.folder, grant: (userId, scopes) => grant(options.folder, api, userId, scopes) };
}

/** Starts a server that is expected to end by itself. */
export async function runServer(options: PlatformOptions): Promise<{ readonly code: number | null; readonly stdout: string; readonly stderr: string }> {
  return toEnd(launch(SERVER, serverArgs(options), { OPENEAAP_DRAIN_SECONDS: DRAIN_SECONDS, ...options.env }));
}

/** One command of the CLI. */
export async function runCli(args: readonly string[], env: Readonly<Record<string, string>>): Promise<{ readonly code: number | null; readonly stdout: string; readonly stderr: string }> {
  return toEnd(launch(CLI, args, { NO_COLOR: '1', ...env }));
}

function serverArgs({ folder, args = [], usualPort = false }: PlatformOptions): readonly string[] {
  return ['--json', '--data-dir', folder.path, ...(usualPort || args.includes('--port') ? [] : ['--port', '0']), ...args];
}

type Launched = Omit<Platform, 'url' | 'api' | 'folder' | 'grant'>;

/** A clean environment: nothing of the machine's own settings may decide a test. */
function launch(program: string, args: readonly string[], env: Readonly<Record<string, string>>): Launched {
  if (!existsSync(program)) throw new Error(`${program} is not built. Run: npx tsc -b tsconfig.build.json`);
  const inherited = Object.fromEntries(['PATH', 'HOME', 'TMPDIR', 'LANG', 'SystemRoot'].flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]])));
  const child = spawn(process.execPath, [program, ...args], { cwd: ROOT, env: { ...inherited, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
  const output = collectOutput(child);
  const exited = new Promise<Exit>((resolve) => child.once('close', (code, signal) => resolve({ code, signal })));
  const onExit = (): void => void child.kill('SIGKILL');
  process.once('exit', onExit);
  const gone = exited.then((exit) => {
    process.off('exit', onExit);
    return exit;
  });
  return {
    pid: child.pid ?? 0,
    stdout: () => output.stdout,
    stderr: () => output.stderr,
    exited: gone,
    stop: async () => {
      child.kill('SIGTERM');
      return endWithin(child, gone, output);
    },
    kill: async () => {
      child.kill('SIGKILL');
      await gone;
    },
  };
}

async function endWithin(child: ChildProcessByStdio<null, Readable, Readable>, gone: Promise<Exit>, output: { readonly stderr: string }): Promise<number | null> {
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    child.kill('SIGKILL');
  }, STOP_LIMIT_MS);
  const { code } = await gone;
  clearTimeout(timer);
  if (late) throw new Error(`the server did not stop within ${STOP_LIMIT_MS} ms:\n${output.stderr.slice(-4_000)}`);
  return code;
}

async function toEnd(launched: Launched): Promise<{ readonly code: number | null; readonly stdout: string; readonly stderr: string }> {
  const timer = setTimeout(() => void launched.kill(), START_LIMIT_MS);
  const { code } = await launched.exited;
  clearTimeout(timer);
  return { code, stdout: launched.stdout(), stderr: launched.stderr() };
}

function collectOutput(child: ChildProcessByStdio<null, Readable, Readable>): { readonly stdout: string; readonly stderr: string } {
  const output = { stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output.stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (output.stderr += text));
  return output;
}

/** There is no route that makes keys yet: the row is written as the platform writes it. */
async function grant(folder: DataFolder, api: ApiClient, userId: string, scopes: readonly string[]): Promise<ApiClient> {
  const key = `oea_${randomUUID().replaceAll('-', '')}`;
  await folder.query('INSERT INTO api_keys (tenant_id, id, name, key_hash, user_id, scopes) VALUES ($1, $2, $3, $4, $5, $6)', ['default', randomUUID(), 'test', createHash('sha256').update(key).digest('hex'), userId, scopes]);
  return api.withKey(key);
}
