import { spawn, execFile } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { SUITE_MAX_NUM_SEQS } from './vllm-suite.ts';
import type { ServedVllm } from './vllm-suite.ts';

const root = fileURLToPath(new URL('../../../../', import.meta.url));
const API_KEY = 'a key of tests';
const MAX_MODEL_LEN = 2_048;
/** Torch alone takes half a minute to be imported, and three processes import it. */
const START_PATIENCE_MS = 240_000;
const STOP_PATIENCE_MS = 15_000;
const SAID_CHARS = 4_000;

/**
 * A real vLLM on CPU with a tiny model of random weights, started by our own script. `program` is
 * the `vllm` of a virtual environment; the `python` beside it makes the model. Errors: `Error` with
 * the end of what it said.
 */
export async function startRealVllm(program: string): Promise<ServedVllm> {
  const folder = await mkdtemp(join(tmpdir(), 'openeaap-vllm-'));
  await promisify(execFile)(join(dirname(program), 'python'), [join(root, 'tests/vllm/make-tiny-model.py'), folder]);
  const port = await freePort();
  const child = spawn('/bin/sh', [join(root, 'deployments/vllm/serve.sh'), '--dtype', 'float32', '--enforce-eager', '--block-size', '32'], {
    env: {
      ...process.env,
      VLLM: program,
      MODEL: join(folder, 'model'),
      SERVED_MODEL_NAME: 'tiny',
      HOST: '127.0.0.1',
      PORT: String(port),
      MAX_NUM_SEQS: String(SUITE_MAX_NUM_SEQS),
      MAX_QUEUED_REQS: '64',
      MAX_MODEL_LEN: String(MAX_MODEL_LEN),
      MAX_LORAS: '2',
      MAX_LORA_RANK: '8',
      LORA_MODULES: `lora-a=${join(folder, 'lora-a')} lora-b=${join(folder, 'lora-b')}`,
      SHUTDOWN_SECONDS: '0',
      VLLM_API_KEY: API_KEY,
      VLLM_CPU_KVCACHE_SPACE: '1',
      VLLM_CPU_OMP_THREADS_BIND: 'nobind',
      HF_HUB_OFFLINE: '1',
    },
    stdio: ['ignore', 'pipe', 'pipe'],
    // A group of its own: its workers are ended with it.
    detached: true,
  });
  let said = '';
  for (const output of [child.stdout, child.stderr]) output.on('data', (chunk: Buffer) => (said = (said + chunk.toString()).slice(-SAID_CHARS)));
  const stop = async (): Promise<void> => {
    process.off('exit', killGroup);
    await end(child, killGroup);
    await rm(folder, { recursive: true, force: true });
  };
  const killGroup = (): void => {
    try {
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
    } catch {
      // It has ended by itself.
    }
  };
  process.on('exit', killGroup);
  const url = `http://127.0.0.1:${port}`;
  for (const begunMs = performance.now(); ; await sleep(250)) {
    if (await isHealthy(url)) break;
    if (child.exitCode === null && performance.now() - begunMs < START_PATIENCE_MS) continue;
    await stop();
    throw new Error(`${program} did not start:\n${said}`);
  }
  return { url, apiKey: API_KEY, model: 'tiny', adapters: ['lora-a', 'lora-b'], maxModelLen: MAX_MODEL_LEN, stop };
}

async function end(child: ChildProcess, killGroup: () => void): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) {
    const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
    child.kill('SIGTERM');
    await Promise.race([gone, sleep(STOP_PATIENCE_MS)]);
  }
  killGroup();
}

async function isHealthy(url: string): Promise<boolean> {
  try {
    return (await fetch(`${url}/health`, { signal: AbortSignal.timeout(2_000) })).ok;
  } catch {
    return false;
  }
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise<void>((resolve) => server.close(() => resolve()));
  return port;
}
