// The parent's end of worker.mjs. Every process that the benchmark starts is killed by its own pid when the benchmark ends,
// whichever way it ends.
import { fork, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { NODE_FLAGS } from '../tools/run-server.mjs';

const OUTPUT_KEPT_CHARS = 4_000;
const CLOSE_LIMIT_MS = 15_000;
const living = new Set();

export function killAll() {
  for (const child of living) child.kill('SIGKILL');
}

process.on('exit', killAll);

/** A program of a peer, such as a server. `ended` says how it ended, `tail()` is the end of what it printed. */
export function startProgram(file, args, env) {
  return watch(spawn(file, args, { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] }));
}

/** Starts a worker process, of every engine with the flags of Node that `npm run serve` uses. */
export const startWorker = (flags = []) => startScript('worker.mjs', { flags });

/**
 * Starts a file of this folder as a process of its own. `call` waits for the answer to one command, for `limitMs` at most;
 * `ready` resolves to what it says of itself when it has begun, if it is a program that does.
 */
export function startScript(file, { flags = [], env = {} } = {}) {
  const { child, ended, tail } = watch(fork(fileURLToPath(new URL(file, import.meta.url)), [], { execArgv: [...NODE_FLAGS, ...flags], env: { ...process.env, ...QUIET, ...env }, stdio: ['ignore', 'pipe', 'pipe', 'ipc'] }));
  const waiting = new Map();
  let lastId = 0;
  let onReached = () => undefined;
  let onReady;
  const ready = new Promise((resolve, reject) => {
    onReady = resolve;
    void ended.then((how) => reject(new Error(`The process ended (${how}) before it was ready. ${tail()}`)));
  });
  ready.catch(() => undefined);
  child.on('message', (message) => {
    if (message.ready !== undefined) {
      onReady(message.ready);
      return;
    }
    if (message.reached !== undefined) {
      onReached(message.reached);
      return;
    }
    waiting.get(message.id)?.(message);
    waiting.delete(message.id);
  });
  const failWaiting = async () => {
    const how = await ended;
    for (const answer of waiting.values()) answer({ error: `The process ended (${how}). ${tail()}` });
    waiting.clear();
  };
  void failWaiting();
  const call = (command, args, limitMs) =>
    new Promise((resolve, reject) => {
      const id = (lastId += 1);
      const timer = setTimeout(() => {
        waiting.delete(id);
        reject(new Error(`"${command}" took longer than ${limitMs / 1_000} s. ${tail()}`));
      }, limitMs);
      waiting.set(id, (message) => {
        clearTimeout(timer);
        if (message.error === undefined) resolve(message.result);
        else reject(new Error(message.error));
      });
      child.send({ id, command, args }, (error) => {
        if (error) waiting.get(id)?.({ error: error.message });
      });
    });
  return {
    pid: child.pid,
    ready,
    call,
    /** `look` is called at each mark of "growth"; the worker goes on when it is done. */
    onMark: (look) => {
      onReached = (n) => void look(n).then(() => child.send({ goOn: n }));
    },
    kill: async () => {
      child.kill('SIGKILL');
      await ended;
    },
    close: async () => {
      await call('close', {}, CLOSE_LIMIT_MS).catch(() => child.kill('SIGKILL'));
      const timer = setTimeout(() => child.kill('SIGKILL'), CLOSE_LIMIT_MS);
      await ended;
      clearTimeout(timer);
    },
  };
}

/** No telemetry leaves the machine, and libraries behave as in production. */
const QUIET = { NODE_ENV: 'production', MASTRA_TELEMETRY_DISABLED: '1', LANGSMITH_TRACING: 'false', LANGCHAIN_TRACING_V2: 'false', RESTATE_LOGGING: 'ERROR' };

function watch(child) {
  living.add(child);
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk) => {
      output = (output + chunk).slice(-OUTPUT_KEPT_CHARS);
    });
  }
  const ended = new Promise((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('exit', (code, signal) => resolve(signal ?? `exit code ${code}`));
  });
  void ended.then(() => living.delete(child));
  return { child, ended, tail: () => output.trim(), isGone: () => !living.has(child) };
}
