import { createServer } from 'node:http';
import type { ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { InMemorySpanExporter, BasicTracerProvider, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base';
import { context } from '@opentelemetry/api';
import { createGateway, parseGatewayConfig } from '@openeaap/msig';
import { MODEL_CREDENTIAL } from '@openeaap/native-runtime';
import type { StepIdentity } from '@openeaap/orchestrator';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { createModelSessions } from './model-sessions.ts';
import type { AskCall, ModelSession, ModelSessions, ModelSessionsOptions } from './model-sessions.ts';

const closers: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
  vi.useRealTimers();
});

/** Nothing leaves the house in these tests. */
const NO_EGRESS = {
  guard: {
    prepare: () => {
      throw new Error('Nothing may leave in this test.');
    },
  },
  auditEgress: async () => undefined,
  saltKey: 'salts',
};
const TRACE_ID = '0af7651916cd43dd8448eb211c80319c';
const STEP: StepIdentity = { tenantId: 't', runId: 'r', stepId: 's', tool: null, agentId: 'a', userId: 'u', traceId: TRACE_ID, maxTokens: 1_000, timeoutMs: 20_000, sensitivity: 1, models: null };

interface Asked {
  readonly maxTokens: number | undefined;
  readonly response: ServerResponse;
}

const chunk = (delta: object, finishReason: string | null = null): string => `data: ${JSON.stringify({ id: 'c', model: 'served', choices: [{ index: 0, delta, finish_reason: finishReason }] })}\n\n`;
const finish = (tokens: number): string => `${chunk({}, 'stop')}data: ${JSON.stringify({ choices: [], usage: { prompt_tokens: 3, completion_tokens: tokens } })}\n\ndata: [DONE]\n\n`;

/** A model server, the gateway before it, and the sessions: all real. `answer` decides what the server does. */
async function setUp(answer: (asked: Asked) => void, options: Partial<ModelSessionsOptions> = {}) {
  let gone = 0;
  const asked: Asked[] = [];
  const server = createServer((request, response) => {
    response.on('close', () => (gone += response.writableFinished ? 0 : 1));
    let text = '';
    request.on('data', (piece: Buffer) => (text += piece.toString()));
    request.on('end', () => {
      const { max_tokens: maxTokens } = JSON.parse(text) as { readonly max_tokens?: number };
      asked.push({ maxTokens, response });
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      answer({ maxTokens, response });
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const exporter = new InMemorySpanExporter();
  const provider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] });
  const config = parseGatewayConfig(`backends: [{name: up, type: openai, endpoint: "http://127.0.0.1:${(server.address() as AddressInfo).port}"}]`, {});
  const gateway = createGateway(config, { now: () => performance.timeOrigin + performance.now(), newId: () => 'i', random: () => 0, readScript: () => '', tracer: provider.getTracer('test'), ...NO_EGRESS });
  closers.push(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }, gateway.close);
  const sessions = createModelSessions(gateway, options);
  return { sessions, gateway, asked, gone: () => gone, provider, spans: () => exporter.getFinishedSpans() };
}

function enter(sessions: ModelSessions, step: Partial<StepIdentity> = {}): { readonly session: ModelSession; readonly credential: string } {
  const credential = sessions.credentials({ ...STEP, ...step })[MODEL_CREDENTIAL] ?? '';
  const session = sessions.enter(credential);
  if (session === null) throw new Error('the credential opens nothing');
  return { session, credential };
}

const body = (fields: object = {}): string => JSON.stringify({ model: '', messages: [{ role: 'user', content: 'hi' }], stream: true, ...fields });
const call = (changes: Partial<AskCall> = {}): AskCall => ({ signal: new AbortController().signal, traceparent: null, cacheControl: { read: true, write: true, maxAgeMs: null, ttlMs: null, semantic: null }, sensitivity: null, agent: null, onChunk: () => null, onRouted: () => undefined, ...changes });
/** Answers at once, with as many tokens as were asked for at most. */
const use = (tokens: number) => ({ response, maxTokens = Infinity }: Asked): void => void response.end(chunk({ role: 'assistant', content: 'x' }) + finish(Math.min(tokens, maxTokens)));

describe('a credential', () => {
  it('of an agent with a list of models opens these alone', async () => {
    const { sessions } = await setUp(use(1));
    await enter(sessions, { models: ['up'] }).session.ask('chat', body({ model: 'up' }), call());
    await expect(enter(sessions, { models: ['another'] }).session.ask('chat', body({ model: 'up' }), call())).rejects.toMatchObject({ code: 'permission_denied' });
  });

  it('opens the models for its step alone, and nothing after it was revoked', async () => {
    const { sessions } = await setUp(use(1));
    const { session, credential } = enter(sessions);
    expect(session.models().map(({ name }) => name)).toEqual(['up']);
    expect(session.findModel('up').type).toBe('openai');
    expect(sessions.enter('step-unknown')).toBeNull();
    sessions.revoke('another');
    expect(sessions.enter(credential)).not.toBeNull();
    sessions.revoke('s');
    expect(sessions.enter(credential)).toBeNull();
    await expect(session.ask('chat', body(), call())).rejects.toMatchObject({ code: 'unauthenticated' });
    await expect(sessions.chat({ model: '', messages: [] }, { credential, signal: new AbortController().signal, onDelta: () => undefined })).rejects.toMatchObject({ code: 'unauthenticated', message: expect.not.stringContaining(credential) });
  });

  it('of an earlier try of the step ends with the next one', async () => {
    const { sessions } = await setUp(use(1));
    const first = enter(sessions);
    const second = enter(sessions);
    expect([sessions.enter(first.credential), sessions.enter(second.credential) === null]).toEqual([null, false]);
    sessions.revoke('s');
    expect(sessions.enter(second.credential)).toBeNull();
  });

  it('ends with its time although nobody revokes it, and its calls with it', async () => {
    const { sessions, gone } = await setUp(({ response }) => void response.write(chunk({ role: 'assistant', content: 'x' })), { graceMs: 0 });
    const { session, credential } = enter(sessions, { timeoutMs: 150 });
    // The gateway has the step's own time and would say so first; the session's is a little later.
    await expect(session.ask('chat', body(), call())).rejects.toMatchObject({ code: expect.stringMatching(/model_unavailable|unauthenticated/) });
    await vi.waitFor(() => expect([sessions.enter(credential), gone()]).toEqual([null, 1]));
  });
});

describe('the tokens of a step', () => {
  it('are never exceeded by twenty calls at once', async () => {
    const waiting: (() => void)[] = [];
    let used = 0;
    let held = 0;
    let most = 0;
    const { sessions, gateway, asked } = await setUp((one) => {
      held += one.maxTokens ?? Infinity;
      most = Math.max(most, used + held);
      waiting.push(() => {
        held -= one.maxTokens ?? Infinity;
        // Most write less than they may.
        const tokens = one.maxTokens === 100 ? 70 : (one.maxTokens ?? 0);
        used += tokens;
        use(tokens)(one);
      });
    });
    const { session } = enter(sessions);
    const calls = Array.from({ length: 20 }, () => session.ask('chat', body({ max_tokens: 100 }), call()).then(() => 'ok', (error: { code: string }) => error.code));
    const all = Promise.all(calls);
    const progress = { isDone: false };
    void all.then(() => (progress.isDone = true));
    // Ten hold all of it; the others wait. Each end lets others begin.
    await vi.waitFor(() => expect(asked).toHaveLength(10));
    while (!progress.isDone) {
      waiting.shift()?.();
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(most).toBeLessThanOrEqual(1_000);
    expect(used).toBe(1_000);
    expect(new Set(await all)).toEqual(new Set(['ok', 'quota_exceeded']));
    const seen = gateway.meter.take('s');
    expect([seen.usage.completionTokens, seen.calls]).toEqual([used, asked.length]);
  }, 20_000);

  it('cap a call that names none, and count for the native runtime too', async () => {
    const writes = [400, 400, 200];
    const { sessions, asked } = await setUp(({ response }) => void response.end(chunk({ role: 'assistant', content: 'x' }) + finish(writes.shift() ?? 0)));
    const { session, credential } = enter(sessions);
    await session.ask('chat', body(), call());
    await sessions.chat({ model: '', messages: [{ role: 'user', content: 'hi' }], maxTokens: 5_000 }, { credential, signal: new AbortController().signal, onDelta: () => undefined });
    await session.ask('chat', body({ n: 3, max_tokens: 500 }), call());
    await expect(session.ask('chat', body(), call())).rejects.toMatchObject({ code: 'quota_exceeded', details: { max_tokens: 1_000, left: 0 } });
    await expect(sessions.chat({ model: '', messages: [] }, { credential, signal: new AbortController().signal, onDelta: () => undefined })).rejects.toMatchObject({ code: 'quota_exceeded' });
    // 1,000 at first, 600 after 400 used, and 200 for three choices are 66 each.
    expect(asked.map(({ maxTokens }) => maxTokens)).toEqual([1_000, 600, 66]);
  });

  it('are given back by a call that failed before it wrote any', async () => {
    let calls = 0;
    const { sessions, asked } = await setUp((one) => ((calls += 1) === 1 ? void one.response.end('data: {"error":{"message":"no","code":400}}\n\n') : use(5)(one)));
    const { session } = enter(sessions);
    await expect(session.ask('chat', body(), call())).rejects.toMatchObject({ code: 'model_rejected' });
    await session.ask('chat', body(), call());
    expect(asked.map(({ maxTokens }) => maxTokens)).toEqual([1_000, 1_000]);
  });

  it('are without limit when the step has none', async () => {
    const { sessions, asked } = await setUp(use(5));
    await enter(sessions, { maxTokens: 0 }).session.ask('chat', body({ max_tokens: 7 }), call());
    await enter(sessions, { maxTokens: 0 }).session.ask('chat', body(), call());
    expect(asked.map(({ maxTokens }) => maxTokens)).toEqual([7, undefined]);
  });
});

it('a step may ask so often and no more, and a request that cannot be read does not count', async () => {
  const { sessions, asked } = await setUp(use(1), { callsPerStep: 2 });
  const { session } = enter(sessions);
  await expect(session.ask('chat', '{', call())).rejects.toMatchObject({ code: 'invalid_input' });
  await session.ask('chat', body(), call());
  await session.ask('chat', body(), call());
  await expect(session.ask('chat', body(), call())).rejects.toMatchObject({ code: 'quota_exceeded', message: expect.stringContaining('2 times') });
  expect(asked).toHaveLength(2);
});

describe('the end of a step', () => {
  it('aborts its calls in flight, and what they used is in the meter when revoke returns', async () => {
    const { sessions, gateway, gone } = await setUp(({ response }) => void response.write(chunk({ role: 'assistant', content: 'abcdefgh' })));
    const { session } = enter(sessions);
    let chunks = 0;
    const calls = [1, 2].map(() => session.ask('chat', body({ max_tokens: 100 }), call({ onChunk: () => ((chunks += 1), null) })));
    const ends = Promise.allSettled(calls);
    await vi.waitFor(() => expect(chunks).toBe(2));
    sessions.revoke('s');
    expect(gateway.meter.take('s')).toMatchObject({ calls: 2, usage: { completionTokens: 4 } });
    for (const end of await ends) expect(end).toMatchObject({ status: 'rejected', reason: { code: 'unauthenticated' } });
    await vi.waitFor(() => expect(gone()).toBe(2));
    expect(gateway.meter.take('s').calls).toBe(0);
  });

  it('also ends a call that waits for tokens', async () => {
    const { sessions, asked } = await setUp(({ response }) => void response.write(chunk({ role: 'assistant', content: 'x' })));
    const { session } = enter(sessions);
    const ends = Promise.allSettled([session.ask('chat', body(), call()), session.ask('chat', body(), call())]);
    await vi.waitFor(() => expect(asked).toHaveLength(1));
    sessions.revoke('s');
    expect((await ends).map((end) => end.status)).toEqual(['rejected', 'rejected']);
    expect(asked).toHaveLength(1);
  });
});

it('a client that leaves ends its own call only', async () => {
  const { sessions, gone, asked } = await setUp((one) => (one.maxTokens === 1 ? void one.response.write(chunk({ role: 'assistant', content: 'x' })) : use(2)(one)));
  const { session, credential } = enter(sessions);
  const controller = new AbortController();
  const leaving = session.ask('chat', body({ max_tokens: 1 }), call({ signal: controller.signal }));
  leaving.catch(() => undefined);
  await vi.waitFor(() => expect(asked).toHaveLength(1));
  controller.abort();
  await expect(leaving).rejects.toMatchObject({ code: 'cancelled' });
  await vi.waitFor(() => expect(gone()).toBe(1));
  await session.ask('chat', body({ max_tokens: 2 }), call());
  expect(sessions.enter(credential)).not.toBeNull();
});

describe('the span of a call', () => {
  it('stands under the step, or under the span that the runtime names if it is of the same run', async () => {
    const manager = new AsyncLocalStorageContextManager().enable();
    context.setGlobalContextManager(manager);
    try {
      const { sessions, spans, provider } = await setUp(use(1));
      const step = provider.getTracer('test').startActiveSpan('Agent.Step', (span) => ({ span, opened: enter(sessions, { tool: 'look', traceId: span.spanContext().traceId }) }));
      const { traceId, spanId } = step.span.spanContext();
      const foreign = `00-${TRACE_ID}-b7ad6b7169203331-01`;
      await step.opened.session.ask('chat', body(), call());
      await step.opened.session.ask('chat', body(), call({ traceparent: `00-${traceId}-b7ad6b7169203331-01` }));
      await step.opened.session.ask('chat', body(), call({ traceparent: foreign }));
      await step.opened.session.ask('chat', body(), call({ traceparent: 'nonsense' }));
      expect(spans().map((span) => [span.name, span.spanContext().traceId, span.parentSpanContext?.spanId])).toEqual([
        ['LLM.Invoke', traceId, spanId],
        ['LLM.Invoke', traceId, 'b7ad6b7169203331'],
        ['LLM.Invoke', traceId, spanId],
        ['LLM.Invoke', traceId, spanId],
      ]);
      expect(spans()[0]?.attributes).toMatchObject({ 'llm.model': 'up', 'llm.prompt_tokens': 3, 'llm.completion_tokens': 1, 'openeaap.step_id': 's', 'openeaap.tool': 'look' });
    } finally {
      context.disable();
    }
  });
});
