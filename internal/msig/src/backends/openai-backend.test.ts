import { PlatformError } from '@openeaap/kernel';
import type { ChatRequest } from '@openeaap/kernel';
import { afterEach, describe, expect, it } from 'vitest';
import type { BackendConfig } from '../config/gateway-config.ts';
import { breakAfter, callDelta, delta, events, flood, hang, hangAfter, json, raw, startOpenAiServer, stream, streamBytewise, usageChunk } from '../testing/openai-server.ts';
import type { Behaviour, OpenAiServer } from '../testing/openai-server.ts';
import { backendAt, per1k, chatOptions, configOf, HELLO, makeGateway } from '../testing/make-gateway.ts';
import type { TestGateway } from '../testing/make-gateway.ts';

const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function setUp(behaviours: readonly Behaviour[], changes: Partial<BackendConfig> = {}): Promise<{ server: OpenAiServer; gateway: TestGateway }> {
  const server = await startOpenAiServer(...behaviours);
  const gateway = makeGateway(configOf(backendAt(server.url, changes)));
  closers.push(server.close, gateway.close);
  return { server, gateway };
}

async function failureOf(promise: Promise<unknown>): Promise<PlatformError> {
  const thrown: unknown = await promise.then(() => null, (error: unknown) => error);
  if (!(thrown instanceof PlatformError)) throw new Error('expected a PlatformError', { cause: thrown });
  return thrown;
}

const ANSWER = [delta({ role: 'assistant', content: '' }), delta({ content: 'Hel' }), delta({ content: 'lo 世界' }), delta({}, 'stop'), usageChunk(7, 3)];

describe('an answer', () => {
  it('is streamed as it comes and returned whole, with the usage of the server', async () => {
    const { server, gateway } = await setUp([stream(...ANSWER)], { prices: per1k(0.03) });
    const deltas: string[] = [];
    const reply = await gateway.chat({ ...HELLO, temperature: 0, maxTokens: 9, stop: ['X'] }, chatOptions({ onDelta: (text) => void deltas.push(text) }));
    expect(deltas).toEqual(['Hel', 'lo 世界']);
    expect(reply).toEqual({
      content: 'Hello 世界', toolCalls: [], finishReason: 'stop', backend: 'b1', model: 'served-model',
      usage: { promptTokens: 7, completionTokens: 3, costUsdMicros: 300 },
    });
    expect(server.requests[0]?.path).toBe('/v1/chat/completions');
    expect(server.requests[0]?.body).toMatchObject({ model: 'm1', stream: true, stream_options: { include_usage: true }, temperature: 0, max_tokens: 9, stop: ['X'] });
    expect(server.requests[0]?.headers.authorization).toBeUndefined();
  });

  it('survives being cut after every byte', async () => {
    const { gateway } = await setUp([streamBytewise(...ANSWER)]);
    expect((await gateway.chat(HELLO, chatOptions())).content).toBe('Hello 世界');
  });

  it('may come as one JSON document although a stream was asked for', async () => {
    const message = { role: 'assistant', content: null, reasoning_content: 'hm', tool_calls: [{ id: 'x', type: 'function', function: { name: 'f', arguments: '{"a":1}' } }] };
    const { gateway } = await setUp([json({ model: 'served-model', choices: [{ index: 0, message, finish_reason: 'tool_calls' }], usage: { prompt_tokens: 5, completion_tokens: 2 } })]);
    const reply = await gateway.chat(HELLO, chatOptions());
    expect(reply).toMatchObject({ content: '', finishReason: 'tool_calls', toolCalls: [{ id: 'x', name: 'f', argumentsText: '{"a":1}' }] });
    expect(reply.usage.estimated).toBeUndefined();
  });

  it('without usage has estimated usage, and says so', async () => {
    const { gateway } = await setUp([stream(delta({ content: 'twelve chars' }, 'stop'))]);
    expect((await gateway.chat(HELLO, chatOptions())).usage).toEqual({ promptTokens: 4, completionTokens: 3, costUsdMicros: 0, estimated: true });
  });

  it('is not held up by reasoning, comments, null fields or usage on a chunk with a choice', async () => {
    const last = { ...delta({ content: null, tool_calls: null }, 'stop'), usage: { prompt_tokens: 1, completion_tokens: 2 } };
    const { gateway } = await setUp([raw(`: ping\n\n${events(delta({ reasoning: 'a' }), delta({ reasoning_content: 'b', content: 'yes' }), last, '[DONE]')}garbage after the end`)]);
    expect(await gateway.chat(HELLO, chatOptions())).toMatchObject({ content: 'yes', usage: { promptTokens: 1, completionTokens: 2 } });
  });

  it('is complete with its finish reason even if the server then breaks off or stays silent', async () => {
    const { gateway } = await setUp([breakAfter(delta({ content: 'a' }, 'stop')), hangAfter(delta({ content: 'b' }, 'stop'))]);
    expect((await gateway.chat(HELLO, chatOptions())).content).toBe('a');
    expect((await gateway.chat(HELLO, chatOptions())).content).toBe('b');
  });

  it('leaves the connection usable for the next chat', async () => {
    const { server, gateway } = await setUp([stream(...ANSWER)]);
    for (let chat = 0; chat < 10; chat += 1) await gateway.chat(HELLO, chatOptions());
    // The second one is opened when the first has not quite been given back.
    expect(server.connections()).toBeLessThanOrEqual(2);
  });
});

describe('tool calls', () => {
  it('are put together from pieces that interleave and cut names and arguments anywhere', async () => {
    const { gateway } = await setUp([
      stream(
        callDelta({ index: 0, id: 'call_a', type: 'function', function: { name: 'check_', arguments: '' } }),
        callDelta({ index: 1, id: null, type: 'function', function: { name: 'cmdb', arguments: '{"as' } }, { index: 0, function: { name: 'ip' } }),
        callDelta({ index: 0, id: null, function: { name: null, arguments: '{"ip":"1.' } }),
        callDelta({ index: 1, function: { arguments: 'set":"h1"}' } }, { index: 0, function: { name: 'check_ip', arguments: '2.3.4"}' } }),
        delta({}, 'stop'),
      ),
    ]);
    const reply = await gateway.chat(HELLO, chatOptions());
    expect(reply.finishReason).toBe('tool_calls');
    expect(reply.toolCalls).toEqual([
      { id: 'call_a', name: 'check_ip', argumentsText: '{"ip":"1.2.3.4"}' },
      { id: 'call_1', name: 'cmdb', argumentsText: '{"asset":"h1"}' },
    ]);
  });

  it('without an index are told apart by id, and repeated ids are made unique', async () => {
    const { gateway } = await setUp([
      stream(
        callDelta({ id: 'x', function: { name: 'f', arguments: '{' } }),
        callDelta({ function: { arguments: '}' } }),
        callDelta({ id: 'y', function: { name: 'g', arguments: { a: 1 } } }),
        callDelta({ index: 7, id: 'y', function: { name: 'h', arguments: '' } }),
        delta({}, 'tool_calls'),
      ),
    ]);
    expect((await gateway.chat(HELLO, chatOptions())).toolCalls).toEqual([
      { id: 'x', name: 'f', argumentsText: '{}' },
      { id: 'y', name: 'g', argumentsText: '{"a":1}' },
      { id: 'call_1', name: 'h', argumentsText: '' },
    ]);
  });

  it('and their results are sent the way the API wants them', async () => {
    const { server, gateway } = await setUp([stream(...ANSWER)]);
    const request: ChatRequest = {
      model: '',
      messages: [
        { role: 'user', content: 'q' },
        { role: 'assistant', content: '', toolCalls: [{ id: 'x', name: 'f', argumentsText: '{}' }] },
        { role: 'tool', toolCallId: 'x', content: '{"output":1}' },
      ],
      tools: [{ name: 'f', description: 'd', parameters: { type: 'object' } }],
    };
    await gateway.chat(request, chatOptions());
    expect(server.requests[0]?.body).toMatchObject({
      messages: [
        { role: 'user', content: 'q' },
        { role: 'assistant', content: null, tool_calls: [{ id: 'x', type: 'function', function: { name: 'f', arguments: '{}' } }] },
        { role: 'tool', tool_call_id: 'x', content: '{"output":1}' },
      ],
      tools: [{ type: 'function', function: { name: 'f', description: 'd', parameters: { type: 'object' } } }],
    });
  });
});

describe('a server that fails', () => {
  it('with 429 is asked again after the time it names', async () => {
    const { server, gateway } = await setUp([json({ error: { message: 'slow down' } }, 429, { 'retry-after-ms': '20' }), stream(...ANSWER)]);
    const startedMs = performance.now();
    expect((await gateway.chat(HELLO, chatOptions())).content).toBe('Hello 世界');
    expect(performance.now() - startedMs).toBeGreaterThanOrEqual(19);
    expect(server.requests).toHaveLength(2);
  });

  it('with 429 and a wait beyond the timeout is not waited for', async () => {
    const { server, gateway } = await setUp([json({}, 429, { 'retry-after': '3600' })]);
    const error = await failureOf(gateway.chat(HELLO, chatOptions()));
    expect(error).toMatchObject({ code: 'model_unavailable', retryable: true, details: { status: 429, retry_after_ms: 3_600_000 } });
    expect(server.requests).toHaveLength(1);
  });

  it('is asked at most max_attempts times', async () => {
    const { server, gateway } = await setUp([json({ error: 'boom' }, 500)], { maxAttempts: 3 });
    expect(await failureOf(gateway.chat(HELLO, chatOptions()))).toMatchObject({ code: 'model_unavailable', details: { status: 500 } });
    expect(server.requests).toHaveLength(3);
  });

  it.each([400, 401, 403, 404, 422])('with %i has rejected the request, and is not asked again', async (status) => {
    const { server, gateway } = await setUp([json({ error: { message: 'no' } }, status)]);
    expect(await failureOf(gateway.chat(HELLO, chatOptions()))).toMatchObject({ code: 'model_rejected', retryable: false, details: { status } });
    expect(server.requests).toHaveLength(1);
  });

  it('by closing in the middle is asked again only if nothing was passed on', async () => {
    const { server, gateway } = await setUp([breakAfter(delta({ content: 'par' })), breakAfter(delta({ role: 'assistant' })), stream(...ANSWER)]);
    const deltas: string[] = [];
    const error = await failureOf(gateway.chat(HELLO, chatOptions({ onDelta: (text) => void deltas.push(text) })));
    expect(error.code).toBe('model_unavailable');
    expect([server.requests.length, deltas]).toEqual([1, ['par']]);
    expect((await gateway.chat(HELLO, chatOptions())).content).toBe('Hello 世界');
  });

  it('by ending cleanly without an end of the answer is not taken for complete', async () => {
    const { gateway } = await setUp([raw(events(delta({ content: 'par' })))], { maxAttempts: 1 });
    expect(await failureOf(gateway.chat(HELLO, chatOptions()))).toMatchObject({ code: 'model_unavailable', details: { reason: 'closed_mid_stream' } });
  });

  it('inside the stream is an error, not an answer', async () => {
    const { gateway } = await setUp([raw(events(delta({ content: 'par' }), { error: { message: 'oom', code: 500 } }, '[DONE]')), raw(events({ error: { message: 'too long', code: 400 } }))], { maxAttempts: 1 });
    expect((await failureOf(gateway.chat(HELLO, chatOptions({ onDelta: () => undefined })))).code).toBe('model_unavailable');
    expect((await failureOf(gateway.chat(HELLO, chatOptions()))).code).toBe('model_rejected');
  });

  it.each([
    ['garbage', raw('<html>hi</html>', 'text/html')],
    ['broken JSON in an event', raw('data: {"choices":\n\n')],
    ['a broken document', raw('{"choices": [', 'application/json')],
    ['a document that is none of the API', json({ hello: 'world' })],
    ['no body', raw('')],
    ['an empty answer', stream(delta({ content: ' \n' }), delta({}, 'stop'))],
    ['a call without a name', stream(callDelta({ index: 0, id: 'x', function: { arguments: '{}' } }), delta({}, 'tool_calls'))],
  ])('with %s gave no usable output', async (_, behaviour) => {
    const { gateway } = await setUp([behaviour]);
    expect((await failureOf(gateway.chat(HELLO, chatOptions()))).code).toBe('model_invalid_output');
  });

  it('with more text than the limit is cut off', async () => {
    const { server, gateway } = await setUp([flood(delta({ content: 'x'.repeat(10_000) }))]);
    expect(await failureOf(gateway.chat(HELLO, chatOptions()))).toMatchObject({ code: 'model_invalid_output', details: { limit_bytes: 1_048_576 } });
    await server.clientGone;
  });

  it('with more bytes than the limit in one document is cut off', async () => {
    const { server, gateway } = await setUp([(response) => {
      response.writeHead(200, { 'content-type': 'application/json' });
      response.write('{"a":"');
      const pump = (): void => {
        while (!response.destroyed && response.write('x'.repeat(65_536)));
      };
      response.on('drain', pump);
      pump();
    }]);
    expect(await failureOf(gateway.chat(HELLO, chatOptions()))).toMatchObject({ code: 'model_invalid_output' });
    await server.clientGone;
  });

  it('by not being there is unavailable', async () => {
    const { server, gateway } = await setUp([]);
    await server.close();
    expect(await failureOf(gateway.chat(HELLO, chatOptions()))).toMatchObject({ code: 'model_unavailable', details: { reason: 'ECONNREFUSED' } });
    expect(gateway.health()).toMatchObject({ serving: false, backends: [{ name: 'b1', state: 'down' }] });
  });

  it('and reported usage all the same has it counted', async () => {
    const { gateway } = await setUp([breakAfter({ ...delta({ content: 'par' }), usage: { prompt_tokens: 10, completion_tokens: 1 } })], { maxAttempts: 1 });
    await failureOf(gateway.chat(HELLO, chatOptions()));
    expect(gateway.meter.take('s1')).toMatchObject({ calls: 1, usage: { promptTokens: 10, completionTokens: 1 } });
  });
});

describe('time', () => {
  it('bounds a server that accepts and says nothing, and the server sees the connection close', async () => {
    const { server, gateway } = await setUp([hang], { timeoutMs: 60 });
    expect(await failureOf(gateway.chat(HELLO, chatOptions()))).toMatchObject({ code: 'model_unavailable', details: { reason: 'timeout', timeout_ms: 60 } });
    await server.clientGone;
    expect(server.requests).toHaveLength(1);
  });

  it('bounds a server that stops in the middle, by the caller’s timeout where it is shorter', async () => {
    const { server, gateway } = await setUp([hangAfter(delta({ content: 'a' }))]);
    expect(await failureOf(gateway.chat(HELLO, chatOptions({ timeoutMs: 80 })))).toMatchObject({ code: 'model_unavailable', details: { reason: 'timeout', timeout_ms: 80 } });
    await server.clientGone;
  });

  it('bounds the silence before the first byte on its own', async () => {
    const { server, gateway } = await setUp([hangAfter()], { firstByteTimeoutMs: 50 });
    expect(await failureOf(gateway.chat(HELLO, chatOptions()))).toMatchObject({ code: 'model_unavailable', details: { reason: 'timeout', timeout_ms: 50 } });
    await server.clientGone;
  });
});

describe('ending a chat', () => {
  it('by the caller closes the connection to the server', async () => {
    const { server, gateway } = await setUp([hangAfter(delta({ content: 'a' }))]);
    const controller = new AbortController();
    const chat = gateway.chat(HELLO, chatOptions({ signal: controller.signal, onDelta: () => controller.abort() }));
    expect((await failureOf(chat)).code).toBe('cancelled');
    await server.clientGone;
  });

  it('before it began asks no server', async () => {
    const { server, gateway } = await setUp([stream(...ANSWER)]);
    expect((await failureOf(gateway.chat(HELLO, chatOptions({ signal: AbortSignal.abort() })))).code).toBe('cancelled');
    expect(server.requests).toHaveLength(0);
  });

  it('also ends the wait before another try', async () => {
    const { gateway } = await setUp([json({}, 429, { 'retry-after': '4' })]);
    const controller = new AbortController();
    const chat = failureOf(gateway.chat(HELLO, chatOptions({ signal: controller.signal })));
    setTimeout(() => controller.abort(), 50);
    expect((await chat).code).toBe('cancelled');
  });

  it('by closing the gateway is model_unavailable, and so is every later chat', async () => {
    const { server, gateway } = await setUp([hangAfter(delta({ content: 'a' }))]);
    const closed: Promise<void>[] = [];
    const chat = gateway.chat(HELLO, chatOptions({ onDelta: () => void closed.push(gateway.close()) }));
    expect((await failureOf(chat)).code).toBe('model_unavailable');
    await Promise.all(closed);
    await server.clientGone;
    expect((await failureOf(gateway.chat(HELLO, chatOptions()))).code).toBe('model_unavailable');
  });
});

describe('the key', () => {
  const KEY = 'sk-very-secret-0123456789';

  it('goes to its own server and into no error, even if the server repeats it', async () => {
    const echo = json({ error: { message: `Incorrect API key provided: ${KEY}. ${'x'.repeat(1_000)}` } }, 401);
    const { server, gateway } = await setUp([echo, raw(events({ error: { message: KEY } })), raw(KEY)], { apiKey: () => KEY, maxAttempts: 1 });
    for (const code of ['model_rejected', 'model_unavailable', 'model_invalid_output']) {
      const error = await failureOf(gateway.chat(HELLO, chatOptions()));
      expect(error.code).toBe(code);
      expect(everyText(error)).not.toContain('very-secret');
    }
    expect(server.requests[0]?.headers.authorization).toBe(`Bearer ${KEY}`);
    expect(JSON.stringify([gateway.models(), gateway.health(), gateway.observed])).not.toContain('very-secret');
  });
});

describe('without a model name', () => {
  it('the first that the server lists is used, and asked for only once', async () => {
    const { server, gateway } = await setUp([json({ data: [{ id: 'first' }, { id: 'second' }] }), stream(...ANSWER)], { model: '' });
    await gateway.chat(HELLO, chatOptions());
    await gateway.chat(HELLO, chatOptions());
    expect(server.requests.map((request) => [request.method, request.path, request.body['model']])).toEqual([
      ['GET', '/v1/models', undefined],
      ['POST', '/v1/chat/completions', 'first'],
      ['POST', '/v1/chat/completions', 'first'],
    ]);
  });

  it('a server that lists none is an error with the cure', async () => {
    const { gateway } = await setUp([json({ data: [] })], { model: '' });
    expect(await failureOf(gateway.chat(HELLO, chatOptions()))).toMatchObject({ code: 'model_invalid_output', message: expect.stringContaining('name the model') });
  });
});

/** Everything that a careless log line could print of an error. */
function everyText(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const own = JSON.stringify(Object.getOwnPropertyNames(error).map((key) => String((error as unknown as Record<string, unknown>)[key])));
  return `${own} ${error.stack ?? ''} ${JSON.stringify(error)} ${error.cause === undefined ? '' : everyText(error.cause)}`;
}
