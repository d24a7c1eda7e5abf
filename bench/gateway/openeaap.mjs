// OpenEAAP as it is run: the whole server with its embedded database, asked at the gateway's door with a virtual key that its
// REST API made. Authentication, routing, the ledger, metrics and the cache in the process are on.
import { cpSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { root } from '../../tools/bootstrap.mjs';
import { NODE_FLAGS } from '../../tools/run-server.mjs';
import { startProgram } from '../peer-process.mjs';

const START_LIMIT_MS = 120_000;
const STOP_LIMIT_MS = 20_000;
const POLL_MS = 50;
/** So small that it is full within the long run: memory that grows until a bound is no leak. */
const L1_BYTES = 16 * 2 ** 20;
/** For 1,000 slow streams at one server. */
const AT_ONCE = 2_000;
/** Never reached: what it costs to count them, exact over all nodes, in PostgreSQL. */
const LIMITS = { requests_per_minute: 100_000_000, tokens_per_day: 1_000_000_000_000 };

export async function startOpenEaap({ upstream, folder, flags, gatewayPort, withLimits = false }) {
  const home = path.join(folder, withLimits ? 'limits' : 'openeaap');
  const configDir = path.join(home, 'configs');
  mkdirSync(configDir, { recursive: true });
  cpSync(path.join(root, 'configs'), configDir, { recursive: true });
  // JSON is YAML.
  writeFileSync(path.join(configDir, 'msig.yaml'), JSON.stringify(toConfig(upstream)));
  const args = ['--port', '0', '--data-dir', path.join(home, 'data'), '--config-dir', configDir, '--policy-dir', path.join(root, 'policies'), '--json'];
  const program = startProgram(process.execPath, [...NODE_FLAGS, ...flags, path.join(root, 'cmd/openeaap-server/dist/main.js'), ...args], { NODE_ENV: 'production', LOG_LEVEL: 'warn', OPENEAAP_GATEWAY_PORT: String(gatewayPort), OPENEAAP_DRAIN_SECONDS: '1' });
  try {
    const { url, api_key: apiKey } = await firstJson(program);
    const key = await createKey(url, apiKey, withLimits ? { limits: LIMITS } : {});
    return { pid: program.child.pid, target: { host: '127.0.0.1', port: gatewayPort, path: '/v1/chat/completions', headers: { authorization: `Bearer ${key}` } }, stop: () => stop(program) };
  } catch (error) {
    program.child.kill('SIGKILL');
    throw error;
  }
}

function toConfig(upstream) {
  return {
    routing_strategy: 'cost_optimized',
    default_backend: 'bench-model',
    backends: [{ name: 'bench-model', type: 'vllm', endpoint: `http://127.0.0.1:${upstream}`, model: 'bench-model', capabilities: ['general_chat'], cost_per_1k: 0.002, max_concurrent: AT_ONCE }],
    cache: { l1: { enabled: true, max_bytes: L1_BYTES }, l2: { enabled: false } },
    semantic_cache: { enabled: false, backend: 'memory', similarity_threshold: 0.92 },
  };
}

async function createKey(url, apiKey, more) {
  const response = await fetch(`${url}/api/v1/model-keys`, { method: 'POST', headers: { authorization: `Bearer ${apiKey}`, 'content-type': 'application/json' }, body: JSON.stringify({ name: `bench-${process.pid}-${Date.now()}`, ...more }), signal: AbortSignal.timeout(10_000) });
  const text = await response.text();
  if (response.status !== 201) throw new Error(`No virtual key could be made: ${response.status} ${text}`);
  const { key } = JSON.parse(text);
  return key;
}

/** What `--json` prints when the server is ready. */
async function firstJson({ tail, isGone }) {
  for (const until = performance.now() + START_LIMIT_MS; performance.now() < until && !isGone(); ) {
    const line = tail().split('\n').find((each) => each.startsWith('{"url"'));
    if (line !== undefined) return JSON.parse(line);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  throw new Error(`The server did not start within ${START_LIMIT_MS / 1_000} s. ${tail()}`);
}

async function stop({ child, ended }) {
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_LIMIT_MS);
  await ended;
  clearTimeout(timer);
}
