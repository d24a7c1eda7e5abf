import { PlatformError } from '@openeaap/kernel';
import { afterEach, describe, expect, it } from 'vitest';
import { parseEndpoint } from '../config/endpoint.ts';
import type { RequestKind } from '../request/model-request.ts';
import { parseRequest } from '../request/parse-request.ts';
import { delta, events, json, raw, startOpenAiServer, stream, usageChunk } from '../testing/openai-server.ts';
import type { Behaviour } from '../testing/openai-server.ts';
import type { BackendCall, TokenCounts } from './backend.ts';
import { completeOnce } from './complete-once.ts';
import type { CompletionTarget } from './complete-once.ts';
import { openPool } from './openai-upstream.ts';
import { responsesByChat } from './responses-by-chat.ts';

const closers: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

type Json = Readonly<Record<string, unknown>>;

const ACCESS = { tenantId: 't', runId: 'r', stepId: 's', agentId: 'a', userId: 'u', traceId: 'x' };

async function setUp(behaviour: Behaviour, target: Partial<CompletionTarget> = {}) {
  const server = await startOpenAiServer(behaviour);
  const endpoint = parseEndpoint(server.url);
  const pool = openPool(endpoint.origin);
  closers.push(server.close, () => pool.destroy());
  const upstream = { pool, endpoint, context: { backend: 'b1', apiKey: 'k-secret' }, firstByteTimeoutMs: 5_000, now: () => 0 };
  const chunks: string[] = [];
  const usages: TokenCounts[] = [];
  let ids = 0;
  const newId = (): string => String((ids += 1));
  const about = (call: Partial<BackendCall>): BackendCall => ({
    signal: new AbortController().signal, endpoint: server.url, access: ACCESS, maxTokens: null,
    onChunk: (chunk) => (chunks.push(chunk), null),
    onUsage: (usage) => void usages.push(usage),
    ...call,
  });
  const askServer = responsesByChat((request, call) => completeOnce(upstream, { model: async () => 'm1', newId, ...target }, { completion: request, call }), { newId, now: () => 9_000 });
  const ask = (kind: RequestKind, body: Json | string, call: Partial<BackendCall> = {}) =>
    completeOnce(upstream, { model: async () => 'm1', newId, ...target }, { completion: parseRequest(kind, typeof body === 'string' ? body : JSON.stringify(body)), call: about(call) });
  const byChat = (body: Json, call: Partial<BackendCall> = {}) => askServer(parseRequest('responses', JSON.stringify(body)), about(call));
  return { server, ask, byChat, chunks, usages, parsed: () => chunks.map((chunk) => JSON.parse(chunk) as Json) };
}

async function failureOf(work: Promise<unknown>): Promise<PlatformError> {
  const thrown: unknown = await work.then(() => null, (error: unknown) => error);
  if (!(thrown instanceof PlatformError)) throw new Error('expected a PlatformError', { cause: thrown });
  return thrown;
}

const CHAT = { messages: [{ role: 'user', content: 'hi' }] };
const text = (index: number, words: string, finishReason: string | null = null): Json => ({ id: 'c1', object: 'text_completion', created: 1, model: 'served', choices: [{ index, text: words, logprobs: null, finish_reason: finishReason }] });
const usageOf = (fields: Json): Json => ({ id: 'c1', object: 'text_completion', model: 'served', choices: [], usage: fields });

describe('what goes out', () => {
  it.each<[RequestKind, Json, string]>([
    ['chat', CHAT, '/v1/chat/completions'],
    ['completions', { prompt: 'hi' }, '/v1/completions'],
    ['embeddings', { input: 'hi' }, '/v1/embeddings'],
    ['rerank', { query: 'q', documents: ['a'] }, '/v1/rerank'],
    ['responses', { input: 'hi' }, '/v1/responses'],
  ])('of %s goes to its own path, to the letter but for the model', async (kind, body, path) => {
    const { server, ask } = await setUp(json({}));
    const written = `{"model":"asked","seed":12345678901234567890,"x":{"deep":[1.0,null]},${JSON.stringify(body).slice(1)}`;
    await ask(kind, written).catch(() => undefined);
    expect(server.requests[0]).toMatchObject({ method: 'POST', path, text: `{"model":"m1","seed":12345678901234567890,"x":{"deep":[1.0,null]},${JSON.stringify(body).slice(1)}` });
    expect(server.requests[0]?.headers.authorization).toBe('Bearer k-secret');
  });

  it('asks for usage of chats and completions that stream, and of no other', async () => {
    const { server, ask } = await setUp(json({}));
    for (const [kind, body] of [['chat', CHAT], ['completions', { prompt: 'x' }], ['responses', { input: 'x' }]] as const) await ask(kind, { ...body, stream: true }).catch(() => undefined);
    expect(server.requests.map(({ body }) => [body['stream'], body['stream_options']])).toEqual([[true, { include_usage: true }], [true, { include_usage: true }], [true, undefined]]);
  });

  it('is capped by the member of its kind', async () => {
    const { server, ask } = await setUp(json({}));
    const asked: readonly (readonly [RequestKind, Json])[] = [['chat', { ...CHAT, max_completion_tokens: 9 }], ['completions', { prompt: 'x', max_tokens: 9 }], ['responses', { input: 'x' }], ['embeddings', { input: 'x' }]];
    for (const [kind, body] of asked) await ask(kind, body, { maxTokens: 5 }).catch(() => undefined);
    expect(server.requests.map(({ body }) => [body['max_tokens'], body['max_completion_tokens'], body['max_output_tokens']])).toEqual([[5, 5, undefined], [5, undefined, undefined], [undefined, undefined, 5], [undefined, undefined, undefined]]);
  });

  it('has the members that the server’s kind wants, and never the client’s', async () => {
    const { server, ask } = await setUp(json({}), { members: { cache_salt: '"ours"', priority: null } });
    await ask('chat', { ...CHAT, cache_salt: 'theirs', priority: -1 }).catch(() => undefined);
    expect(server.requests[0]?.body).toEqual({ ...CHAT, model: 'm1', cache_salt: 'ours' });
  });

  it('leaves no second value of what was read', async () => {
    const { server, ask } = await setUp(json({}));
    await ask('completions', '{"best_of":100,"n":100,"stream":true,"prompt":"x","n":2,"best_of":3,"stream":false}').catch(() => undefined);
    expect(server.requests[0]?.text).toBe('{"model":"m1","n":2,"best_of":3,"prompt":"x"}');
  });
});

describe('a text completion', () => {
  it('streams as it came, each prompt and choice to its end', async () => {
    const { ask, parsed, usages } = await setUp(stream(text(0, 'a'), text(1, 'b'), text(0, '', 'stop'), text(1, 'c', 'length'), usageOf({ prompt_tokens: 4, completion_tokens: 3, total_tokens: 7 })));
    const answer = await ask('completions', { prompt: ['x', 'y'], stream: true });
    expect(answer).toMatchObject({ document: null, finishReason: 'stop', model: 'served', usage: { promptTokens: 4, completionTokens: 3 } });
    expect(parsed()).toEqual([text(0, 'a'), text(1, 'b'), text(0, '', 'stop'), text(1, 'c', 'length')]);
    expect(usages).toEqual([{ promptTokens: 4, completionTokens: 3 }]);
  });

  it('that lacks an end gets one, and its usage if the client wants it', async () => {
    const { ask, parsed } = await setUp(stream(text(0, 'four')));
    await ask('completions', { prompt: 'eight ch', stream: true, stream_options: { include_usage: true } });
    expect(parsed().slice(1)).toEqual([
      { ...text(0, '', 'stop') },
      { id: 'c1', object: 'text_completion', created: 1, model: 'served', choices: [], usage: { prompt_tokens: 2, completion_tokens: 1, total_tokens: 3, estimated: true } },
    ]);
  });

  it('tells its usage once at the end, whatever stands on the chunks before', async () => {
    const onChunk = { prompt_tokens: 4, completion_tokens: 1, total_tokens: 5 };
    const atEnd = usageOf({ prompt_tokens: 4, completion_tokens: 2, total_tokens: 6 });
    const sent = [{ ...text(0, 'a'), usage: onChunk }, { ...text(0, '', 'stop'), usage: onChunk }];
    for (const [options, expected] of [[{ include_usage: true, continuous_usage_stats: true }, [...sent, atEnd]], [{ continuous_usage_stats: true }, sent]] as const) {
      const { ask, parsed, usages } = await setUp(stream(...sent, atEnd));
      await ask('completions', { prompt: 'x', stream: true, stream_options: options });
      expect(parsed()).toEqual(expected);
      expect(usages).toEqual([{ promptTokens: 4, completionTokens: 2 }]);
    }
  });

  it('in one piece becomes a stream where one was asked for', async () => {
    const { ask, parsed } = await setUp(json({ ...text(0, 'whole', 'stop'), usage: { prompt_tokens: 1, completion_tokens: 2, total_tokens: 3 } }));
    expect(await ask('completions', { prompt: [1, 2, 3], stream: true })).toMatchObject({ usage: { promptTokens: 1, completionTokens: 2 } });
    expect(parsed()).toEqual([text(0, 'whole', 'stop')]);
  });

  it('is complete without the unseen ones of best_of', async () => {
    const { ask } = await setUp(stream(text(0, 'a', 'stop')));
    expect(await ask('completions', { prompt: 'x', best_of: 4, stream: true })).toMatchObject({ finishReason: 'stop' });
  });
});

describe('embeddings and reranks', () => {
  it('come to the letter, with their usage', async () => {
    const document = '{"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.10,-1e-9]}],"model":"e5","usage":{"prompt_tokens":8,"total_tokens":8}}';
    const { ask } = await setUp(raw(document, 'application/json'));
    expect(await ask('embeddings', { input: 'x' })).toEqual({ document, finishReason: 'stop', model: 'e5', usage: { promptTokens: 8, completionTokens: 0 } });
    const ranks = '{"id":"r","results":[{"index":0,"relevance_score":0.5}],"usage":{"total_tokens":56}}';
    const rerank = await setUp(raw(ranks, 'application/json'));
    expect(await rerank.ask('rerank', { query: 'q', documents: ['a'] })).toEqual({ document: ranks, finishReason: 'stop', model: 'm1', usage: { promptTokens: 56, completionTokens: 0 } });
  });

  it.each<[RequestKind, Json, Behaviour]>([
    ['embeddings', { input: 'x' }, json({ object: 'list' })],
    ['embeddings', { input: 'x' }, stream({ data: [] })],
    ['rerank', { query: 'q', documents: ['a'] }, raw('{"results":[', 'application/json')],
  ])('that are none are an error: %s', async (kind, body, behaviour) => {
    expect((await failureOf((await setUp(behaviour)).ask(kind, body))).code).toBe('model_invalid_output');
  });
});

describe('usage', () => {
  it.each<[string, Json, TokenCounts]>([
    ['cached and thought tokens', { prompt_tokens: 9, completion_tokens: 5, total_tokens: 14, prompt_tokens_details: { cached_tokens: 4 }, completion_tokens_details: { reasoning_tokens: 2 } }, { promptTokens: 9, completionTokens: 5, cachedTokens: 4, reasoningTokens: 2 }],
    ['thoughts that were left out of the completion', { prompt_tokens: 9, completion_tokens: 5, total_tokens: 16, completion_tokens_details: { reasoning_tokens: 2 } }, { promptTokens: 9, completionTokens: 7, reasoningTokens: 2 }],
    ['nonsense in the details', { prompt_tokens: 9, completion_tokens: 5, prompt_tokens_details: { cached_tokens: 99 }, completion_tokens_details: null }, { promptTokens: 9, completionTokens: 5, cachedTokens: 9 }],
  ])('has %s, also where it stands on a chunk with a choice', async (_, told, counts) => {
    const { ask, usages } = await setUp(stream(delta({ role: 'assistant', content: 'a' }), { ...delta({}, 'stop'), usage: told }));
    expect((await ask('chat', { ...CHAT, stream: true })).usage).toEqual(counts);
    expect(usages).toEqual([counts]);
  });

  it('that grows from chunk to chunk counts once', async () => {
    const told = (tokens: number): Json => ({ prompt_tokens: 3, completion_tokens: tokens, total_tokens: 3 + tokens });
    const { ask } = await setUp(stream({ ...delta({ role: 'assistant', content: 'a' }), usage: told(1) }, { ...delta({}, 'stop'), usage: told(2) }, usageChunk(3, 2)));
    expect((await ask('chat', { ...CHAT, stream: true })).usage).toEqual({ promptTokens: 3, completionTokens: 2 });
  });
});

const EVENTS = (): readonly Json[] => {
  const begun = { id: 'resp_1', object: 'response', status: 'in_progress', model: 'served', output: [], usage: null, error: null };
  const message = { id: 'msg_1', type: 'message', role: 'assistant', status: 'completed', content: [{ type: 'output_text', text: 'hey', annotations: [] }] };
  const usage = { input_tokens: 5, input_tokens_details: { cached_tokens: 3 }, output_tokens: 4, output_tokens_details: { reasoning_tokens: 1 }, total_tokens: 9 };
  return [
    { type: 'response.created', sequence_number: 0, response: begun },
    { type: 'response.output_text.delta', sequence_number: 1, item_id: 'msg_1', output_index: 0, content_index: 0, delta: 'hey' },
    { type: 'response.completed', sequence_number: 2, response: { ...begun, status: 'completed', output: [message], usage } },
  ];
};
const typed = (...all: readonly Json[]): Behaviour => raw(all.map((event) => `event: ${String(event['type'])}\ndata: ${JSON.stringify(event)}\n\n`).join(''));

describe('a response of a server that has responses', () => {
  it('streams as it came, and its usage is in its last event', async () => {
    const { ask, chunks, usages } = await setUp(typed(...EVENTS()));
    expect(await ask('responses', { input: 'x', stream: true })).toMatchObject({ document: null, finishReason: 'stop', model: 'served' });
    expect(chunks).toEqual(EVENTS().map((event) => JSON.stringify(event)));
    expect(usages).toEqual([{ promptTokens: 5, completionTokens: 4, cachedTokens: 3, reasoningTokens: 1 }]);
  });

  it('has its type first, wherever the server put it', async () => {
    const { ask, chunks } = await setUp(raw(EVENTS().map(({ type, ...rest }) => `data: ${JSON.stringify({ big: 0, ...rest, type }).replace('"big":0', '"big":12345678901234567890')}\n\n`).join('')));
    await ask('responses', { input: 'x', stream: true });
    expect(chunks[1]).toBe('{"type":"response.output_text.delta","big":12345678901234567890,"sequence_number":1,"item_id":"msg_1","output_index":0,"content_index":0,"delta":"hey"}');
  });

  it('in one piece becomes the same events where a stream was asked for', async () => {
    const whole = EVENTS()[2]?.['response'];
    const { ask, parsed } = await setUp(json(whole));
    await ask('responses', { input: 'x', stream: true });
    expect(parsed().map(({ type }) => type)).toEqual([
      'response.created', 'response.in_progress', 'response.output_item.added', 'response.content_part.added', 'response.output_text.delta',
      'response.output_text.done', 'response.content_part.done', 'response.output_item.done', 'response.completed',
    ]);
    expect(parsed().map((event) => event['sequence_number'])).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8]);
    expect(parsed().at(-1)?.['response']).toEqual(whole);
  });

  it('says why it is incomplete', async () => {
    const whole = { ...(EVENTS()[2]?.['response'] as Json), status: 'incomplete', incomplete_details: { reason: 'max_output_tokens' } };
    const { ask } = await setUp(json(whole));
    expect(await ask('responses', { input: 'x' })).toMatchObject({ finishReason: 'length', document: JSON.stringify(whole), usage: { cachedTokens: 3 } });
  });

  it('that failed in the middle is passed on, and no cache keeps it', async () => {
    const failed = { type: 'response.failed', sequence_number: 2, response: { ...(EVENTS()[0]?.['response'] as Json), status: 'failed', error: { code: 'server_error', message: 'oom' } } };
    const { ask, chunks } = await setUp(typed(...EVENTS().slice(0, 2), failed));
    expect(await ask('responses', { input: 'x', stream: true })).toMatchObject({ finishReason: 'failed', keep: false });
    expect(chunks.at(-1)).toBe(JSON.stringify(failed));
  });

  it.each<[string, Behaviour, string]>([
    ['stops before its end', typed(...EVENTS().slice(0, 2)), 'model_unavailable'],
    ['sends an error event', typed(EVENTS()[0] ?? {}, { type: 'error', code: 'server_error', message: 'x', param: null, sequence_number: 1 }), 'model_unavailable'],
    ['sends events without a type', stream({ sequence_number: 0 }), 'model_invalid_output'],
    ['sends a chat', json({ choices: [{ index: 0, message: { role: 'assistant', content: 'x' } }] }), 'model_invalid_output'],
    ['says that it failed', json({ object: 'response', status: 'failed', output: [], error: { code: 'server_error', message: 'x' } }), 'model_unavailable'],
  ])('that %s is an error', async (_, behaviour, code) => {
    expect((await failureOf((await setUp(behaviour)).ask('responses', { input: 'x', stream: true }))).code).toBe(code);
  });
});

describe('a response of a server that has chats only', () => {
  const call = (fields: Json): Json => ({ tool_calls: [{ index: 0, ...fields }] });
  const CHAT_STREAM = stream(
    delta({ role: 'assistant', reasoning_content: 'hm' }), delta({ content: 'I ' }), delta({ content: 'look' }),
    delta(call({ id: 'call_9', type: 'function', function: { name: 'look', arguments: '' } })), delta(call({ function: { arguments: '{"q":' } })), delta(call({ function: { arguments: '1}' } })),
    delta({}, 'tool_calls'), usageChunk(7, 3),
  );

  it('streams typed events in the order of the API', async () => {
    const { byChat, parsed, usages } = await setUp(CHAT_STREAM);
    expect(await byChat({ input: 'x', stream: true, tools: [{ type: 'function', name: 'look', parameters: {} }] })).toMatchObject({ finishReason: 'tool_calls', document: null });
    expect(parsed().map((event) => [event['type'], event['output_index'], event['delta']])).toEqual([
      ['response.created', undefined, undefined],
      ['response.in_progress', undefined, undefined],
      ['response.output_item.added', 0, undefined],
      ['response.content_part.added', 0, undefined],
      ['response.reasoning_text.delta', 0, 'hm'],
      ['response.reasoning_text.done', 0, undefined],
      ['response.content_part.done', 0, undefined],
      ['response.output_item.done', 0, undefined],
      ['response.output_item.added', 1, undefined],
      ['response.content_part.added', 1, undefined],
      ['response.output_text.delta', 1, 'I '],
      ['response.output_text.delta', 1, 'look'],
      ['response.output_text.done', 1, undefined],
      ['response.content_part.done', 1, undefined],
      ['response.output_item.done', 1, undefined],
      ['response.output_item.added', 2, undefined],
      ['response.function_call_arguments.delta', 2, '{"q":'],
      ['response.function_call_arguments.delta', 2, '1}'],
      ['response.function_call_arguments.done', 2, undefined],
      ['response.output_item.done', 2, undefined],
      ['response.completed', undefined, undefined],
    ]);
    expect(parsed().map((event) => event['sequence_number'])).toEqual(parsed().map((_event, at) => at));
    expect(parsed().at(-1)?.['response']).toMatchObject({
      object: 'response', status: 'completed', created_at: 9, model: 'served-model', store: false,
      output: [
        { type: 'reasoning', content: [{ type: 'reasoning_text', text: 'hm' }] },
        { type: 'message', role: 'assistant', content: [{ type: 'output_text', text: 'I look', annotations: [] }] },
        { type: 'function_call', call_id: 'call_9', name: 'look', arguments: '{"q":1}', status: 'completed' },
      ],
      usage: { input_tokens: 7, output_tokens: 3, total_tokens: 10, input_tokens_details: { cached_tokens: 0 }, output_tokens_details: { reasoning_tokens: 0 } },
    });
    expect(usages).toEqual([{ promptTokens: 7, completionTokens: 3 }]);
  });

  it('asks a chat that says the same', async () => {
    const { server, byChat } = await setUp(json({ id: 'c', model: 'served', choices: [{ index: 0, message: { role: 'assistant', content: 'done' }, finish_reason: 'length' }], usage: { prompt_tokens: 5, completion_tokens: 1 } }));
    const answer = await byChat({
      model: 'm', instructions: 'be brief', max_output_tokens: 44, temperature: 0.5, top_k: 7, metadata: { a: 'b' }, reasoning: { effort: 'low' }, store: false, parallel_tool_calls: false,
      text: { format: { type: 'json_schema', name: 'x', strict: true, schema: { type: 'object' } } },
      tools: [{ type: 'function', name: 'f', parameters: {}, strict: true }], tool_choice: { type: 'function', name: 'f' },
      input: [
        { role: 'user', content: [{ type: 'input_text', text: 'see' }, { type: 'input_image', image_url: 'data:,x', detail: 'low' }] },
        { type: 'reasoning', id: 'rs_1', summary: [] },
        { type: 'message', role: 'assistant', content: [{ type: 'output_text', text: 'ok' }] },
        { type: 'function_call', call_id: 'c1', name: 'f', arguments: '{}' },
        { type: 'function_call_output', call_id: 'c1', output: '42' },
      ],
    });
    expect(server.requests[0]).toMatchObject({ path: '/v1/chat/completions' });
    expect(server.requests[0]?.body).toEqual({
      model: 'm1', max_tokens: 44, temperature: 0.5, top_k: 7, reasoning_effort: 'low', parallel_tool_calls: false,
      response_format: { type: 'json_schema', json_schema: { name: 'x', strict: true, schema: { type: 'object' } } },
      tools: [{ type: 'function', function: { name: 'f', parameters: {}, strict: true } }], tool_choice: { type: 'function', function: { name: 'f' } },
      messages: [
        { role: 'system', content: 'be brief' },
        { role: 'user', content: [{ type: 'text', text: 'see' }, { type: 'image_url', image_url: { url: 'data:,x', detail: 'low' } }] },
        { role: 'assistant', content: 'ok', tool_calls: [{ id: 'c1', type: 'function', function: { name: 'f', arguments: '{}' } }] },
        { role: 'tool', tool_call_id: 'c1', content: '42' },
      ],
    });
    expect(answer).toMatchObject({ finishReason: 'length', usage: { promptTokens: 5 } });
    expect(JSON.parse(answer.document ?? '')).toMatchObject({ status: 'incomplete', incomplete_details: { reason: 'max_output_tokens' }, instructions: 'be brief', metadata: { a: 'b' }, output: [{ content: [{ text: 'done' }] }] });
  });

  it.each([
    ['previous_response_id', { previous_response_id: 'resp_1', input: 'x' }],
    ['conversation', { conversation: 'conv_1', input: 'x' }],
    ['tools[0].type', { input: 'x', tools: [{ type: 'web_search' }] }],
    ['input[0].type', { input: [{ type: 'item_reference', id: 'x' }] }],
    ['input[0].role', { input: [{ role: 'wizard', content: 'x' }] }],
    ['input[0].content[0].type', { input: [{ role: 'user', content: [{ type: 'smell' }] }] }],
    ['input', { input: [] }],
  ])('refuses %s, which needs more than a chat', async (field, body) => {
    const { server, byChat } = await setUp(json({}));
    expect(await failureOf(byChat(body))).toMatchObject({ code: 'invalid_input', details: { field } });
    expect(server.requests).toHaveLength(0);
  });

  it('passes everything else on', async () => {
    const { server, byChat } = await setUp(typed());
    await byChat({ input: 'x', previous_response_id: null }).catch(() => undefined);
    expect(server.requests[0]?.path).toBe('/v1/chat/completions');
  });
});

describe('a connection', () => {
  it('tells when the first byte is there, once', async () => {
    let told = 0;
    const { ask } = await setUp(stream(delta({ role: 'assistant', content: 'a' }), delta({}, 'stop')));
    await ask('chat', { ...CHAT, stream: true }, { onFirstByte: () => (told += 1) });
    expect(told).toBe(1);
  });

  it('that the caller ends is closed, with a reader that does not read', async () => {
    const stop = new AbortController();
    const { server, ask } = await setUp((response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write(events(delta({ role: 'assistant', content: 'a' })));
    });
    const reason = new PlatformError('cancelled', 'enough');
    const asking = failureOf(ask('chat', { ...CHAT, stream: true }, { signal: stop.signal, onChunk: () => (stop.abort(reason), new Promise(() => undefined)) }));
    expect(await asking).toBe(reason);
    await server.clientGone;
  });

  it('whose reader fails ends the server’s work', async () => {
    const { server, ask } = await setUp((response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write(events(delta({ role: 'assistant', content: 'a' })));
    });
    expect(await failureOf(ask('chat', { ...CHAT, stream: true }, { onChunk: () => Promise.reject(new PlatformError('cancelled', 'left')) }))).toMatchObject({ message: 'left' });
    await server.clientGone;
  });

  it('is used again after each of many answers', async () => {
    const { server, ask } = await setUp(stream(delta({ role: 'assistant', content: 'a' }), delta({}, 'stop')));
    for (let at = 0; at < 20; at += 1) await ask('chat', { ...CHAT, stream: true });
    // A request that follows at once may find the first connection not yet handed back.
    expect(server.connections()).toBeLessThanOrEqual(2);
  });
});
