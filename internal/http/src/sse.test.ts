import { EventEmitter, once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { get } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { connect } from 'node:net';
import { PlatformError } from '@openeaap/kernel';
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { HttpAppOptions } from './app.ts';
import { createHttpApp } from './app.ts';
import type { PlatformPort, StreamItem } from './port.ts';
import { createFakePort, createManualStream, RUN_ID, toEvent, toRun } from './testing/fake-port.ts';

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close();
});

async function serve(functions: Partial<PlatformPort>, options: Partial<HttpAppOptions> = {}) {
  const app = createHttpApp(createFakePort(functions), { version: '0.1.0', ...options });
  closers.push(() => app.close());
  await app.listen({ host: '127.0.0.1', port: 0 });
  return { app, port: (app.server.address() as AddressInfo).port };
}

const HEADERS = { authorization: 'Bearer key-all', accept: 'text/event-stream' };
const EVENTS = `/api/v1/runs/${RUN_ID}/events`;

/** Opens the stream as a client and collects its text. */
async function open(port: number, path = EVENTS, headers: Readonly<Record<string, string>> = {}) {
  const request = get({ host: '127.0.0.1', port, path, headers: { ...HEADERS, ...headers }, agent: false });
  closers.push(() => request.destroy());
  request.on('error', () => {});
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  const received = { text: '', ended: false, broken: false };
  response.setEncoding('utf8');
  response.on('data', (text: string) => (received.text += text));
  response.on('end', () => (received.ended = true));
  response.on('error', () => (received.broken = true));
  return { request, response, received };
}

const event = (...args: Parameters<typeof toEvent>): StreamItem => ({ kind: 'event', event: toEvent(...args) });

const DOCUMENT: readonly StreamItem[] = [
  event(1, 'run_started', { run_id: 'run-abc', status: 'running' }),
  event(2, 'step_thought', { content: '我需要先查询威胁情报，然后查询资产库...' }),
  event(3, 'tool_call', { tool: 'check_ip_reputation', input: { ip: '1.2.3.4' } }),
  event(4, 'tool_result', { output: { score: 90, risk: 'high' } }),
  event(5, 'governance_intervention', { reason: '检测到高危操作，已挂起等待审批', approval_id: 'apr-xyz' }),
  event(6, 'run_completed', { output: '该 IP 为高危僵尸网络节点，\n建议立即封禁。' }),
];

describe('the event stream', () => {
  it('has the frames of the document, section 16.1, with ids, and ends after the last event', async () => {
    const stream = createManualStream();
    const { port } = await serve({ openEvents: stream.open });
    const { response, received } = await open(port);
    stream.send(...DOCUMENT);
    stream.end();
    await vi.waitFor(() => expect(received.ended).toBe(true));
    expect(response.statusCode).toBe(200);
    expect(response.headers).toMatchObject({
      'content-type': 'text/event-stream',
      'cache-control': 'no-store',
      'x-accel-buffering': 'no',
      'x-trace-id': expect.stringMatching(/^[0-9a-f]{32}$/),
    });
    expect(received.text).toBe(
      [
        'retry: 2000',
        'id: 1\nevent: run_started\ndata: {"run_id":"run-abc","status":"running"}',
        'id: 2\nevent: step_thought\ndata: {"content":"我需要先查询威胁情报，然后查询资产库..."}',
        'id: 3\nevent: tool_call\ndata: {"tool":"check_ip_reputation","input":{"ip":"1.2.3.4"}}',
        'id: 4\nevent: tool_result\ndata: {"output":{"score":90,"risk":"high"}}',
        'id: 5\nevent: governance_intervention\ndata: {"reason":"检测到高危操作，已挂起等待审批","approval_id":"apr-xyz"}',
        'id: 6\nevent: run_completed\ndata: {"output":"该 IP 为高危僵尸网络节点，\\n建议立即封禁。"}',
        '',
      ].join('\n\n'),
    );
  });

  it('sends each event as it happens, and deltas without an id', async () => {
    const stream = createManualStream();
    const { port } = await serve({ openEvents: stream.open });
    const { received } = await open(port);
    stream.send({ kind: 'delta', delta: { runId: RUN_ID, stepNo: 2, text: 'I ' } });
    await vi.waitFor(() => expect(received.text).toContain('event: step_delta\ndata: {"step_no":2,"text":"I "}\n\n'));
    expect(received.text).not.toContain('id:');
    expect(received.ended).toBe(false);
  });

  it.each([
    [EVENTS, {}, 0],
    [EVENTS, { 'last-event-id': '4' }, 4],
    [`${EVENTS}?last_event_id=3`, {}, 3],
    [`${EVENTS}?last_event_id=3`, { 'last-event-id': '5' }, 5],
  ])('resumes %s with %j after event %i', async (path, headers, afterSeq) => {
    const stream = createManualStream();
    const { port } = await serve({ openEvents: stream.open });
    await open(port, path, headers);
    expect(stream.state.afterSeq).toBe(afterSeq);
  });

  it.each(['x', '-1', '1.5', '9'.repeat(16)])('refuses the Last-Event-ID %s', async (id) => {
    const app = createHttpApp(createFakePort({}), { version: '0.1.0' });
    closers.push(() => app.close());
    const answer = await app.inject({ url: EVENTS, headers: { ...HEADERS, 'last-event-id': id } });
    expect(answer.json()).toMatchObject({ status: 400, code: 'invalid_input', field: 'Last-Event-ID' });
  });

  it('answers 204 when the run has ended and nothing follows, so that an EventSource stops', async () => {
    const { port } = await serve({ openEvents: async () => null });
    expect((await open(port)).response.statusCode).toBe(204);
  });

  it('answers a problem when the run does not exist', async () => {
    const { port } = await serve({
      openEvents: async () => {
        throw new PlatformError('not_found', 'No such run.');
      },
    });
    const { response } = await open(port);
    expect(response.statusCode).toBe(404);
    expect(response.headers['content-type']).toContain('application/problem+json');
  });

  it('lists events as JSON for a client that does not ask for a stream', async () => {
    const ranges: unknown[] = [];
    const app = createHttpApp(
      createFakePort({
        listEvents: async (_caller, _runId, range) => {
          ranges.push(range);
          return range.afterSeq < 3 ? [toEvent(3, 'tool_call', { tool: 't' })] : [];
        },
      }),
      { version: '0.1.0' },
    );
    closers.push(() => app.close());
    const headers = { authorization: 'Bearer key-all' };
    expect((await app.inject({ url: `${EVENTS}?after=2&limit=1`, headers })).json()).toEqual({
      items: [{ seq: 3, type: 'tool_call', data: { tool: 't' }, at: '2026-11-22T08:00:00.123Z' }],
      next_after: 3,
    });
    expect((await app.inject({ url: `${EVENTS}?after=3`, headers })).json()).toEqual({ items: [], next_after: 3 });
    expect(ranges).toEqual([
      { afterSeq: 2, limit: 1 },
      { afterSeq: 3, limit: 50 },
    ]);
  });

  it('answers a run that is created with stream: true', async () => {
    const stream = createManualStream();
    const app = createHttpApp(createFakePort({ openEvents: stream.open, createRun: async () => ({ run: toRun(), replayed: true }) }), { version: '0.1.0' });
    closers.push(() => app.close());
    stream.send(...DOCUMENT);
    stream.end();
    const answer = await app.inject({
      method: 'POST',
      url: '/api/v1/agents/soc-triage/runs',
      headers: HEADERS,
      payload: { input: '分析 IP 1.2.3.4 的威胁等级', user_id: 'user-123', stream: true, idempotency_key: 'req-uuid-v4' },
    });
    expect(answer.statusCode).toBe(200);
    expect(answer.headers).toMatchObject({ 'content-type': 'text/event-stream', location: `/api/v1/runs/${RUN_ID}`, 'idempotency-replayed': 'true' });
    expect(answer.body.match(/^event: .*$/gm)).toHaveLength(6);
    expect(stream.state.afterSeq).toBe(0);
  });
});

describe('the connection', () => {
  it('is kept alive by heartbeats', async () => {
    const stream = createManualStream();
    const { port } = await serve({ openEvents: stream.open }, { heartbeatMs: 5 });
    const { received } = await open(port);
    await vi.waitFor(() => expect(received.text).toMatch(/^retry: 2000\n\n: hb\n\n: hb\n\n/));
  });

  it('ends the reading of events when the client goes away', async () => {
    const stream = createManualStream();
    const { port } = await serve({ openEvents: stream.open });
    const { request } = await open(port);
    expect(stream.state.aborted).toBe(false);
    request.destroy();
    await vi.waitFor(() => expect(stream.state.aborted).toBe(true));
  });

  it('ends a client that does not read, holds a bounded amount for it, and does not touch the others', async () => {
    const slow = createManualStream();
    const quick = createManualStream();
    let opened = 0;
    const openEvents: PlatformPort['openEvents'] = (...args) => ((opened += 1) === 1 ? slow.open(...args) : quick.open(...args));
    const { port } = await serve({ openEvents }, { sseBufferBytes: 100_000, sseStallMs: 200 });
    const socket = await openWithoutReading(port);
    await vi.waitFor(() => expect(opened).toBe(1));
    const { received } = await open(port);
    const kilobytes = 50_000;
    for (let seq = 1; seq <= kilobytes; seq += 1) slow.send(event(seq, 'step_thought', { content: 'x'.repeat(1_000) }));
    await vi.waitFor(() => expect(slow.state.aborted).toBe(true), 5_000);
    // What was taken of 50 MB is what the kernel's socket buffers hold, and ours.
    expect(slow.state.taken).toBeLessThan(kilobytes / 2);
    expect(socket.destroyed).toBe(false);
    quick.send(event(1, 'run_started', {}));
    await vi.waitFor(() => expect(received.text).toContain('event: run_started'));
    expect(quick.state.aborted).toBe(false);
  });

  it('gives a client that reads all of a long replay, however small the buffer', async () => {
    const stream = createManualStream();
    const { port } = await serve({ openEvents: stream.open }, { sseBufferBytes: 10_000, sseStallMs: 5_000 });
    const { received } = await open(port);
    for (let seq = 1; seq <= 5_000; seq += 1) stream.send(event(seq, 'step_thought', { content: 'x'.repeat(1_000) }));
    stream.end();
    await vi.waitFor(() => expect(received.ended).toBe(true), 5_000);
    expect(received.text.match(/^id: \d+$/gm)).toHaveLength(5_000);
  });

  it('breaks off when the events cannot be read any more, so that the client resumes', async () => {
    const database = new EventEmitter();
    async function* readUntilLost(): AsyncGenerator<StreamItem> {
      yield event(1, 'run_started', {});
      await once(database, 'lost');
      throw new PlatformError('unavailable', 'The database went away.');
    }
    const { port } = await serve({ openEvents: async () => readUntilLost() });
    const { received } = await open(port);
    await vi.waitFor(() => expect(received.text).toContain('event: run_started'));
    database.emit('lost');
    await vi.waitFor(() => expect(received.broken).toBe(true));
    expect(received.text).not.toContain('database');
  });

  it('is ended by the closing of the server', async () => {
    const stream = createManualStream();
    const { app, port } = await serve({ openEvents: stream.open });
    const { received } = await open(port);
    await app.close();
    await vi.waitFor(() => expect(received.ended).toBe(true));
    expect(stream.state.aborted).toBe(true);
  });

  it('is refused above the number of streams that a node serves', async () => {
    const stream = createManualStream();
    const { port } = await serve({ openEvents: stream.open }, { sseStreams: 1 });
    await open(port);
    expect((await open(port)).response.statusCode).toBe(503);
  });
});

/** A client that sends its request and then reads nothing at all. */
async function openWithoutReading(port: number): Promise<Socket> {
  const socket = connect({ host: '127.0.0.1', port });
  closers.push(() => socket.destroy());
  socket.on('error', () => {});
  await once(socket, 'connect');
  socket.pause();
  socket.write(`GET ${EVENTS} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer key-all\r\naccept: text/event-stream\r\n\r\n`);
  return socket;
}
