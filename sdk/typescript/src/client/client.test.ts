import type { ServerResponse } from 'node:http';
import { afterEach, describe, expect, expectTypeOf, test } from 'vitest';
import type { ScriptedApi } from '../testing/scripted-api.ts';
import { delta, event, hangUp, json, problem, startScriptedApi, stream } from '../testing/scripted-api.ts';
import type { Client, StreamEvent } from './index.ts';
import { ApiError, createClient, isFinal } from './index.ts';

const apis: ScriptedApi[] = [];
afterEach(async () => {
  for (const api of apis.splice(0)) await api.close();
});

async function against(...answers: readonly ((response: ServerResponse) => void)[]): Promise<{ readonly client: Client; readonly api: ScriptedApi }> {
  const api = await startScriptedApi(...answers);
  apis.push(api);
  return { client: createClient({ url: `${api.url}/base/`, apiKey: 'key' }), api };
}

async function collect(events: AsyncIterable<StreamEvent>): Promise<readonly string[]> {
  const seen: string[] = [];
  for await (const one of events) seen.push(one.type === 'step_delta' ? one.data.text : `${one.seq} ${one.type}`);
  return seen;
}

const RUN = { run_id: 'r', status: 'running', last_seq: 3 };

describe('a request', () => {
  test('carries the key, keeps the path of the server, and names things in its words', async () => {
    const { client, api } = await against(json(202, { run_id: 'r', replayed: false }));
    await client.runs.create('soc triage@1', { input: { alert: 1 }, userId: 'u', priority: 'high', startAt: new Date(0), idempotencyKey: 'mine' });
    expect(api.asked).toMatchObject([{ method: 'POST', url: '/base/api/v1/agents/soc%20triage%401/runs', headers: { authorization: 'Bearer key', 'content-type': 'application/json' }, body: { input: { alert: 1 }, user_id: 'u', priority: 'high', start_at: '1970-01-01T00:00:00.000Z', idempotency_key: 'mine' } }]);
  });

  test('asks for lists by what is set', async () => {
    const { client, api } = await against(json(200, { items: [], next_cursor: null }));
    await client.runs.list({ status: 'failed', agentId: 'a', limit: 5 });
    await client.approvals.list({ runId: 'r' });
    await client.agents.list();
    expect(api.asked.map(({ url }) => url.slice('/base/api/v1'.length))).toEqual(['/runs?status=failed&limit=5&agent_id=a', '/approvals?run_id=r', '/agents']);
  });

  test('goes through all pages', async () => {
    const { client, api } = await against(json(200, { items: [{ run_id: '1' }, { run_id: '2' }], next_cursor: 'c 2' }), json(200, { items: [{ run_id: '3' }], next_cursor: null }));
    const ids: string[] = [];
    for await (const run of client.runs.all({ limit: 2 })) ids.push(run.run_id);
    expect(ids).toEqual(['1', '2', '3']);
    expect(api.asked[1]?.url).toContain('cursor=c+2');
  });

  test('that starts a run is one run however often it must be sent', async () => {
    const { client, api } = await against(hangUp, problem(503, 'unavailable', {}, { 'retry-after': '0' }), json(200, { run_id: 'r', replayed: true }));
    expect(await client.runs.create('a', { input: 'x' })).toMatchObject({ run_id: 'r', replayed: true });
    const keys = api.asked.map(({ body }) => (body as { readonly idempotency_key: string }).idempotency_key);
    expect(keys).toHaveLength(3);
    expect(new Set(keys).size).toBe(1);
    expect(keys[0]).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  });

  test('that decides is sent once', async () => {
    const { client, api } = await against(hangUp);
    await expect(client.approvals.decide('a', { verdict: 'approve', callHash: 'h' })).rejects.toMatchObject({ code: 'unreachable' });
    expect(api.asked).toMatchObject([{ body: { verdict: 'approve', call_hash: 'h' } }]);
  });

  test('that fails is an error by its code, with the field, the cure and the trace', async () => {
    const { client, api } = await against(problem(404, 'not_found', { trace_id: 't', field: 'run_id', cure: 'Look again.', more: 1 }));
    const error = await client.runs.get('r').catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(ApiError);
    expect(error).toMatchObject({ code: 'not_found', status: 404, message: 'because of not_found', field: 'run_id', cure: 'Look again.', traceId: 't', retryable: false, problem: { more: 1 } });
    expect(api.asked).toHaveLength(1);
  });

  test('waits as long as it is told before it is sent again', async () => {
    const { client, api } = await against(problem(429, 'quota_exceeded', {}, { 'retry-after': '1' }), json(200, RUN));
    const begun = performance.now();
    await client.runs.get('r');
    expect(performance.now() - begun).toBeGreaterThan(950);
    expect(api.asked).toHaveLength(2);
  });

  test.each<[string, (response: ServerResponse) => void, object]>([
    ['a page of a proxy', (response) => void response.writeHead(400, { 'content-type': 'text/html' }).end('<h1>secret proxy</h1>'), { code: 'bad_response', status: 400, message: 'The server answered HTTP 400 without saying why. Is this the address of an OpenEAAP server?' }],
    ['a redirect', (response) => void response.writeHead(302, { location: 'http://127.0.0.1:1/steal' }).end(), { code: 'bad_response', status: 302 }],
    ['text that is no JSON', (response) => void response.writeHead(200).end('hello'), { code: 'bad_response', status: 200 }],
  ])('that is answered with %s is a bad response', async (_name, answer, expected) => {
    const { client, api } = await against(answer);
    await expect(client.runs.get('r')).rejects.toMatchObject(expected);
    expect(api.asked).toHaveLength(1);
  });

  test('that is not answered in time is a timeout; one that is aborted throws the signal’s reason', async () => {
    const { api } = await against(() => undefined);
    const impatient = createClient({ url: api.url, timeoutMs: 50 });
    await expect(impatient.runs.cancel('r')).rejects.toMatchObject({ code: 'timeout', retryable: true });
    const reason = new Error('enough');
    const controller = new AbortController();
    const asked = createClient({ url: api.url }).runs.get('r', { signal: controller.signal });
    await expect.poll(() => api.asked.length).toBe(2);
    controller.abort(reason);
    await expect(asked).rejects.toBe(reason);
    await expect(createClient({ url: api.url }).runs.get('r', { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  });

  test('with an id that would name something else is not sent', async () => {
    const { client, api } = await against(json(200, {}));
    for (const id of ['', '.', '..']) await expect(client.runs.get(id)).rejects.toMatchObject({ code: 'invalid_input' });
    await client.runs.get('../agents');
    expect(api.asked.map(({ url }) => url)).toEqual(['/base/api/v1/runs/..%2Fagents']);
  });

  test('needs a URL and a key that can be', () => {
    expect(() => createClient({ url: 'localhost:8080' })).toThrow(/not an http or https URL/);
    expect(() => createClient({ url: 'http://x', apiKey: 'a\nb' })).toThrow(/line break/);
  });
});

describe('a stream', () => {
  test('brings typed events and previews, and ends with the run', async () => {
    const { client, api } = await against(stream([event(1, 'run_created'), delta('so '), event(2, 'tool_call', { tool: 't', input: {}, step: 2 }), event(3, 'run_completed', { output: 42 })], 'stay'));
    const seen: unknown[] = [];
    for await (const one of client.runs.stream('r')) {
      if (one.type === 'tool_call') {
        expectTypeOf(one.data.tool).toEqualTypeOf<string>();
        seen.push(one.data.tool);
      } else seen.push(one.type === 'run_completed' ? one.data.output : isFinal(one));
    }
    expect(seen).toEqual([false, false, 't', 42]);
    expect(api.asked).toMatchObject([{ headers: { accept: 'text/event-stream', authorization: 'Bearer key' } }]);
    expect(api.asked[0]?.headers).not.toHaveProperty('last-event-id');
  });

  test('is resumed behind the last event when it breaks, ends early, or a node is away; nothing comes twice', async () => {
    const { client, api } = await against(
      stream([event(1, 'run_created'), event(2, 'run_started'), delta('lost')], 'break'),
      hangUp,
      problem(503, 'unavailable', {}, { 'retry-after': '0' }),
      stream([event(2, 'run_started'), event(3, 'tool_call')], 'end'),
      stream([event(4, 'run_completed')], 'end'),
    );
    expect((await collect(client.runs.stream('r'))).filter((text) => text !== 'lost')).toEqual(['1 run_created', '2 run_started', '3 tool_call', '4 run_completed']);
    expect(api.asked.map(({ headers }) => headers['last-event-id'])).toEqual([undefined, '2', '2', '2', '3']);
  });

  test('that falls silent is a dead connection, and is made again', async () => {
    const { client, api } = await against(stream([event(1, 'run_created')], 'stay'), stream([event(2, 'run_completed')]));
    expect(await collect(client.runs.stream('r', { idleMs: 100 }))).toEqual(['1 run_created', '2 run_completed']);
    expect(api.asked[1]?.headers['last-event-id']).toBe('1');
  });

  test('starts behind `after`, and is over at once when nothing follows', async () => {
    const { client, api } = await against((response) => void response.writeHead(204).end());
    expect(await collect(client.runs.stream('r', { after: 7 }))).toEqual([]);
    expect(api.asked[0]?.headers['last-event-id']).toBe('7');
  });

  test.each<[string, (response: ServerResponse) => void, string]>([
    ['of a run that is not there', problem(404, 'not_found'), 'not_found'],
    ['that is none', json(200, {}), 'bad_response'],
    ['with data that is no JSON', stream(['id: 1\nevent: tool_call\ndata: {\n\n']), 'bad_response'],
  ])('%s is an error at once', async (_name, answer, code) => {
    const { client, api } = await against(answer);
    await expect(collect(client.runs.stream('r'))).rejects.toMatchObject({ code });
    expect(api.asked).toHaveLength(1);
  });

  test('that stays away is given up', async () => {
    const { client, api } = await against(hangUp);
    await expect(collect(client.runs.stream('r', { giveUpAfterMs: 300 }))).rejects.toMatchObject({ code: 'unreachable' });
    expect(api.asked.length).toBeGreaterThan(1);
  });

  test('ends its connection when nobody reads on, and when it is aborted', async () => {
    let closed = 0;
    const { client } = await against((response) => {
      response.on('close', () => (closed += 1));
      stream([event(1, 'run_created')], 'stay')(response);
    });
    for await (const one of client.runs.stream('r')) if (one.type === 'run_created') break;
    await expect.poll(() => closed).toBe(1);
    const controller = new AbortController();
    const reason = new Error('enough');
    const reading = collect(client.runs.stream('r', { signal: controller.signal }));
    setImmediate(() => controller.abort(reason));
    await expect(reading).rejects.toBe(reason);
  });
});

describe('waiting', () => {
  test('for the end follows the run from what was seen, and answers with it', async () => {
    const { client, api } = await against(json(200, RUN), stream([event(4, 'run_paused'), event(5, 'run_completed')]), json(200, { ...RUN, status: 'completed', output: 1 }));
    expect(await client.runs.wait('r')).toMatchObject({ status: 'completed', output: 1 });
    expect(api.asked[1]?.headers['last-event-id']).toBe('3');
  });

  test('for a pause ends with it, unless it is over already', async () => {
    const { client } = await against(json(200, RUN), stream([event(4, 'run_paused')], 'stay'), json(200, { ...RUN, last_seq: 5 }), stream([event(6, 'run_paused')], 'stay'), json(200, { ...RUN, status: 'paused' }));
    expect(await client.runs.wait('r', { until: 'ended_or_paused' })).toMatchObject({ status: 'paused' });
  });

  test('for what has ended asks once', async () => {
    const { client, api } = await against(json(200, { ...RUN, status: 'failed' }));
    expect(await client.runs.wait('r')).toMatchObject({ status: 'failed' });
    expect(api.asked).toHaveLength(1);
  });
});
