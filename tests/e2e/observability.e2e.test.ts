import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createCleanup } from './harness/cleanup.ts';
import { createDataFolder } from './harness/data-folder.ts';
import { at, listAt, textAt } from './harness/json.ts';
import type { ModelServer } from './harness/model-server.ts';
import { MODEL, answer, calls, startModelServer } from './harness/model-server.ts';
import type { ProductServer } from './harness/product-server.ts';
import { startProductServer } from './harness/product-server.ts';
import { startPlatform } from './harness/start-platform.ts';

interface Span {
  readonly name: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId: string;
  readonly attributes: Readonly<Record<string, unknown>>;
}

const TRACE = 'aaaabbbbccccddddeeeeffff00001111';
const cleanup = createCleanup();
let model: ModelServer;
let product: ProductServer;
let spans: readonly Span[];
let metrics: string;
let run: unknown;
let otherRun: unknown;
let agentId: string;
let log: string;
let auditTraces: readonly unknown[];
let startedTrace: string | null;

/** One platform with a collector runs two jobs and stops, which flushes; the tests read what came. */
beforeAll(async () => {
  const collector = await startCollector();
  cleanup.add(collector.close);
  model = await startModelServer();
  cleanup.add(model.close);
  product = await startProductServer();
  cleanup.add(product.close);
  const folder = await createDataFolder();
  cleanup.add(folder.remove);
  const platform = await startPlatform({ folder, env: { ...model.env, ...product.env, OTEL_EXPORTER_OTLP_ENDPOINT: collector.url } });
  cleanup.add(platform.kill);
  const { api } = platform;
  agentId = await api.publishAgent('analyst', { tools: ['check_ip_reputation', 'firewall_block_ip'] });

  model.script('traced', calls('look, then block', { name: 'check_ip_reputation', args: { ip: '45.64.1.1' } }, { name: 'firewall_block_ip', args: { ip: '45.64.1.1', reason: 'x' } }), answer('done', { prompt: 100, completion: 10 }));
  const started = await api.post('/agents/analyst/runs', { input: '[traced] x' }, { traceparent: `00-${TRACE}-00f067aa0ba902b7-01` });
  startedTrace = started.headers.get('x-trace-id');
  const runId = textAt(started.body, 'run_id');
  await api.decide(await api.pendingApproval(runId), { verdict: 'approve' });
  run = await api.ended(runId);
  model.script('denied', calls('inside', { name: 'firewall_block_ip', args: { ip: '10.0.0.1', reason: 'x' } }), answer('not allowed'));
  otherRun = await api.ended(await api.startRun('analyst', '[denied] x'));
  auditTraces = listAt((await api.get(`/audit?run_id=${runId}&limit=200`)).body, 'items').map((row) => at(row, 'trace_id'));
  metrics = String((await api.raw('/metrics', {})).body);
  await platform.stop();
  log = platform.stderr();
  spans = collector.spans();
});
afterAll(() => cleanup.run());

const ofRun = (name: string | RegExp): readonly Span[] => spans.filter((span) => span.traceId === TRACE && (typeof name === 'string' ? span.name === name : name.test(span.name)));
const valueOf = (name: string, labels: Readonly<Record<string, string>> = {}): number => {
  const line = metrics.split('\n').find((row) => (row.startsWith(`${name}{`) || row.startsWith(`${name} `)) && Object.entries(labels).every(([key, value]) => row.includes(`${key}="${value}"`)));
  return Number(line?.split(' ').at(-1) ?? Number.NaN);
};

describe('metrics of section 17.2', () => {
  it('count runs, tokens and blocks under the names and labels of the document', () => {
    expect(valueOf('agent_run_total', { agent_id: agentId, status: 'completed' })).toBe(2);
    expect(metrics).toContain('# TYPE agent_run_total counter');
    const tokens = metrics.split('\n').filter((row) => row.startsWith('agent_token_usage{') && row.includes(`agent_id="${agentId}"`));
    expect(tokens).toHaveLength(1);
    expect(tokens[0]).toMatch(/model_name="[^"]+"/);
    // Three answers of 18 tokens and one of 110.
    expect(Number(tokens[0]?.split(' ').at(-1))).toBe(18 + 110 + 18 + 18);
    expect(valueOf('pdp_block_total', { policy_rule: 'scopes.firewall-public-only', user_group: 'security-ops' })).toBe(1);
    for (const level of ['l1', 'l2', 'l3']) expect(valueOf('msig_cache_hit_ratio', { cache_level: level })).toBe(0);
    expect(metrics).toContain('# TYPE vllm_gpu_utilization gauge');
  });

  it('count a call that was held once as one block, though the PDP is asked again after the approval', () => {
    expect(valueOf('pdp_block_total', { policy_rule: 'approval_gates[0]', user_group: 'security-ops' })).toBe(1);
  });

  it('hold no PII and no ids of runs', () => {
    expect(metrics).not.toContain('45.64.1.1');
    expect(metrics).not.toContain(textAt(run, 'run_id'));
  });
});

describe('spans of section 17.1', () => {
  it('are one trace from the run down to the model and the tools, with the trace id of the run', () => {
    expect(textAt(run, 'trace_id')).toBe(TRACE);
    expect(startedTrace).toBe(TRACE);
    const [root, ...others] = ofRun(/^Run /);
    expect(others).toEqual([]);
    expect(root?.name).toBe(`Run ${TRACE}`);
    expect(root?.attributes).toMatchObject({ 'run.id': textAt(run, 'run_id'), 'run.status': 'completed' });
  });

  it('hang together as the document draws them', () => {
    const parentsOf = (name: string): ReadonlySet<string | undefined> => new Set(ofRun(name).map((span) => spans.find(({ traceId, spanId }) => traceId === TRACE && spanId === span.parentSpanId)?.name.replace(/^Run .*/, 'Run')));
    expect(parentsOf('Orchestrator.Plan')).toEqual(new Set(['Run']));
    expect(parentsOf('Agent.Step')).toEqual(new Set(['Run']));
    expect(parentsOf('LLM.Invoke')).toEqual(new Set(['Agent.Step']));
    expect(parentsOf('Tool.Execute')).toEqual(new Set(['Run']));
    for (const parent of parentsOf('PDP.Evaluate')) expect(['Run', 'Orchestrator.Plan']).toContain(parent);
    expect(ofRun('Agent.Step')).toHaveLength(2);
    expect(ofRun('LLM.Invoke')).toHaveLength(2);
    expect(ofRun('Tool.Execute')).toHaveLength(2);
    // Two thinks, two calls, and the approved call once more.
    expect(ofRun('PDP.Evaluate')).toHaveLength(5);
  });

  it('carry the attributes of the document', () => {
    const models = ofRun('LLM.Invoke').map(({ attributes }) => attributes);
    expect(models).toEqual(expect.arrayContaining([expect.objectContaining({ 'llm.model': MODEL, 'llm.prompt_tokens': 100, 'llm.completion_tokens': 10 })]));
    const tools = ofRun('Tool.Execute').map(({ attributes }) => attributes);
    expect(tools.map((attributes) => attributes['tool.name']).sort()).toEqual(['check_ip_reputation', 'firewall_block_ip']);
    for (const attributes of tools) expect(Number(attributes['tool.input_size'])).toBeGreaterThan(0);
    expect(JSON.stringify(spans)).not.toContain('45.64.1.1');
  });

  it('go on in the products that the tools call, and another run has another trace', () => {
    const call = ofRun('Tool.Execute').find(({ attributes }) => attributes['tool.name'] === 'firewall_block_ip');
    expect(product.traceparent('45.64.1.1')).toBe(`00-${TRACE}-${String(call?.spanId)}-01`);
    const other = textAt(otherRun, 'trace_id');
    expect(other).not.toBe(TRACE);
    expect(spans.some(({ traceId, name }) => traceId === other && name === `Run ${other}`)).toBe(true);
  });
});

describe('the trace id', () => {
  it('is on the audit rows and in the structured log of the run', () => {
    expect(new Set(auditTraces)).toEqual(new Set([TRACE]));
    const lines = log.trim().split('\n').map((line) => JSON.parse(line) as unknown);
    expect(lines.find((line) => at(line, 'run_id') === textAt(run, 'run_id') && at(line, 'msg') === 'run ended')).toMatchObject({ trace_id: TRACE, status: 'completed' });
  });
});

async function startCollector(): Promise<{ readonly url: string; readonly spans: () => readonly Span[]; readonly close: () => Promise<void> }> {
  const received: Span[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      if (request.url === '/v1/traces') received.push(...toSpans(JSON.parse(Buffer.concat(chunks).toString())));
      response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    spans: () => received,
    close: async () => {
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

function toSpans(batch: unknown): readonly Span[] {
  return listAt(batch, 'resourceSpans').flatMap((resource) => listAt(resource, 'scopeSpans').flatMap((scope) => listAt(scope, 'spans').map(toSpan)));
}

const parentIdOf = (span: unknown): string => (at(span, 'parentSpanId') === undefined ? '' : textAt(span, 'parentSpanId'));

function toSpan(span: unknown): Span {
  const attributes = listAt(span, 'attributes').map((attribute) => [textAt(attribute, 'key'), Object.values(at(attribute, 'value') as object)[0]] as const);
  return { name: textAt(span, 'name'), traceId: textAt(span, 'traceId'), spanId: textAt(span, 'spanId'), parentSpanId: parentIdOf(span), attributes: Object.fromEntries(attributes) };
}
