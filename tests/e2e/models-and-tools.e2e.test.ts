import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ApiClient } from './harness/api-client.ts';
import { createCleanup } from './harness/cleanup.ts';
import { createDataFolder } from './harness/data-folder.ts';
import { at, listAt, textAt } from './harness/json.ts';
import type { Behaviour, ModelServer } from './harness/model-server.ts';
import { answer, calls, callsWithText, closeMidStream, empty, failWith, hang, hangMidStream, nonsense, startModelServer } from './harness/model-server.ts';
import type { ProductServer } from './harness/product-server.ts';
import { startProductServer } from './harness/product-server.ts';
import type { Platform } from './harness/start-platform.ts';
import { startPlatform } from './harness/start-platform.ts';

const cleanup = createCleanup();
let model: ModelServer;
let product: ProductServer;
let platform: Platform;
let api: ApiClient;

beforeAll(async () => {
  model = await startModelServer();
  cleanup.add(model.close);
  product = await startProductServer();
  cleanup.add(product.close);
  const folder = await createDataFolder();
  cleanup.add(folder.remove);
  platform = await startPlatform({ folder, env: { ...model.env, ...product.env } });
  cleanup.add(platform.stop);
  api = platform.api;
  const tools = ['calculator', 'check_ip_reputation', 'cmdb_lookup', 'firewall_block_ip'];
  await api.publishAgent('analyst', { tools, fallback_text: 'please ask a human' });
  await api.publishAgent('hasty', { tools, think_timeout_ms: 400, fallback_text: 'please ask a human' });
  await api.publishAgent('short', { tools, max_steps: 4 });
  await api.publishAgent('dry', { tools, dry_run: true });
  await api.publishAgent('text', { tools, model: { tool_calling: 'text' } });
  await api.publishAgent('cot', { reasoning: 'cot' });
  await api.publishAgent('tot', { reasoning: 'tot' });
});
afterAll(() => cleanup.run());

const sum = calls('a sum', { name: 'calculator', args: { expression: '6*7' } });

async function runScript(tag: string, agent: string, ...behaviours: readonly Behaviour[]): Promise<{ readonly runId: string; readonly run: unknown }> {
  model.script(tag, ...behaviours);
  const runId = await api.startRun(agent, `[${tag}] go`);
  return { runId, run: await api.ended(runId) };
}

async function actsOf(runId: string): Promise<readonly unknown[]> {
  return (await api.steps(runId)).filter((step) => at(step, 'kind') === 'act');
}

describe('a model that cannot be reached', () => {
  it.each([
    ['hang', 'hasty', hang],
    ['hang-mid-stream', 'hasty', hangMidStream],
    ['close-mid-stream', 'analyst', closeMidStream],
    ['error-500', 'analyst', failWith(500)],
    ['too-many', 'analyst', failWith(429, { 'retry-after': '0' })],
  ])('fails the run with model_unavailable and a fallback text: %s', async (tag, agent, behaviour) => {
    const { runId, run } = await runScript(tag, agent, behaviour);
    expect(run).toMatchObject({ status: 'failed', output: null, error: { code: 'model_unavailable', fallback_text: 'please ask a human' } });
    const events = await api.events(runId);
    expect(events.at(-1)).toMatchObject({ type: 'run_failed', data: { error: { code: 'model_unavailable', fallback_text: 'please ask a human' } } });
    expect((await api.steps(runId)).at(-1)).toMatchObject({ kind: 'think', status: 'failed', error: { code: 'model_unavailable' } });
  });

  it('says so when it refuses the request itself, and does not repeat it', async () => {
    const { run } = await runScript('refused', 'analyst', failWith(401));
    expect(run).toMatchObject({ status: 'failed', error: { code: 'model_rejected' } });
    expect(model.requests('refused')).toHaveLength(1);
    expect(JSON.stringify(run)).not.toContain('sk-e2e');
  });

  it.each([
    ['429-then-ok', failWith(429, { 'retry-after': '0' })],
    ['503-then-ok', failWith(503)],
  ])('tries again and completes: %s', async (tag, behaviour) => {
    const { run } = await runScript(tag, 'analyst', behaviour, answer('there you are'));
    expect(run).toMatchObject({ status: 'completed', output: 'there you are' });
    expect(model.requests(tag)).toHaveLength(2);
  });
});

describe('a model that talks nonsense', () => {
  it.each([
    ['nonsense', nonsense],
    ['empty', empty],
  ])('is told, may correct itself a bounded number of times, and then fails the run: %s', async (tag, behaviour) => {
    const { run } = await runScript(tag, 'analyst', behaviour);
    expect(run).toMatchObject({ status: 'failed', error: { code: 'model_invalid_output' } });
    expect(model.requests(tag).length).toBeLessThanOrEqual(6);
    expect(model.requests(tag).length).toBeGreaterThanOrEqual(3);
    const corrected = await runScript(`${tag}-once`, 'analyst', behaviour, answer('better'));
    expect(corrected.run).toMatchObject({ status: 'completed', output: 'better' });
    expect(model.requests(`${tag}-once`).at(-1)?.messages.at(-1)?.content).toMatch(/could not be used/);
  });

  it('hears that a tool is unknown, and goes on', async () => {
    const { runId, run } = await runScript('unknown-tool', 'analyst', calls('hm', { name: 'launch_rockets', args: {} }), answer('sorry'));
    expect(run).toMatchObject({ status: 'completed', output: 'sorry' });
    expect(await actsOf(runId)).toMatchObject([{ tool: 'launch_rockets', status: 'invalid', error: { code: 'invalid_input' } }]);
    expect(model.requests('unknown-tool').at(-1)?.messages.at(-1)).toMatchObject({ role: 'tool', content: expect.stringContaining('There is no tool') });
  });

  it('hears what is wrong with its arguments before the PDP sees them, and corrects itself', async () => {
    const wrong = calls('block', { name: 'firewall_block_ip', args: { ip: 'not-an-ip', reason: 'x' } });
    const missing = calls('block', { name: 'firewall_block_ip', args: { ip: '45.61.2.1' } });
    const { runId, run } = await runScript('wrong-args', 'analyst', wrong, missing, sum, answer('42'));
    expect(run).toMatchObject({ status: 'completed', output: '42' });
    expect((await actsOf(runId)).map((act) => at(act, 'status'))).toEqual(['invalid', 'invalid', 'done']);
    const decided = (await api.events(runId)).filter(({ type, data }) => type === 'policy_decision' && at(data, 'kind') === 'act');
    expect(decided).toHaveLength(1);
    expect(product.blockRequests('45.61.2.1')).toEqual([]);
  });

  it('is stopped when it never corrects itself', async () => {
    const { runId, run } = await runScript('never', 'analyst', callsWithText('hm', { name: 'calculator', text: '{"expression": ' }));
    expect(run).toMatchObject({ status: 'failed', error: { code: 'model_invalid_output' } });
    expect(await actsOf(runId)).toHaveLength(3);
    expect(textAt(run, 'error', 'message')).toContain('3 times in a row');
  });

  it('is refused more calls in one think than the limit', async () => {
    const many = calls('all at once', ...Array.from({ length: 17 }, () => ({ name: 'calculator', args: { expression: '1' } })));
    const { run } = await runScript('too-many-calls', 'analyst', many, answer('fewer'));
    expect(run).toMatchObject({ status: 'completed', output: 'fewer' });
  });

  it('cannot use up more than its step budget', async () => {
    const { runId, run } = await runScript('budget', 'short', sum);
    expect(run).toMatchObject({ status: 'failed', error: { code: 'step_budget_exceeded' }, step_count: 4 });
    expect(await api.steps(runId)).toHaveLength(4);
  });
});

describe('the ways of reasoning', () => {
  it('ReAct by tool calls: two reads at once, then an answer from what they said', async () => {
    const both = calls('facts first', { name: 'check_ip_reputation', args: { ip: '45.61.2.2' } }, { name: 'cmdb_lookup', args: { asset: 'vpn-gw-01' } });
    const { runId, run } = await runScript('react', 'analyst', both, answer('bad'));
    expect(run).toMatchObject({ status: 'completed', output: 'bad' });
    expect(await actsOf(runId)).toMatchObject([{ tool: 'check_ip_reputation', status: 'done', result: { score: 95 } }, { tool: 'cmdb_lookup', status: 'done', result: { owner: 'Network Team' } }]);
    const tools = model.requests('react').at(-1)?.messages.filter(({ role }) => role === 'tool') ?? [];
    expect(tools.map(({ content }) => content).join(' ')).toContain('Network Team');
  });

  it('ReAct as text, for a model without tool calls', async () => {
    const act = answer('Thought: a sum\nAction: calculator\nAction Input: {"expression": "6*7"}\nObservation: {"result": 4711}');
    const { runId, run } = await runScript('react-text', 'text', act, answer('Thought: I know it\nFinal Answer: it is 42'));
    expect(run).toMatchObject({ status: 'completed', output: 'it is 42' });
    expect(await actsOf(runId)).toMatchObject([{ tool: 'calculator', result: { result: 42 } }]);
    const second = model.requests('react-text')[1];
    expect(second?.messages.at(-1)?.content).toContain('Observation:');
    expect(at(second?.body, 'tools')).toBeUndefined();
    expect(JSON.stringify(second?.messages)).not.toContain('4711');
  });

  it('chain of thought keeps the reasoning apart from the answer', async () => {
    const { runId, run } = await runScript('cot', 'cot', answer('First this.\nThen that.\nFinal Answer: 7'));
    expect(run).toMatchObject({ status: 'completed', output: '7' });
    expect(await api.steps(runId)).toMatchObject([{ kind: 'think', thought: expect.stringContaining('Then that.') as string }]);
  });

  it('tree of thoughts expands, rates and concludes', async () => {
    const expand = answer('{"thoughts": [{"line": 1, "text": "a"}, {"line": 1, "text": "b"}, {"line": 1, "text": "c"}]}');
    const rate = answer('{"ratings": [{"line": 1, "score": 1}, {"line": 2, "score": 9}, {"line": 3, "score": 5}]}');
    const { runId, run } = await runScript('tot', 'tot', expand, rate, expand, rate, answer('b it is'));
    expect(run).toMatchObject({ status: 'completed', output: 'b it is' });
    expect(await api.steps(runId)).toHaveLength(5);
    expect(model.requests('tot')[2]?.messages.at(-1)?.content).toContain('1. b');
  });
});

describe('tools that misbehave', () => {
  it('keeps a result of 1 MB within its limit, in the journal and for the model', async () => {
    const tags = Array.from({ length: 20_000 }, (_none, index) => `tag-${index}-${'x'.repeat(40)}`);
    product.behave('intel', '45.61.3.1', { kind: 'text', text: JSON.stringify({ ip: '45.61.3.1', risk_score: 90, tags }) });
    const { runId, run } = await runScript('large', 'analyst', calls('look', { name: 'check_ip_reputation', args: { ip: '45.61.3.1' } }), answer('ok'));
    expect(run).toMatchObject({ status: 'completed' });
    const [act] = await actsOf(runId);
    expect(act).toMatchObject({ status: 'done', result: { score: 90 } });
    expect(JSON.stringify(at(act, 'result')).length).toBeLessThanOrEqual(65_536);
    expect(JSON.stringify(model.requests('large').at(-1)?.body).length).toBeLessThan(200_000);
  });

  it('gives up on a result of 5 MB, and the run goes on', async () => {
    product.behave('intel', '45.61.3.2', { kind: 'text', text: JSON.stringify({ ip: '45.61.3.2', risk_score: 90, tags: ['x'.repeat(5_242_880)] }) });
    const { runId, run } = await runScript('huge', 'analyst', calls('look', { name: 'check_ip_reputation', args: { ip: '45.61.3.2' } }), answer('ok'));
    expect(run).toMatchObject({ status: 'completed' });
    expect(await actsOf(runId)).toMatchObject([{ status: 'failed', error: { code: 'tool_failed' } }]);
  });

  it('repeats a read that answers 500, and goes on with its answer', async () => {
    product.behave('cmdb', 'flaky-01', { kind: 'fail_first', times: 2, status: 500 });
    const { runId, run } = await runScript('flaky', 'analyst', calls('look', { name: 'cmdb_lookup', args: { asset: 'flaky-01' } }), answer('ok'));
    expect(run).toMatchObject({ status: 'completed' });
    expect(await actsOf(runId)).toMatchObject([{ status: 'done', attempts: 3, result: { owner: 'Network Team' } }]);
  });

  it.each([
    ['answers 500 for ever', 'down-01', { kind: 'status', status: 500 } as const, 'tool_unavailable'],
    ['refuses', 'refused-01', { kind: 'status', status: 400 } as const, 'tool_failed'],
    ['answers with something that is not JSON', 'html-01', { kind: 'text', text: '<html>' } as const, 'tool_failed'],
    ['answers with JSON of another form', 'form-01', { kind: 'text', text: '{"owner": 7}' } as const, 'tool_failed'],
  ])('tells the model when a tool %s, and the run goes on', async (_what, asset, behaviour, code) => {
    product.behave('cmdb', asset, behaviour);
    const { runId, run } = await runScript(asset, 'analyst', calls('look', { name: 'cmdb_lookup', args: { asset } }), answer('the CMDB is down'));
    expect(run).toMatchObject({ status: 'completed', output: 'the CMDB is down' });
    expect(await actsOf(runId)).toMatchObject([{ status: 'failed', error: { code } }]);
    expect(model.requests(asset).at(-1)?.messages.at(-1)?.content).toContain(code);
  });

  it('gives up on a tool that hangs, and can be cancelled meanwhile', async () => {
    product.behave('cmdb', 'hang-01', { kind: 'hang' });
    const look = calls('look', { name: 'cmdb_lookup', args: { asset: 'hang-01' } });
    model.script('tool-hang', look, answer('it hangs'));
    model.script('tool-hang-cancel', look, answer('never asked'));
    const [patient, cancelled] = await Promise.all([api.startRun('analyst', '[tool-hang] 1'), api.startRun('analyst', '[tool-hang-cancel] 2')]);
    for await (const event of api.stream(`/runs/${cancelled}/events`)) {
      if (event.type !== 'tool_call') continue;
      const begun = performance.now();
      await api.post(`/runs/${cancelled}/cancel`, { reason: 'enough' });
      expect(await api.ended(cancelled)).toMatchObject({ status: 'cancelled' });
      expect(performance.now() - begun, 'a hanging tool must not hold the cancellation').toBeLessThan(3_000);
    }
    // Three tries of 10 s each: the read may be repeated.
    expect(await api.ended(patient, 60_000)).toMatchObject({ status: 'completed' });
    expect(await actsOf(patient)).toMatchObject([{ status: 'failed', error: { code: 'tool_timeout' }, attempts: 3 }]);
  });

  it('does nothing in a dry run, and says what it would have done', async () => {
    const { runId, run } = await runScript('dry', 'dry', calls('block', { name: 'firewall_block_ip', args: { ip: '45.61.3.9', reason: 'bad' } }), answer('would have blocked'));
    expect(run).toMatchObject({ status: 'completed' });
    expect(await actsOf(runId)).toMatchObject([{ status: 'dry_run', result: { dry_run: true, would_call: { tool: 'firewall_block_ip' } } }]);
    expect(product.blockRequests('45.61.3.9')).toEqual([]);
  });

  it('denies what is out of scope, and tells the run', async () => {
    const { runId, run } = await runScript('scope', 'analyst', calls('block', { name: 'firewall_block_ip', args: { ip: '10.1.2.3', reason: 'bad' } }), answer('not allowed'));
    expect(run).toMatchObject({ status: 'completed' });
    expect(await actsOf(runId)).toMatchObject([{ status: 'denied', error: { code: 'policy_denied' }, decision: { effect: 'deny', rule: 'scopes.firewall-public-only' } }]);
    expect(product.blockRequests('10.1.2.3')).toEqual([]);
  });
});

describe('token use', () => {
  it('is recorded per step, per run and in the usage report, as the server counted it', async () => {
    const { runId, run } = await runScript('usage', 'analyst', sum, answer('42', { prompt: 100, completion: 23 }));
    const thinks = (await api.steps(runId)).filter((step) => at(step, 'kind') === 'think');
    expect(thinks.map((step) => at(step, 'usage'))).toMatchObject([{ prompt_tokens: 11, completion_tokens: 7 }, { prompt_tokens: 100, completion_tokens: 23 }]);
    expect(run).toMatchObject({ usage: { prompt_tokens: 111, completion_tokens: 30 } });
    const modelCalls = (await api.events(runId)).filter(({ type }) => type === 'model_call');
    expect(modelCalls.map(({ data }) => at(data, 'prompt_tokens'))).toEqual([11, 100]);
    const items = listAt((await api.get('/usage?group_by=agent')).body, 'items');
    const spent = items.map((item) => Number(at(item, 'prompt_tokens')));
    expect(Math.max(...spent)).toBeGreaterThanOrEqual(111);
    for (const group of ['user', 'model', 'day']) expect((await api.get(`/usage?group_by=${group}`)).status).toBe(200);
  });

  it('is booked for a run that fails later too', async () => {
    const { run } = await runScript('usage-broken', 'analyst', sum, failWith(401));
    expect(run).toMatchObject({ status: 'failed', usage: { prompt_tokens: 11, completion_tokens: 7 } });
  });
});
