import { PlatformError } from '@openeaap/kernel';
import { afterEach, describe, expect, it } from 'vitest';
import { createOpenAiChat } from './openai-chat.ts';
import { callDelta, delta, hangAfter, json, startOpenAiServer, stream, usageChunk } from '../testing/openai-server.ts';
import type { Behaviour, OpenAiServer } from '../testing/openai-server.ts';
import { HELLO } from '../testing/make-gateway.ts';

const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function setUp(...behaviours: readonly Behaviour[]) {
  const server: OpenAiServer = await startOpenAiServer(...behaviours);
  const chat = createOpenAiChat({ now: () => performance.timeOrigin + performance.now(), newId: () => 'new', random: () => 0 });
  closers.push(server.close, chat.close);
  return { server, chat, call: { baseUrl: `${server.url}/v1`, apiKey: 'step-1', signal: new AbortController().signal } };
}

const ANSWER = [delta({ role: 'assistant', content: 'Hel' }), delta({ content: 'lo' }, 'stop'), usageChunk(7, 3)];

describe('a chat with a server that the call names', () => {
  it('carries the credential of the call and the model as it was asked for, and streams', async () => {
    const { server, chat, call } = await setUp(stream(...ANSWER));
    const deltas: string[] = [];
    const reply = await chat.chat({ ...HELLO, maxTokens: 5 }, { ...call, onDelta: (text) => void deltas.push(text) });
    expect(deltas).toEqual(['Hel', 'lo']);
    expect(reply).toEqual({ content: 'Hello', toolCalls: [], finishReason: 'stop', backend: 'gateway', model: 'served-model', usage: { promptTokens: 7, completionTokens: 3, costUsdMicros: 0 } });
    await chat.chat({ ...HELLO, model: 'm9' }, { ...call, apiKey: 'step-2' });
    expect(server.requests.map(({ path, headers, body }) => [path, headers.authorization, body['model'], body['max_tokens']])).toEqual([
      ['/v1/chat/completions', 'Bearer step-1', '', 5],
      ['/v1/chat/completions', 'Bearer step-2', 'm9', undefined],
    ]);
  });

  it('returns tool calls', async () => {
    const { chat, call } = await setUp(stream(callDelta({ index: 0, id: 'x', type: 'function', function: { name: 'f', arguments: '{}' } }), delta({}, 'tool_calls')));
    expect(await chat.chat(HELLO, call)).toMatchObject({ finishReason: 'tool_calls', toolCalls: [{ id: 'x', name: 'f', argumentsText: '{}' }] });
  });

  it('that says another try is of no use is not tried again', async () => {
    const spent = json({ error: { message: 'spent', code: 'insufficient_quota' } }, 429, { 'x-should-retry': 'false' });
    const { server, chat, call } = await setUp(spent, json({}, 503, { 'x-should-retry': 'false' }), json({}, 401));
    await expect(chat.chat(HELLO, call)).rejects.toMatchObject({ code: 'model_rejected', retryable: false });
    await expect(chat.chat(HELLO, call)).rejects.toMatchObject({ code: 'model_unavailable' });
    await expect(chat.chat(HELLO, call)).rejects.toMatchObject({ code: 'model_rejected', details: { status: 401 } });
    expect(server.requests).toHaveLength(3);
  });

  it('that fails before anything was passed on is tried once more', async () => {
    const { server, chat, call } = await setUp(json({}, 503), stream(...ANSWER));
    expect((await chat.chat(HELLO, call)).content).toBe('Hello');
    expect(server.requests).toHaveLength(2);
  });

  it('ends with the caller, with its time, and with close, and the server sees each', async () => {
    for (const [end, code] of [['abort', 'cancelled'], ['time', 'model_unavailable'], ['close', 'model_unavailable']] as const) {
      const { server, chat, call } = await setUp(hangAfter(delta({ content: 'a' })));
      const controller = new AbortController();
      const onDelta = (): void => {
        if (end === 'abort') controller.abort();
        if (end === 'close') void chat.close();
      };
      await expect(chat.chat(HELLO, { ...call, signal: controller.signal, onDelta, timeoutMs: end === 'time' ? 60 : 5_000 })).rejects.toMatchObject({ code });
      await server.clientGone;
    }
  });

  it('by a URL that is none is refused, and after close there are no chats', async () => {
    const { chat, call } = await setUp(stream(...ANSWER));
    await expect(chat.chat(HELLO, { ...call, baseUrl: 'gateway:80/v1' })).rejects.toThrow(PlatformError);
    await expect(chat.chat(HELLO, { ...call, baseUrl: '' })).rejects.toMatchObject({ code: 'invalid_input', details: { field: 'baseUrl' } });
    await chat.close();
    await expect(chat.chat(HELLO, call)).rejects.toMatchObject({ code: 'model_unavailable' });
  });

  it('keeps the credential out of every error', async () => {
    const { chat, call } = await setUp(json({ error: { message: 'bad key step-1' } }, 401));
    const thrown: unknown = await chat.chat(HELLO, call).catch((error: unknown) => error);
    expect(`${String(thrown)} ${JSON.stringify(thrown)} ${String((thrown as Error).cause)}`).not.toContain('step-1');
  });
});
