import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ApiClient, Reply, SseEvent } from './harness/api-client.ts';
import { collect } from './harness/api-client.ts';
import { createCleanup } from './harness/cleanup.ts';
import { createDataFolder } from './harness/data-folder.ts';
import { at, listAt, textAt } from './harness/json.ts';
import type { ModelServer } from './harness/model-server.ts';
import { after, answer, calls, startModelServer } from './harness/model-server.ts';
import type { Platform } from './harness/start-platform.ts';
import { ROOT, startPlatform } from './harness/start-platform.ts';

const cleanup = createCleanup();
let model: ModelServer;
let platform: Platform;
let api: ApiClient;

const DIRECTORY = `users:
  - { id: admin, groups: [security-ops], clearance: 2 }
  - { id: svc-siem, groups: [soc-analysts], clearance: 2 }
  - { id: user-123, groups: [soc-analysts], clearance: 2 }
`;

beforeAll(async () => {
  model = await startModelServer();
  cleanup.add(model.close);
  const configs = await mkdtemp(path.join(tmpdir(), 'openeaap-configs-'));
  cleanup.add(() => rm(configs, { recursive: true }));
  await cp(path.join(ROOT, 'configs'), configs, { recursive: true });
  await writeFile(path.join(configs, 'directory.yaml'), DIRECTORY);
  const folder = await createDataFolder();
  cleanup.add(folder.remove);
  platform = await startPlatform({ folder, args: ['--config-dir', configs], env: model.env });
  cleanup.add(platform.stop);
  api = platform.api;
  await api.publishAgent('plain', { tools: ['calculator'] });
});
afterAll(() => cleanup.run());

const opened = (): { readonly promise: Promise<void>; readonly open: () => void } => {
  let open = (): void => undefined;
  const promise = new Promise<void>((resolve) => (open = resolve));
  return { promise, open };
};

describe('POST /agents/{agent_id}/runs', () => {
  it('takes the body of section 16.1 as it stands and streams the run', async () => {
    const agentId = textAt(listAt((await api.get('/agents?name=plain')).body, 'items')[0], 'agent_id');
    const body = { input: '分析 IP 1.2.3.4 的威胁等级', user_id: 'user-123', stream: true, idempotency_key: 'req-uuid-v4' };
    const events = await collect(api.stream(`/agents/${agentId}/runs`, { method: 'POST', body }));
    const stored = events.filter(({ id }) => id !== null);
    expect(stored.map(({ id }) => id)).toEqual(stored.map((_event, index) => index + 1));
    expect(stored.find(({ type }) => type === 'run_started')?.data).toMatchObject({ status: 'running' });
    expect(stored.at(-1)).toMatchObject({ type: 'run_completed', data: { output: 'done' } });
    const runId = textAt(stored.at(-1)?.data, 'run_id');
    expect(await api.run(runId)).toMatchObject({ user_id: 'user-123', input: body.input, status: 'completed' });

    const again = await api.post(`/agents/${agentId}/runs`, { ...body, stream: false });
    expect(again.status, 'stream is another reader of the same run').toBe(200);
    expect(again.headers.get('idempotency-replayed')).toBe('true');
    expect(again.body).toMatchObject({ run_id: runId, replayed: true });
  });

  it('answers 202 with the location when it does not stream', async () => {
    const reply = await api.post('/agents/plain/runs', { input: { question: 'an object', n: 1 }, stream: false });
    expect(reply.status).toBe(202);
    const runId = textAt(reply.body, 'run_id');
    expect(reply.headers.get('location')).toBe(`/api/v1/runs/${runId}`);
    expect(reply.body).toMatchObject({ agent_version: '1.0.0', replayed: false });
    expect(at(reply.body, 'trace_id')).toMatch(/^[0-9a-f]{32}$/);
    expect(await api.ended(runId)).toMatchObject({ status: 'completed', output: 'done' });
    const versioned = await api.post('/agents/plain@1.0.0/runs', { input: 'by version' });
    expect(versioned.status).toBe(202);
  });

  it('lets user_id count only for a caller who may act for others', async () => {
    const own = await platform.grant('user-123', ['runs:write', 'runs:read']);
    expect((await own.post('/agents/plain/runs', { input: 'mine', user_id: 'user-123' })).status).toBe(202);
    const refused = await own.post('/agents/plain/runs', { input: 'not mine', user_id: 'svc-siem' });
    expect(refused.status).toBe(403);
    expect(refused.body).toMatchObject({ code: 'permission_denied', field: 'user_id' });
    const agent = await platform.grant('svc-siem', ['runs:write', 'act_for_others']);
    const taken = await agent.post('/agents/plain/runs', { input: 'for another', user_id: 'user-123' });
    expect(taken.status).toBe(202);
    const others = await api.startRun('plain', 'of the admin');
    expect((await own.get(`/runs/${others}`)).status, 'a run of another is not found').toBe(404);
    expect(await own.run(textAt(taken.body, 'run_id'))).toMatchObject({ user_id: 'user-123' });
    const listed = listAt((await own.get('/runs')).body, 'items');
    expect(new Set(listed.map((run) => at(run, 'user_id')))).toEqual(new Set(['user-123']));
  });

  it('treats the idempotency key the same in the header and in the body', async () => {
    const created = await api.post('/agents/plain/runs', { input: 'x' }, { 'idempotency-key': 'key-1' });
    expect(created.status).toBe(202);
    const replayed = await api.post('/agents/plain/runs', { input: 'x', idempotency_key: 'key-1' });
    expect(replayed.status).toBe(200);
    expect(textAt(replayed.body, 'run_id')).toBe(textAt(created.body, 'run_id'));
    const other = await api.post('/agents/plain/runs', { input: 'y', idempotency_key: 'key-1' });
    expect(other.status).toBe(409);
    expect(other.body).toMatchObject({ code: 'idempotency_mismatch' });
    const differ = await api.post('/agents/plain/runs', { input: 'x', idempotency_key: 'key-1' }, { 'idempotency-key': 'key-2' });
    expect(differ.status).toBe(400);
    expect((await api.post('/agents/plain/runs', { input: 'x', idempotency_key: 'k'.repeat(256) })).status).toBe(400);
  });

  it('makes one run of 20 identical requests at once', async () => {
    const replies = await Promise.all(Array.from({ length: 20 }, () => api.post('/agents/plain/runs', { input: 'race', idempotency_key: 'race-1' })));
    expect(new Set(replies.map(({ body }) => textAt(body, 'run_id'))).size).toBe(1);
    expect(replies.filter(({ status }) => status === 202)).toHaveLength(1);
    expect(replies.filter(({ status }) => status === 200)).toHaveLength(19);
  });
});

describe('the event stream', () => {
  it('resumes from Last-Event-ID during the run and after its end, without a gap or a repeat', async () => {
    const door = opened();
    model.script('resume', calls('first a sum', { name: 'calculator', args: { expression: '1+2' } }), after(door.promise, answer('three')));
    const runId = await api.startRun('plain', '[resume] add');
    const before: SseEvent[] = [];
    for await (const event of api.stream(`/runs/${runId}/events`)) {
      before.push(event);
      if (event.type === 'tool_result') break;
    }
    const last = before.at(-1)?.id ?? 0;
    expect(at(before.at(-1)?.data, 'output')).toMatchObject({ result: 3 });
    const live = collect(api.stream(`/runs/${runId}/events`, { headers: { 'last-event-id': String(last) } }));
    door.open();
    const rest = (await live).filter(({ id }) => id !== null);
    expect([...before, ...rest].filter(({ id }) => id !== null).map(({ id }) => id)).toEqual(Array.from({ length: last + rest.length }, (_none, index) => index + 1));
    expect(rest.at(-1)?.type).toBe('run_completed');

    const afterEnd = await collect(api.stream(`/runs/${runId}/events?last_event_id=${last}`));
    expect(afterEnd.map(({ id, type }) => [id, type])).toEqual(rest.map(({ id, type }) => [id, type]));
    const nothing = await api.raw(`/api/v1/runs/${runId}/events`, { headers: { authorization: `Bearer ${api.apiKey}`, accept: 'text/event-stream', 'last-event-id': String(rest.at(-1)?.id) } });
    expect(nothing.status).toBe(204);
    const bad = await api.get(`/runs/${runId}/events`, { accept: 'text/event-stream', 'last-event-id': 'abc' });
    expect(bad.status).toBe(400);
  });

  it('goes on with the run, and loses nothing, when the client that started it drops the stream', async () => {
    const door = opened();
    model.script('dropped', after(door.promise, answer('finished without you')));
    const stop = new AbortController();
    let runId = '';
    for await (const event of api.stream('/agents/plain/runs', { method: 'POST', body: { input: '[dropped] x', stream: true }, signal: stop.signal })) {
      runId = textAt(event.data, 'run_id');
      if (event.type === 'run_started') break;
    }
    stop.abort();
    door.open();
    expect(await api.ended(runId)).toMatchObject({ status: 'completed', output: 'finished without you' });
    const events = await collect(api.stream(`/runs/${runId}/events`));
    expect(events[0]?.id).toBe(1);
    expect(events.at(-1)?.type).toBe('run_completed');
  });

  it('shows the text as the model writes it, without storing it', async () => {
    const door = opened();
    model.script('deltas', after(door.promise, answer('one two three four')));
    const runId = await api.startRun('plain', '[deltas] x');
    const deltas: SseEvent[] = [];
    for await (const event of api.stream(`/runs/${runId}/events`)) {
      if (event.type === 'policy_decision') door.open();
      if (event.type === 'step_delta') deltas.push(event);
    }
    expect(deltas.map(({ data }) => textAt(data, 'text')).join('')).toBe('one two three four');
    expect((await api.events(runId)).some(({ type }) => type === 'step_delta')).toBe(false);
  });
});

describe('bad input', () => {
  const send = (body: string, headers: Readonly<Record<string, string>> = {}): Promise<Reply> =>
    api.raw('/api/v1/agents/plain/runs', { method: 'POST', headers: { authorization: `Bearer ${api.apiKey}`, 'content-type': 'application/json', ...headers }, body });
  const expectProblem = (reply: Reply, status: number, code: string): void => {
    expect([reply.status, at(reply.body, 'code')]).toEqual([status, code]);
    expect(reply.headers.get('content-type')).toContain('application/problem+json');
    expect(textAt(reply.body, 'trace_id')).toBe(reply.headers.get('x-trace-id'));
    expect(JSON.stringify(reply.body)).not.toMatch(/node_modules|\.ts:|\.js:|stack/);
  };

  it('names the place of a JSON error', async () => {
    const reply = await send('{"input": "x",, }');
    expectProblem(reply, 400, 'invalid_input');
    expect(textAt(reply.body, 'detail')).toMatch(/line 1|position|column/i);
  });

  it('refuses unknown fields and guesses what was meant', async () => {
    const reply = await send(JSON.stringify({ input: 'x', idempotencykey: 'k' }));
    expectProblem(reply, 400, 'invalid_input');
    expect(JSON.stringify(reply.body)).toContain('idempotency_key');
  });

  it.each([
    ['a number as input', { input: 7 }],
    ['a list as input', { input: ['x'] }],
    ['null as input', { input: null }],
    ['no input', {}],
    ['a text as stream', { input: 'x', stream: 'yes' }],
    ['a number as user_id', { input: 'x', user_id: 7 }],
    ['a list as the body', ['x']],
    ['an empty idempotency key', { input: 'x', idempotency_key: '' }],
  ])('refuses %s', async (_what, body) => {
    const reply = await send(JSON.stringify(body));
    expect(reply.status).toBe(400);
    expectProblem(reply, 400, 'invalid_input');
  });

  it('refuses an empty body, a body that is not JSON and another content type', async () => {
    expectProblem(await send(''), 400, 'invalid_input');
    expectProblem(await send('hello'), 400, 'invalid_input');
    const form = await send('input=x', { 'content-type': 'application/x-www-form-urlencoded' });
    expect(form.status).toBe(415);
  });

  it('refuses 50 MB, and serves on', async () => {
    const reply = await send(`{"input": "${'x'.repeat(50 * 1_048_576)}"}`);
    expectProblem(reply, 413, 'payload_too_large');
    expect((await api.raw('/healthz', {})).status).toBe(200);
  });

  it('refuses an input that is too large, and takes one just below', async () => {
    expectProblem(await send(JSON.stringify({ input: 'x'.repeat(300_000) })), 413, 'payload_too_large');
    expect((await send(JSON.stringify({ input: 'x'.repeat(200_000) }))).status).toBe(202);
  });

  it('takes text with NUL, lone surrogates and right-to-left marks, or refuses it, but never breaks', async () => {
    for (const input of ['a\u0000b', '\ud800', '\u202e‮abc', '\\u0000', '{{ip}}', "'; DROP TABLE runs; --"]) {
      const reply = await send(JSON.stringify({ input }));
      const status = reply.status === 202 ? at(await api.ended(textAt(reply.body, 'run_id')), 'status') : reply.status;
      expect({ input, status: status === 400 ? 'completed' : status }).toEqual({ input, status: 'completed' });
    }
  });

  it('says not found for agents, runs, approvals and routes that are not there', async () => {
    const nobody = await api.post('/agents/nobody/runs', { input: 'x' });
    expect(nobody.status).toBe(404);
    expectProblem(nobody, 404, 'not_found');
    expectProblem(await api.get('/runs/01939c4e-7a30-7cc1-9d3b-5f0f1c3a2b10'), 404, 'not_found');
    expectProblem(await api.get('/runs/not-a-uuid'), 400, 'invalid_input');
    expectProblem(await api.get('/approvals/01939c4e-7a30-7cc1-9d3b-5f0f1c3a2b10'), 404, 'not_found');
    expectProblem(await api.get('/nowhere'), 404, 'not_found');
    expectProblem(await api.post('/triggers/nobody', { id: 1 }), 404, 'not_found');
  });

  it('asks for a key, and for one with the scope', async () => {
    const none = await api.raw('/api/v1/runs', {});
    expectProblem(none, 401, 'unauthenticated');
    expect(none.headers.get('www-authenticate')).toContain('Bearer');
    expectProblem(await api.withKey('oea_wrong').get('/runs'), 401, 'unauthenticated');
    const reader = await platform.grant('user-123', ['runs:read']);
    const refused = await reader.post('/agents/plain/runs', { input: 'x' });
    expectProblem(refused, 403, 'permission_denied');
    expect(refused.body).toMatchObject({ scope: 'runs:write' });
    const byHeader = await api.raw('/api/v1/runs', { headers: { 'x-api-key': api.apiKey } });
    expect(byHeader.status).toBe(200);
  });

  it('does not start a draft or a deprecated agent, and keeps versions as they are', async () => {
    const created = await api.post('/agents', { name: 'life', version: '1.0.0', configuration: {} });
    expect(created.status).toBe(201);
    const id = textAt(created.body, 'agent_id');
    expect((await api.post(`/agents/${id}/runs`, { input: 'x' })).status).toBe(409);
    expect((await api.post('/agents', { name: 'life', version: '1.0.0', configuration: {} })).status).toBe(200);
    expect((await api.post('/agents', { name: 'life', version: '1.0.0', configuration: { max_steps: 3 } })).status).toBe(409);
    expect((await api.post('/agents', { name: 'life', version: '2.0.0', configuration: { tools: ['no_such_tool'] } })).status).toBe(400);
    expect((await api.post(`/agents/${id}/publish`)).status).toBe(200);
    expect((await api.post('/agents/life/runs', { input: 'x' })).status).toBe(202);
    expect((await api.post(`/agents/${id}/deprecate`)).status).toBe(200);
    expect((await api.post(`/agents/${id}/runs`, { input: 'x' })).status).toBe(409);
  });
});

describe('the description of the API', () => {
  it('serves OpenAPI 3.1 and the index', async () => {
    const openapi = await api.raw('/openapi.json', {});
    expect(textAt(openapi.body, 'openapi')).toMatch(/^3\.1/);
    expect((await api.raw('/', {})).status).toBe(200);
    expect((await api.raw('/readyz', {})).status).toBe(200);
  });
});
