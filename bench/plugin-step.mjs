// What it costs that a step is done by a plugin in another process: the same step through the same registry, in this
// process and over gRPC on a Unix socket, in turns. The plugin is the worker of the TypeScript SDK's conformance tests.
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { AGENT_DEFAULTS, NO_CONSTRAINTS, NO_USAGE } from '@openeaap/kernel';
import { createPeerSource, createRegistry, parsePluginFile } from '@openeaap/registry';
import { median, quantile, table } from './statistics.mjs';

const WORKER = path.join(path.dirname(fileURLToPath(import.meta.url)), '../sdk/typescript/dist/testing/conformance-worker.js');
const TURNS = 20;
const PER_TURN = 100;

export async function benchPluginStep() {
  const registry = await createRegistry({
    plugins: [{ kind: 'tools', name: 'here', adapter: toolsHere }, { kind: 'runtime', name: 'here-runtime', adapter: runtimeHere }],
    secret: () => undefined,
    toPeerSource: createPeerSource({
      platformVersion: 'bench', variable: () => undefined, cwd: process.cwd(), inherited: { PATH: process.env.PATH ?? '' }, setpriv: null, toImageLauncher: null,
      fetch: globalThis.fetch, onOutput: () => undefined, readPins: async () => ({}), keepPins: async () => undefined,
    }),
  });
  registry.declare('file', parsePluginFile({ plugins: [{ name: 'worker', type: 'runtime-worker', command: [process.execPath, WORKER] }] }, 'bench').plugins.map((declaration) => ({ declaration, generation: 1 })));
  await registry.settle(20_000);
  try {
    const cases = [
      ['tool call', () => callTool(registry, 'echo_here'), () => callTool(registry, 'conformance_echo')],
      ['think, first step', () => think(registry, 'here-runtime', 0), () => think(registry, 'worker', 0)],
      ['think, journal of 20 steps of 1 KB', () => think(registry, 'here-runtime', 20), () => think(registry, 'worker', 20)],
    ];
    const rows = [];
    for (const [name, here, there] of cases) rows.push({ name, ...(await compare(here, there)) });
    table('A step in a plugin process against one in this process (bar: <= 1 ms more, p50)', ['', 'here p50 ms', 'gRPC p50 ms', 'p99 ms', 'more p50 ms'], rows.map((row) => [row.name, row.hereP50Ms.toFixed(3), row.thereP50Ms.toFixed(3), row.thereP99Ms.toFixed(3), row.moreMs.toFixed(3)]));
    return rows;
  } finally {
    await registry.close(1_000);
  }
}

async function compare(here, there) {
  for (let n = 0; n < 200; n += 1) await there();
  const times = { here: [], there: [] };
  for (let turn = 0; turn < TURNS; turn += 1) {
    for (const [side, step] of [['here', here], ['there', there]]) {
      for (let n = 0; n < PER_TURN; n += 1) {
        const started = performance.now();
        await step();
        times[side].push(performance.now() - started);
      }
    }
  }
  const [hereP50Ms, thereP50Ms] = [median(times.here), median(times.there)];
  return { hereP50Ms, thereP50Ms, thereP99Ms: quantile(times.there, 0.99), moreMs: thereP50Ms - hereP50Ms };
}

const signal = new AbortController().signal;
const principal = { tenantId: 't', userId: 'u', groups: ['soc'], clearance: 2 };
const traceContext = { traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01' };
const args = { ip: '203.0.113.7', note: 'x'.repeat(900) };

const callTool = (registry, tool) => registry.call({ tool, args, idempotencyKey: 'r:2', runId: 'r', stepId: 's', stepNo: 2, agentId: 'a', dryRun: false }, { signal, principal, traceContext });

const at = new Date();
const step = { policyVersion: 'p', agentVersion: '1', startedAt: at, finishedAt: at };
const journal = Array.from({ length: 20 }, (_, n) =>
  n % 2 === 0
    ? { ...step, kind: 'think', no: n + 1, id: `s${n}`, decision: null, status: 'done', proposal: { thought: 'look', calls: [{ id: `c${n}`, tool: 't', args }], output: null }, error: null, usage: NO_USAGE, model: 'm', strategyState: null, reportedByRuntime: [] }
    : { ...step, kind: 'act', no: n + 1, id: `s${n}`, thinkNo: n, callId: `c${n - 1}`, tool: 't', args, decision: null, approvalId: null, status: 'done', attempts: 1, lineage: [], result: { text: 'y'.repeat(900) }, suspicious: false, error: null },
);

const think = (registry, runtime, steps) =>
  registry.findRuntime(runtime).executeStep(
    {
      tenantId: 't', runId: 'r', stepId: 's', stepNo: steps + 1, agentId: 'a', agentName: 'a', agentVersion: '1', agent: AGENT_DEFAULTS, principal, traceContext, input: { do: 'finish', output: 'done' },
      journal: journal.slice(0, steps), tools: [], ephemeralCredentials: { OPENEAAP_MODEL_TOKEN: 'step-token-of-the-bench' }, constraints: NO_CONSTRAINTS,
    },
    { signal, onDelta: () => undefined },
  );

const toolsHere = {
  handshake: async () => ({ name: 'here', version: '1', tools: [{ name: 'echo_here', version: '1', description: 'd', inputSchema: { type: 'object' }, effect: 'read', idempotent: true, timeoutMs: 5_000 }] }),
  healthCheck: async () => ({ serving: true, detail: '' }),
  call: async (invocation) => ({ output: { echo: invocation.args } }),
};

const runtimeHere = {
  handshake: async () => ({ name: 'here-runtime', version: '1', reasoningModes: [], agents: [] }),
  healthCheck: async () => ({ serving: true, detail: '' }),
  executeStep: async (request) => ({ proposal: { thought: '', calls: [], output: request.input.output }, strategyState: null, auditLogs: [], metadata: { usage: NO_USAGE, backend: '' } }),
};
