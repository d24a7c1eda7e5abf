import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A real Redis of a test's own, which keeps nothing on disk. */
export interface TestRedis {
  readonly url: string;
  /** SIGKILL: what a crash looks like from outside. */
  readonly kill: () => Promise<void>;
  /** At the same address, empty; ends the one that runs first. */
  readonly restart: () => Promise<void>;
  /** Stops answering without closing a connection; `resume` lets it go on. */
  readonly freeze: () => void;
  readonly resume: () => void;
  /** For good. */
  readonly stop: () => Promise<void>;
}

export interface TestRedisOptions {
  /** Default: the first of the usual places, or `OPENEAAP_TEST_REDIS`. */
  readonly binary?: string;
  readonly args?: readonly string[];
}

const USUAL_PLACES = ['/usr/bin/redis-server', '/usr/local/bin/redis-server', '/opt/homebrew/bin/redis-server'];
const START_PATIENCE_MS = 10_000;
/** Another process may take the port between our look and the start. */
const START_TRIES = 5;

/**
 * null, with a warning, where no redis-server is installed: the tests then skip. In CI that is an
 * error, for a test that never runs keeps no promise. Errors: `Error` when it does not start.
 */
export async function startRedis(options: TestRedisOptions = {}): Promise<TestRedis | null> {
  const binary = options.binary ?? findRedisServer();
  if (binary === null) {
    if (process.env['CI'] === 'true') throw new Error('No redis-server is installed. Install it, or set OPENEAAP_TEST_REDIS to its path.');
    process.stderr.write('No redis-server is installed: the tests that need one are skipped.\n');
    return null;
  }
  const folder = await mkdtemp(join(tmpdir(), 'openeaap-redis-'));
  const args = options.args ?? [];
  let { port, child } = await startAnywhere(binary, folder, args);
  // A test run that is ended early must not leave servers behind.
  const onExit = (): void => void child.kill('SIGKILL');
  process.on('exit', onExit);
  return {
    url: `redis://127.0.0.1:${port}`,
    kill: () => end(child),
    restart: async () => {
      await end(child);
      child = await startAt(port, binary, folder, args);
    },
    freeze: () => void child.kill('SIGSTOP'),
    resume: () => void child.kill('SIGCONT'),
    stop: async () => {
      process.off('exit', onExit);
      await end(child);
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Path of the redis-server that tests use; null: there is none. */
export function findRedisServer(): string | null {
  const named = process.env['OPENEAAP_TEST_REDIS'];
  if (named !== undefined && named !== '') return named;
  return USUAL_PLACES.find((path) => existsSync(path)) ?? null;
}

async function startAnywhere(binary: string, folder: string, args: readonly string[]): Promise<{ readonly port: number; child: ChildProcess }> {
  for (let tries = 1; ; tries += 1) {
    const port = await freePort();
    try {
      return { port, child: await startAt(port, binary, folder, args) };
    } catch (thrown) {
      if (tries === START_TRIES) throw thrown;
    }
  }
}

async function startAt(port: number, binary: string, folder: string, args: readonly string[]): Promise<ChildProcess> {
  const child = spawn(binary, ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--dir', folder, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  await new Promise<void>((resolve, reject) => {
    const fail = (why: string): void => {
      clearTimeout(timer);
      child.kill('SIGKILL');
      reject(new Error(`${binary} ${why}: ${said.slice(-500)}`));
    };
    const timer = setTimeout(() => fail(`was not ready within ${START_PATIENCE_MS} ms`), START_PATIENCE_MS);
    child.stdout?.on('data', (chunk: Buffer) => {
      said = (said + chunk.toString()).slice(-10_000);
      if (!said.includes('Ready to accept connections')) return;
      clearTimeout(timer);
      resolve();
    });
    child.stderr?.on('data', (chunk: Buffer) => (said += chunk.toString()));
    child.once('error', (error) => fail(`did not start (${error.message})`));
    child.once('exit', () => fail('ended at once'));
  });
  return child;
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  child.kill('SIGKILL');
  await gone;
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise<void>((resolve) => server.close(() => resolve()));
  return port;
}
