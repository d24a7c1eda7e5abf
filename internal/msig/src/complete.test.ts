import { PlatformError } from '@openeaap/kernel';
import { afterEach, describe, expect, it } from 'vitest';
import type { BackendConfig } from './config/gateway-config.ts';
import type { Answer, AskOptions } from './gateway.ts';
import { parseRequest } from './request/parse-request.ts';
import { breakAfter, callDelta, delta, events, hang, hangAfter, json, raw, startOpenAiServer, stream, streamBytewise, usageChunk } from './testing/openai-server.ts';
import type { Behaviour } from './testing/openai-server.ts';
import { ACCESS, backendAt, per1k, configOf, makeGateway } from './testing/make-gateway.ts';

const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

type Json = Readonly<Record<string, unknown>>;

async function setUp(behaviours: readonly Behaviour[], changes: Partial<BackendConfig> = {}) {
  const server = await startOpenAiServer(...behaviours);
  const gateway = makeGateway(configOf(backendAt(server.url, changes)));
  closers.push(server.close, gateway.close);
  const chunks: string[] = [];
  const ask = (fields: Json, options: Partial<AskOptions> = {}): Promise<Answer> =>
    gateway.ask(parseRequest('chat', JSON.stringify({ model: 'b1', messages: [{ role: 'user', content: 'eight ch' }], ...fields })), {
      signal: new AbortController().signal,
      access: ACCESS,
      maxTokens: null,
      onChunk: (chunk) => {
        chunks.push(chunk);
        return null;
      },
      ...options,
    });
  const failure = async (fields: Json, options: Partial<AskOptions> = {}): Promise<PlatformError> => {
    const thrown: unknown = await ask(fields, options).then(() => null, (error: unknown) => error);
    if (!(thrown instanceof PlatformError)) throw new Error('expected a PlatformError', { cause: thrown });
    return thrown;
  };
  return { server, gateway, ask, failure, chunks, parsed: () => chunks.map((chunk) => JSON.parse(chunk) as Json) };
}

function createGate(): { readonly opened: Promise<void>; readonly open: () => void } {
  let open: () => void = () => undefined;
  const opened = new Promise<void>((resolve) => (open = resolve));
  return { opened, open: () => open() };
}

const STREAM = { stream: true };
const USAGE = { stream: true, stream_options: { include_usage: true } };
const ANSWER = [delta({ role: 'assistant', content: '' }), delta({ content: 'Hel' }), delta({ content: 'lo 世界' }), delta({}, 'stop')];
const SPOKEN = { prompt_tokens: 7, completion_tokens: 3, total_tokens: 10, completion_tokens_details: { reasoning_tokens: 1 } };

describe('a completion', () => {
  it('sends the client’s own body, but for the model and what belongs to the stream', async () => {
    const { server, ask } = await setUp([json({ id: 'c', choices: [{ index: 0, message: { role: 'assistant', content: 'hi' }, finish_reason: 'stop' }], usage: SPOKEN })]);
    const fields = {
      messages: [
        { role: 'developer', content: 'x' },
        { role: 'user', content: [{ type: 'text', text: 'see' }, { type: 'image_url', image_url: { url: 'data:image/png;base64,AAAA' } }, { type: 'input_audio', input_audio: { data: 'AA', format: 'wav' } }] },
        { role: 'assistant', content: null, tool_calls: [{ id: 'a', type: 'function', function: { name: 'f', arguments: '{}' } }] },
        { role: 'tool', tool_call_id: 'a', content: 'r' },
        { role: 'function', name: 'g', content: 'r' },
      ],
      tools: [{ type: 'function', function: { name: 'f', strict: true, parameters: {} } }],
      tool_choice: { type: 'function', function: { name: 'f' } },
      parallel_tool_calls: false, response_format: { type: 'json_schema', json_schema: { name: 'x', schema: {} } },
      temperature: 0.5, top_p: 0.9, stop: ['a'], seed: 7, logprobs: true, top_logprobs: 2, user: 'u', metadata: { a: 'b' }, reasoning_effort: 'low', verbosity: 'low', some_future_field: [1, { deep: null }],
    };
    await ask(fields);
    expect(server.requests[0]?.body).toEqual({ ...fields, model: 'm1' });
    await ask({ ...USAGE, stream_options: { include_obfuscation: false } });
    expect(server.requests[1]?.body).toMatchObject({ model: 'm1', stream: true, stream_options: { include_obfuscation: false, include_usage: true } });
    expect(server.requests[1]?.headers.authorization).toBeUndefined();
  });

  it('returns the server’s document to the letter, and meters its usage', async () => {
    const text = '{ "id":"c", "choices":[{"index":0,"message":{"role":"assistant","content":"\\u0068i"},"finish_reason":"length","x":1.0}], "usage":{"prompt_tokens":7,"completion_tokens":3}, "model":"served"}';
    const { gateway, ask } = await setUp([raw(text, 'application/json')], { prices: per1k(0.1) });
    const answer = await ask({});
    expect(answer).toMatchObject({ document: text, model: 'served', finishReason: 'length', backend: 'b1', usage: { promptTokens: 7, completionTokens: 3, costUsdMicros: 1_000 } });
    expect(gateway.meter.take('s1')).toMatchObject({ calls: 1, backend: 'b1', model: 'served', usage: { promptTokens: 7, completionTokens: 3 } });
    expect(gateway.observed[0]).toMatchObject({ outcome: 'ok', model: 'served', access: ACCESS });
  });

  it('is capped by every name that the server might know', async () => {
    const { server, ask } = await setUp([stream(...ANSWER)]);
    await ask(STREAM, { maxTokens: 5 });
    await ask({ ...STREAM, max_tokens: 99, n: 2, choices: 1 }, { maxTokens: 5 }).catch(() => undefined);
    await ask({ ...STREAM, max_completion_tokens: 99 }, { maxTokens: 5 });
    await ask({ ...STREAM, max_completion_tokens: 99 });
    expect(server.requests.map(({ body }) => [body['max_tokens'], body['max_completion_tokens'], body['n']])).toEqual([[5, undefined, undefined], [5, undefined, 2], [5, 5, undefined], [undefined, 99, undefined]]);
  });

  it('of a model that is not there asks nobody', async () => {
    const { server, failure } = await setUp([stream(...ANSWER)]);
    expect(await failure({ model: 'nope' })).toMatchObject({ code: 'not_found' });
    expect(server.requests).toHaveLength(0);
  });
});

describe('a stream', () => {
  it('is passed on as it came, without the usage that only we asked for', async () => {
    const { gateway, ask, parsed, chunks } = await setUp([stream(...ANSWER.map((chunk) => ({ ...chunk, usage: null })), usageChunk(7, 3))]);
    expect(await ask(STREAM)).toMatchObject({ document: null, finishReason: 'stop', model: 'served-model', usage: { promptTokens: 7, completionTokens: 3 } });
    expect(parsed()).toEqual(ANSWER);
    expect(chunks).toEqual(ANSWER.map((chunk) => JSON.stringify(chunk)));
    expect(gateway.meter.take('s1')).toMatchObject({ calls: 1, usage: { promptTokens: 7, completionTokens: 3 } });
  });

  it('ends with the usage if the client asked for it', async () => {
    const sent = [...ANSWER.map((chunk) => ({ ...chunk, usage: null })), { ...usageChunk(7, 3), usage: SPOKEN }];
    const { ask, chunks } = await setUp([stream(...sent)]);
    await ask(USAGE);
    expect(chunks).toEqual(sent.map((chunk) => JSON.stringify(chunk)));
  });

  it('survives being cut after every byte', async () => {
    const { ask, parsed } = await setUp([streamBytewise(...ANSWER, usageChunk(7, 3))]);
    await ask(STREAM);
    expect(parsed()).toEqual(ANSWER);
  });

  it('has its usage once and at the end, wherever the server put it', async () => {
    const last = { ...delta({}, 'stop'), usage: SPOKEN };
    const { ask, parsed, chunks } = await setUp([stream(delta({ role: 'assistant', content: 'a' }), last)]);
    await ask(USAGE);
    expect(parsed()).toEqual([delta({ role: 'assistant', content: 'a' }), { ...last, usage: null }, { id: 'c1', object: 'chat.completion.chunk', created: 1, model: 'served-model', choices: [], usage: SPOKEN }]);
    chunks.length = 0;
    await ask(STREAM);
    expect(parsed()).toEqual([delta({ role: 'assistant', content: 'a' }), delta({}, 'stop')]);
  });

  it('has it on every chunk if the client wants that', async () => {
    const counted = ANSWER.map((chunk) => ({ ...chunk, usage: SPOKEN }));
    const { server, ask, parsed } = await setUp([stream(...counted)]);
    await ask({ stream: true, stream_options: { include_usage: true, continuous_usage_stats: true } });
    expect(parsed().slice(0, 4)).toEqual(counted);
    expect(server.requests[0]?.body['stream_options']).toEqual({ include_usage: true, continuous_usage_stats: true });
  });

  it('of a server that reports no usage has estimates, which say so', async () => {
    const { ask, parsed } = await setUp([stream(...ANSWER)]);
    expect((await ask(USAGE)).usage).toEqual({ promptTokens: 2, completionTokens: 4, costUsdMicros: 0, estimated: true });
    expect(parsed().at(-1)).toMatchObject({ choices: [], usage: { prompt_tokens: 2, completion_tokens: 4, total_tokens: 6, estimated: true } });
  });

  it('is mended where strict clients would trip: no role, no index, nulls, repeated ids', async () => {
    const { ask, parsed } = await setUp([
      stream(
        callDelta({ id: 'x', function: { name: 'f', arguments: '{' } }, { function: { name: 'g', arguments: { a: 1 } } }),
        callDelta({ index: 0, id: null, type: null, function: { name: null, arguments: '"b"' } }),
        callDelta({ index: 0, id: 'x', type: 'function', function: { name: 'f', arguments: ':1}' } }),
        delta({}, 'tool_calls'),
      ),
    ]);
    await ask(STREAM);
    expect(parsed().map((chunk) => (chunk['choices'] as readonly Json[])[0]?.['delta'])).toEqual([
      { role: 'assistant', tool_calls: [{ index: 0, id: 'x', type: 'function', function: { name: 'f', arguments: '{' } }, { index: 1, id: 'call_1', type: 'function', function: { name: 'g', arguments: '{"a":1}' } }] },
      { tool_calls: [{ index: 0, function: { arguments: '"b"' } }] },
      { tool_calls: [{ index: 0, function: { arguments: ':1}' } }] },
      {},
    ]);
  });

  it('whose tool calls are as they should be is not touched', async () => {
    const sent = [
      delta({ role: 'assistant', content: null }),
      callDelta({ index: 0, id: 'x', type: 'function', function: { name: 'f', arguments: '' } }),
      callDelta({ index: 0, function: { arguments: '{}' } }),
      delta({}, 'tool_calls'),
    ];
    const { ask, chunks } = await setUp([stream(...sent)]);
    await ask(STREAM);
    expect(chunks).toEqual(sent.map((chunk) => JSON.stringify(chunk)));
  });

  it('of several choices ends when each has', async () => {
    const of = (index: number, chunk: Json) => ({ ...chunk, choices: (chunk['choices'] as readonly Json[]).map((choice) => ({ ...choice, index })) });
    const sent = [of(0, delta({ role: 'assistant', content: 'a' })), of(1, delta({ role: 'assistant', content: 'b' })), of(0, delta({}, 'stop')), of(1, delta({ content: 'c' })), of(1, delta({}, 'length'))];
    const { ask, parsed } = await setUp([stream(...sent, usageChunk(1, 3))]);
    expect(await ask({ ...STREAM, n: 2 })).toMatchObject({ finishReason: 'stop', usage: { completionTokens: 3 } });
    expect(parsed()).toEqual(sent);
  });

  it('that lacks its finish reason gets one, and a document becomes a stream', async () => {
    const call = { id: 'x', type: 'function', function: { name: 'f', arguments: '{}' } };
    const document = { id: 'd', object: 'chat.completion', created: 5, model: 'served', choices: [{ index: 0, message: { role: 'assistant', content: 'hey', tool_calls: [call] }, logprobs: null, finish_reason: 'tool_calls' }], usage: SPOKEN };
    const { ask, parsed, chunks } = await setUp([stream(delta({ role: 'assistant', content: 'a' })), json(document)]);
    await ask(STREAM);
    expect(parsed().at(-1)).toMatchObject({ id: 'c1', choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] });
    chunks.length = 0;
    await ask(USAGE);
    const envelope = { id: 'd', object: 'chat.completion.chunk', created: 5, model: 'served' };
    expect(parsed()).toEqual([
      { ...envelope, choices: [{ index: 0, delta: { role: 'assistant', content: 'hey', tool_calls: [{ index: 0, ...call }] }, logprobs: null, finish_reason: null }] },
      { ...envelope, choices: [{ index: 0, delta: {}, logprobs: null, finish_reason: 'tool_calls' }] },
      { ...envelope, choices: [], usage: SPOKEN },
    ]);
  });

  it('waits for a reader that is slow, and so does the server', async () => {
    const many = Array.from({ length: 2_000 }, () => delta({ content: 'x'.repeat(2_000) }));
    let written = 0;
    const { ask } = await setUp([(response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      const pump = (): void => {
        for (; written < many.length; ) if (!response.write(events(many[written++] ?? {}))) return;
        if (!response.writableEnded) response.end(events(delta({}, 'stop'), '[DONE]'));
      };
      response.on('drain', pump);
      pump();
    }]);
    let seen = 0;
    const first = createGate();
    const held = createGate();
    const asking = ask(STREAM, {
      onChunk: () => {
        seen += 1;
        if (seen > 1) return null;
        held.open();
        return first.opened;
      },
    });
    await held.opened;
    // Until the kernel's buffers are full the server may write; then it stands.
    let before = -1;
    while (before !== written) {
      before = written;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    expect(written).toBeLessThan(many.length);
    expect(seen).toBe(1);
    first.open();
    await asking;
    expect(seen).toBe(many.length + 1);
  });
});

describe('a server that fails', () => {
  it.each([
    ['with a malformed chunk', raw(events(delta({ role: 'assistant', content: 'a' })) + 'data: {"choices":\n\n'), 'model_invalid_output'],
    ['with a chunk that is no object', raw(events(delta({ role: 'assistant', content: 'a' })) + 'data: 7\n\n'), 'model_invalid_output'],
    ['with an error in the stream', raw(events(delta({ role: 'assistant', content: 'a' }), { error: { message: 'oom', code: 500 } })), 'model_unavailable'],
    ['without an answer', raw('data: [DONE]\n\n'), 'model_invalid_output'],
    ['with a page', raw('<html>', 'text/html'), 'model_invalid_output'],
    ['with too many tool calls', stream(callDelta(...Array.from({ length: 129 }, (_, index) => ({ index, id: `i${index}`, type: 'function', function: { name: 'f', arguments: '' } })))), 'model_invalid_output'],
  ] as const)('%s is an error, not an answer', async (_, behaviour, code) => {
    const { failure } = await setUp([behaviour], { maxAttempts: 1 });
    expect((await failure(STREAM)).code).toBe(code);
  });

  it.each([['[]', 'application/json'], ['{"choices":[]}', 'application/json'], ['{"choices', 'application/json'], [events(delta({ content: 'a' }, 'stop')), 'text/event-stream']])('when one document was asked for, with %j', async (body, type) => {
    const { failure } = await setUp([raw(body, type)]);
    expect((await failure({})).code).toBe('model_invalid_output');
  });

  it('in the middle is not asked again, and what it wrote is metered', async () => {
    const { server, gateway, failure, parsed } = await setUp([breakAfter(delta({ role: 'assistant', content: 'abcdefgh' })), stream(...ANSWER)]);
    expect(await failure(STREAM)).toMatchObject({ code: 'model_unavailable' });
    expect(parsed()).toHaveLength(1);
    expect(server.requests).toHaveLength(1);
    expect(gateway.meter.take('s1')).toMatchObject({ calls: 1, usage: { promptTokens: 2, completionTokens: 2, estimated: true } });
  });

  it('before anything was passed on is asked again', async () => {
    const { server, ask, parsed } = await setUp([json({}, 429, { 'retry-after-ms': '10' }), stream(...ANSWER)]);
    await ask(STREAM);
    expect(parsed()).toEqual(ANSWER);
    expect(server.requests).toHaveLength(2);
  });

  it('with 429 is unavailable with its own wait, or without one', async () => {
    const waiting = await setUp([json({}, 429, { 'retry-after': '60' })], { maxAttempts: 1 });
    expect(await waiting.failure(STREAM)).toMatchObject({ code: 'model_unavailable', details: { status: 429, retry_after_ms: 60_000 } });
    // It asked to be left alone: the next request is told so at once.
    expect(await waiting.failure(STREAM)).toMatchObject({ code: 'model_unavailable', details: { reason: 'breaker_open' } });
    expect(waiting.server.requests).toHaveLength(1);
    const second = await (await setUp([json({}, 429)], { maxAttempts: 1 })).failure(STREAM);
    expect(second.details['status']).toBe(429);
    expect(second.details['retry_after_ms']).toBeUndefined();
  });

  it('because of what the client wrote has its words told, but for the key', async () => {
    const tooLong = json({ error: { message: 'maximum context length is 4096 (key sk-1)', type: 'invalid_request_error', param: 'messages', code: 'context_length_exceeded' } }, 400);
    const { failure } = await setUp([tooLong, json({ error: { message: 'bad key sk-1' } }, 401)], { apiKey: () => 'sk-1' });
    expect(await failure({})).toMatchObject({ code: 'model_rejected', details: { status: 400, upstream_message: 'maximum context length is 4096 (key [key])', upstream_code: 'context_length_exceeded', upstream_param: 'messages' } });
    expect((await failure({})).details['upstream_message']).toBeUndefined();
  });

  it('by silence is bounded, before the first byte and after it', async () => {
    const silent = await setUp([hang], { firstByteTimeoutMs: 40 });
    expect(await silent.failure(STREAM)).toMatchObject({ details: { reason: 'timeout', timeout_ms: 40 } });
    await silent.server.clientGone;
    const stopped = await setUp([hangAfter(delta({ role: 'assistant', content: 'a' }))]);
    expect(await stopped.failure(STREAM, { timeoutMs: 60 })).toMatchObject({ details: { reason: 'timeout', timeout_ms: 60 } });
    await stopped.server.clientGone;
  });

  it('to answer in one piece quickly is given the whole time', async () => {
    const document = { id: 'c', choices: [{ index: 0, message: { role: 'assistant', content: 'hi' }, finish_reason: 'stop' }] };
    const { ask } = await setUp([(response) => void setTimeout(() => response.writeHead(200).end(JSON.stringify(document)), 80)], { firstByteTimeoutMs: 20, timeoutMs: 5_000 });
    expect((await ask({})).document).toBe(JSON.stringify(document));
  });
});

describe('ending a completion', () => {
  it('is in the meter before the one who ended it goes on, with the reason that he gave', async () => {
    const { server, gateway, failure } = await setUp([hangAfter(delta({ role: 'assistant', content: 'abcd' }))]);
    const controller = new AbortController();
    const used: number[] = [];
    const seen = createGate();
    const ended = failure(STREAM, { signal: controller.signal, onUsage: (usage) => void used.push(usage.completionTokens), onChunk: () => (seen.open(), null) });
    await seen.opened;
    controller.abort(new PlatformError('unauthenticated', 'over'));
    expect(gateway.meter.take('s1')).toMatchObject({ calls: 1, usage: { promptTokens: 2, completionTokens: 1 } });
    expect(await ended).toMatchObject({ code: 'unauthenticated', message: 'over' });
    await server.clientGone;
    // And not a second time.
    expect([gateway.meter.take('s1').calls, used]).toEqual([0, [1]]);
    expect(gateway.health()).toMatchObject({ serving: true });
  });

  it('works although the reader has stopped reading', async () => {
    const { server, failure } = await setUp([hangAfter(delta({ role: 'assistant', content: 'abcd' }))]);
    const controller = new AbortController();
    const ended = failure(STREAM, { signal: controller.signal, onChunk: () => (setImmediate(() => controller.abort()), new Promise<void>(() => undefined)) });
    expect((await ended).code).toBe('cancelled');
    await server.clientGone;
  });

  it('is done by a reader that fails', async () => {
    const { server, failure } = await setUp([hangAfter(delta({ role: 'assistant', content: 'abcd' }))]);
    expect((await failure(STREAM, { onChunk: () => Promise.reject(new PlatformError('cancelled', 'left')) })).code).toBe('cancelled');
    await server.clientGone;
  });
});

describe('a scripted backend', () => {
  async function askScript(script: string, fields: Json, maxTokens: number | null = null) {
    const gateway = makeGateway(configOf({ ...backendAt(''), name: 'demo', type: 'scripted', script: 'x' }), { script });
    closers.push(gateway.close);
    const chunks: Json[] = [];
    const answer = await gateway.ask(parseRequest('chat', JSON.stringify({ messages: [{ role: 'user', content: [{ type: 'text', text: 'hello there, you' }] }], ...fields })), {
      signal: new AbortController().signal, access: ACCESS, maxTokens,
      onChunk: (chunk) => (chunks.push(JSON.parse(chunk) as Json), null),
    });
    return { gateway, answer, chunks };
  }

  const ECHO = 'model: m\nrules: [{name: all, reply: {content: "echo {{input}}"}}]';

  it('answers in one document', async () => {
    const { gateway, answer } = await askScript(ECHO, { messages: [{ role: 'developer', content: 'd' }, { role: 'user', content: 'hey' }] });
    expect(JSON.parse(answer.document ?? '')).toMatchObject({
      object: 'chat.completion', model: 'm',
      choices: [{ index: 0, message: { role: 'assistant', content: 'echo hey', refusal: null }, logprobs: null, finish_reason: 'stop' }],
      usage: { prompt_tokens: 1, completion_tokens: 2, total_tokens: 3, estimated: true },
    });
    expect(gateway.meter.take('s1')).toMatchObject({ calls: 1, backend: 'demo', usage: { completionTokens: 2 } });
  });

  it('streams in the framing of OpenAI: role, text, reason, usage', async () => {
    const { chunks } = await askScript(ECHO, USAGE);
    expect(new Set(chunks.map(({ id, object, created, model }) => JSON.stringify([id, object, created, model]))).size).toBe(1);
    expect(chunks.map((chunk) => chunk['choices'])).toEqual([
      [{ index: 0, delta: { role: 'assistant', content: '', refusal: null }, logprobs: null, finish_reason: null }],
      [{ index: 0, delta: { content: 'echo hello there' }, logprobs: null, finish_reason: null }],
      [{ index: 0, delta: { content: ', you' }, logprobs: null, finish_reason: null }],
      [{ index: 0, delta: {}, logprobs: null, finish_reason: 'stop' }],
      [],
    ]);
    expect(chunks.map((chunk) => chunk['usage'])).toEqual([null, null, null, null, { prompt_tokens: 4, completion_tokens: 6, total_tokens: 10, estimated: true }]);
  });

  it('calls tools: first who and what, then the arguments', async () => {
    const script = `model: m
rules:
  - {name: look, when: {no_results: [look]}, reply: {content: "I look", tool_calls: [{name: look, arguments: {q: "{{input}}"}}]}}
  - {name: done, reply: {content: "found {{result.look.output.at}}"}}`;
    const question = [{ role: 'user', content: 'where' }];
    const tools = [{ type: 'function', function: { name: 'look', parameters: { type: 'object' } } }];
    const { chunks } = await askScript(script, { ...STREAM, messages: question, tools });
    expect(chunks.map((chunk) => (chunk['choices'] as readonly Json[])[0]).map((choice) => [choice?.['delta'], choice?.['finish_reason']])).toEqual([
      [{ role: 'assistant', content: '', refusal: null }, null],
      [{ content: 'I look' }, null],
      [{ tool_calls: [{ index: 0, id: 'call_1', type: 'function', function: { name: 'look', arguments: '' } }] }, null],
      [{ tool_calls: [{ index: 0, function: { arguments: '{"q":"where"}' } }] }, null],
      [{}, 'tool_calls'],
    ]);
    const called = { role: 'assistant', content: null, tool_calls: [{ id: 'call_1', type: 'function', function: { name: 'look', arguments: '{}' } }] };
    const after = await askScript(script, { messages: [...question, called, { role: 'tool', tool_call_id: 'call_1', content: '{"output":{"at":"h1"}}' }], tools });
    expect(JSON.parse(after.answer.document ?? '')).toMatchObject({ choices: [{ message: { content: 'found h1' } }] });
    const forbidden = await askScript(script, { messages: question, tools, tool_choice: 'none' });
    expect(JSON.parse(forbidden.answer.document ?? '')).toMatchObject({ choices: [{ finish_reason: 'stop' }] });
  });

  it('keeps the cap', async () => {
    const { answer } = await askScript(ECHO, {}, 2);
    expect(JSON.parse(answer.document ?? '')).toMatchObject({ choices: [{ message: { content: 'echo hel' }, finish_reason: 'length' }], usage: { completion_tokens: 2 } });
  });

  it('refuses what it cannot do', async () => {
    await expect(askScript(ECHO, { n: 2 })).rejects.toMatchObject({ code: 'invalid_input', details: { field: 'n' } });
    await expect(askScript(ECHO, { messages: [{ role: 'wizard', content: 'x' }] })).rejects.toMatchObject({ code: 'invalid_input', details: { field: 'messages[0].role' } });
  });
});
