// Who is measured. Each starts as a process of its own in front of the upstream double and says how it is asked.
// `rate`: requests per second that it can bear for long, where that is not 1,000.
// `optional`: only when it is asked for by name, for all together take long.
// `ownMemory`: of the process that serves, without the database that it brings along.
// `start({ upstream, folder, flags })` resolves to `{ pid, target, stop }`; a target is what requests.mjs needs.
import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import path from 'node:path';
import { createRequire } from 'node:module';
import { startProgram, startScript } from '../peer-process.mjs';
import { pythonOf } from '../python-install.mjs';
import { startOpenEaap } from './openeaap.mjs';

const START_LIMIT_MS = 90_000;
const POLL_MS = 100;
const CHAT = '/v1/chat/completions';
const LITELLM_KEY = 'sk-bench-0123456789abcdef';

export const GATEWAYS = [
  { key: 'direct', label: 'no gateway', start: startDirect },
  { key: 'bare', label: 'bare undici proxy', start: startBareProxy },
  { key: 'openeaap', label: 'OpenEAAP', caches: true, ownMemory: true, start: async (stage) => startOpenEaap({ ...stage, gatewayPort: await freePort() }) },
  { key: 'openeaap-limits', label: 'OpenEAAP, key with limits', caches: true, ownMemory: true, rate: 200, start: async (stage) => startOpenEaap({ ...stage, gatewayPort: await freePort(), withLimits: true }) },
  { key: 'portkey', label: 'Portkey gateway', npm: '@portkey-ai/gateway', rate: 200, start: startPortkey },
  { key: 'litellm', label: 'LiteLLM proxy, 1 worker', caches: true, python: 'litellm', rate: 20, start: (stage) => startLiteLlm(stage, 1) },
  { key: 'litellm-2', label: 'LiteLLM proxy, 2 workers', optional: true, python: 'litellm', rate: 20, start: (stage) => startLiteLlm(stage, 2) },
  { key: 'sglang', label: 'SGLang router (Rust)', python: 'sglang-router', start: startSglangRouter },
];

function startDirect({ upstream }) {
  return { pid: null, target: toTarget(upstream), stop: async () => undefined };
}

async function startBareProxy({ upstream, flags }) {
  const worker = startScript('gateway/bare-proxy.mjs', { flags, env: { BENCH_UPSTREAM: `http://127.0.0.1:${upstream}` } });
  return { pid: worker.pid, target: toTarget(await worker.ready), stop: worker.kill };
}

/** As its README has it: `npx @portkey-ai/gateway`, which asks where each request says. Its cache is off in the build that npm has. */
async function startPortkey({ upstream, flags }) {
  const port = await freePort();
  const file = createRequire(import.meta.url).resolve('@portkey-ai/gateway/build/start-server.js');
  const program = startProgram(process.execPath, [...flags, file, `--port=${port}`, '--headless'], { NODE_ENV: 'production' });
  await untilListening(port, program);
  const headers = { authorization: 'Bearer bench', 'x-portkey-provider': 'openai', 'x-portkey-custom-host': `http://127.0.0.1:${upstream}/v1` };
  return { pid: program.child.pid, target: toTarget(port, { headers }), stop: () => end(program) };
}

/** Settings of its production page: no debug output, no database, its own price file. The cache only when a request asks for it. */
async function startLiteLlm({ upstream, folder }, workers) {
  const port = await freePort();
  const config = path.join(folder, `litellm-${workers}.yaml`);
  mkdirSync(folder, { recursive: true });
  writeFileSync(
    config,
    JSON.stringify({
      model_list: [{ model_name: 'bench-model', litellm_params: { model: 'openai/bench-model', api_base: `http://127.0.0.1:${upstream}/v1`, api_key: 'bench' } }],
      general_settings: { master_key: LITELLM_KEY },
      litellm_settings: { set_verbose: false, telemetry: false, cache: true, cache_params: { type: 'local', mode: 'default_off' } },
    }),
  );
  const python = pythonOf('litellm');
  const program = startProgram(python, [path.join(path.dirname(python), 'litellm'), '--config', config, '--host', '127.0.0.1', '--port', String(port), '--num_workers', String(workers), '--telemetry', 'False'], {
    LITELLM_LOG: 'ERROR',
    LITELLM_MODE: 'PRODUCTION',
    LITELLM_LOCAL_MODEL_COST_MAP: 'True',
    DO_NOT_TRACK: '1',
  });
  await untilListening(port, program);
  return { pid: program.child.pid, target: toTarget(port, { headers: { authorization: `Bearer ${LITELLM_KEY}` }, cached: { body: { cache: { 'use-cache': true } } } }), stop: () => end(program) };
}

/** A router of one kind of backend, without keys, prices or caches: what a native proxy of this trade costs. */
async function startSglangRouter({ upstream }) {
  const [port, metrics] = await Promise.all([freePort(), freePort()]);
  const program = startProgram(pythonOf('sglang-router'), ['-m', 'sglang_router.launch_router', '--host', '127.0.0.1', '--port', String(port), '--worker-urls', `http://127.0.0.1:${upstream}`, '--policy', 'round_robin', '--log-level', 'error', '--prometheus-port', String(metrics)], {});
  await untilListening(port, program);
  return { pid: program.child.pid, target: toTarget(port), stop: () => end(program) };
}

const toTarget = (port, more = {}) => ({ host: '127.0.0.1', port, path: CHAT, headers: {}, ...more });

async function end(program) {
  program.child.kill('SIGTERM');
  const timer = setTimeout(() => program.child.kill('SIGKILL'), 10_000);
  await program.ended;
  clearTimeout(timer);
}

async function untilListening(port, program) {
  for (const until = performance.now() + START_LIMIT_MS; performance.now() < until; ) {
    // Any answer will do: what it says of its models differs from one to the next.
    const answer = await fetch(`http://127.0.0.1:${port}/`, { signal: AbortSignal.timeout(2_000) }).catch(() => null);
    await answer?.arrayBuffer().catch(() => null);
    if (answer !== null) return;
    if (program.isGone()) break;
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  program.child.kill('SIGKILL');
  throw new Error(`It did not listen within ${START_LIMIT_MS / 1_000} s. ${program.tail()}`);
}

function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer().once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}
