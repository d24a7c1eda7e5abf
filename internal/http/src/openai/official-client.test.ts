import { createServer } from 'node:http';
import type { ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { PlatformError } from '@openeaap/kernel';
import { createGateway, parseGatewayConfig, parseRequest } from '@openeaap/msig';
import OpenAI from 'openai';
import { zodResponseFormat } from 'openai/helpers/zod';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { z } from 'zod';
import { createOpenAiDoor } from './create-openai-door.ts';

/** The unmodified client of OpenAI, the door, the real gateway, and a model server: nothing between them is made up. */

const closers: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

type Json = Readonly<Record<string, unknown>>;
type Answer = (response: ServerResponse, body: Json, path: string) => void;

const SCRIPT = `model: simulated
rules:
  - {name: look, when: {no_results: [look]}, reply: {content: "I look", tool_calls: [{name: look, arguments: {q: "{{input}}"}}]}}
  - {name: done, reply: {content: "Here is what I found for {{input}}"}}`;

async function setUp(answer: Answer) {
  let gone = 0;
  let asked = 0;
  const server = createServer((request, response) => {
    response.on('close', () => (gone += response.writableFinished ? 0 : 1));
    let text = '';
    request.on('data', (piece: Buffer) => (text += piece.toString()));
    request.on('end', () => {
      asked += 1;
      answer(response, text === '' ? {} : (JSON.parse(text) as Json), request.url ?? '');
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closers.push(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const config = parseGatewayConfig(
    `backends: [{name: real, type: openai, endpoint: "${endpoint}", kinds: [chat, completions, responses, embeddings, rerank], max_attempts: 1}, {name: scripted, type: scripted, script: x}]`,
    {},
  );
  const gateway = createGateway(config, {
    now: () => performance.timeOrigin + performance.now(), newId: () => crypto.randomUUID(), random: () => 0, readScript: () => SCRIPT,
    guard: { prepare: () => { throw new Error('Nothing may leave in this test.'); } }, auditEgress: async () => undefined, saltKey: 'salt',
  });
  closers.push(gateway.close);
  const step = new AbortController();
  const access = { tenantId: 't', runId: 'r', stepId: 's', agentId: 'a', userId: 'u', traceId: 'x' };
  const door = createOpenAiDoor(
    {
      enter: (credential) =>
        credential !== 'step-1'
          ? null
          : {
              models: gateway.models,
              findModel: gateway.findModel,
              ask: async (kind, body, { traceparent: _traceparent, sensitivity: _sensitivity, agent: _agent, ...call }) => gateway.ask(parseRequest(kind, body), { ...call, signal: AbortSignal.any([call.signal, step.signal]), access }),
            },
    },
    { newId: () => crypto.randomUUID(), now: Date.now, logger: { info: () => undefined, error: () => undefined } },
  );
  await door.listen({ host: '127.0.0.1', port: 0 });
  const url = `http://127.0.0.1:${(door.server.address() as AddressInfo).port}`;
  closers.push(() => door.close(1_000));
  const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: 'step-1' });
  return { client, url, gateway, endStep: (error: Error) => step.abort(error), asked: () => asked, gone: () => gone };
}

const chunk = (delta: object, finishReason: string | null = null): string =>
  `data: ${JSON.stringify({ id: 'c1', object: 'chat.completion.chunk', created: 1, model: 'served', choices: [{ index: 0, delta, finish_reason: finishReason, logprobs: null }] })}\n\n`;
const USAGE = { prompt_tokens: 9, completion_tokens: 4, total_tokens: 13 };
const END = `data: ${JSON.stringify({ id: 'c1', object: 'chat.completion.chunk', created: 1, model: 'served', choices: [], usage: USAGE })}\n\ndata: [DONE]\n\n`;
const streaming = (...parts: readonly string[]): Answer => (response) => void response.writeHead(200, { 'content-type': 'text/event-stream' }).end(parts.join(''));
const HELLO = { model: 'real', messages: [{ role: 'user' as const, content: 'hi' }] };
const notAsked: Answer = () => {
  throw new Error('was not to be asked');
};

describe('the official client', () => {
  it('lists and finds models', async () => {
    const { client } = await setUp(notAsked);
    const names: string[] = [];
    for await (const model of client.models.list()) names.push(model.id);
    expect(names).toEqual(['real', 'scripted']);
    expect(await client.models.retrieve('scripted')).toMatchObject({ id: 'scripted', object: 'model', owned_by: 'scripted' });
  });

  it('gets an answer, with its request id', async () => {
    const document = { id: 'c1', object: 'chat.completion', created: 1, model: 'served', choices: [{ index: 0, message: { role: 'assistant', content: 'hello', refusal: null }, logprobs: null, finish_reason: 'stop' }], usage: USAGE };
    const { client, gateway } = await setUp((response) => void response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(document)));
    const { data, request_id: requestId } = await client.chat.completions.create(HELLO).withResponse();
    expect(data).toMatchObject(document);
    expect(requestId).toMatch(/^req_/);
    expect(gateway.meter.take('s')).toMatchObject({ calls: 1, usage: { promptTokens: 9, completionTokens: 4 } });
  });

  it('parses a structured answer by its helper', async () => {
    const { client } = await setUp((response, body) => {
      const message = { role: 'assistant', content: JSON.stringify({ asked: body['response_format'] }), refusal: null };
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ id: 'c1', object: 'chat.completion', created: 1, model: 'served', choices: [{ index: 0, message, logprobs: null, finish_reason: 'stop' }], usage: USAGE }));
    });
    const format = { type: 'json_schema' as const, json_schema: { name: 'x', strict: true, schema: { type: 'object' } } };
    const parsed = await client.chat.completions.parse({ ...HELLO, response_format: format });
    expect(JSON.parse(parsed.choices[0]?.message.content ?? '')).toEqual({ asked: format });
  });

  it('streams by its helper: text, tool calls in pieces, usage', async () => {
    const { client, gateway } = await setUp(streaming(
      chunk({ role: 'assistant', content: 'Hel' }), chunk({ content: 'lo' }),
      chunk({ tool_calls: [{ index: 0, id: 'x', type: 'function', function: { name: 'f', arguments: '' } }] }), chunk({ tool_calls: [{ index: 0, function: { arguments: '{"a":' } }] }), chunk({ tool_calls: [{ index: 0, function: { arguments: '1}' } }] }),
      chunk({}, 'tool_calls'), END,
    ));
    const stream = client.chat.completions.stream({ ...HELLO, stream_options: { include_usage: true } });
    const texts: string[] = [];
    stream.on('content', (text) => texts.push(text));
    const whole = await stream.finalChatCompletion();
    expect(texts).toEqual(['Hel', 'lo']);
    expect(whole.choices[0]).toMatchObject({ finish_reason: 'tool_calls', message: { role: 'assistant', content: 'Hello', tool_calls: [{ id: 'x', type: 'function', function: { name: 'f', arguments: '{"a":1}' } }] } });
    expect(whole.usage).toEqual(USAGE);
    expect(gateway.meter.take('s')).toMatchObject({ usage: { completionTokens: 4 } });
  });

  it('has its strict helper content with servers that are not', async () => {
    const { client } = await setUp(streaming(chunk({ tool_calls: [{ id: 'x', function: { name: 'f', arguments: '{' } }] }), chunk({ tool_calls: [{ id: null, type: null, function: { name: null, arguments: '}' } }] }), 'data: [DONE]\n\n'));
    const whole = await client.chat.completions.stream(HELLO).finalChatCompletion();
    expect(whole.choices[0]?.message).toMatchObject({ role: 'assistant', tool_calls: [{ id: 'x', type: 'function', function: { name: 'f', arguments: '{}' } }] });
  });

  it('runs tools with the scripted backend by its helper, to the end', async () => {
    const { client, gateway } = await setUp(notAsked);
    const looked: string[] = [];
    const runner = client.chat.completions.runTools({
      model: 'scripted',
      stream: true,
      messages: [{ role: 'user', content: 'h1' }],
      tools: [{ type: 'function', function: { name: 'look', description: 'd', parameters: { type: 'object' }, function: (args: string) => (looked.push(args), '{"output":1}') } }],
    });
    expect(await runner.finalContent()).toBe('Here is what I found for h1');
    expect(looked).toEqual(['{"q":"h1"}']);
    expect(gateway.meter.take('s')).toMatchObject({ calls: 2, backend: 'scripted' });
  });

  it('that breaks out of a stream ends the server’s work', async () => {
    const { client, gone } = await setUp((response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write(chunk({ role: 'assistant', content: 'a' }));
    });
    for await (const part of await client.chat.completions.create({ ...HELLO, stream: true })) {
      expect(part.choices[0]?.delta.content).toBe('a');
      break;
    }
    await vi.waitFor(() => expect(gone()).toBe(1));
  });

  it('throws when the server stops in the middle, and when the step ends in the middle', async () => {
    const parts: string[] = [];
    const read = async (client: OpenAI, onPart: () => void = () => undefined): Promise<void> => {
      for await (const part of await client.chat.completions.create({ ...HELLO, stream: true })) {
        parts.push(part.choices[0]?.delta.content ?? '');
        onPart();
      }
    };
    const stopping = await setUp((response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write(chunk({ role: 'assistant', content: 'a' }), () => response.destroy());
    });
    await expect(read(stopping.client)).rejects.toBeInstanceOf(OpenAI.APIError);
    const hanging = await setUp((response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write(chunk({ role: 'assistant', content: 'b' }));
    });
    await expect(read(hanging.client, () => hanging.endStep(new PlatformError('unauthenticated', 'The step is over.')))).rejects.toMatchObject({ code: 'invalid_api_key' });
    expect(parts).toEqual(['a', 'b']);
    await vi.waitFor(() => expect(hanging.gone()).toBe(1));
  });

  it('parses a streamed structured answer, of a schema of zod', async () => {
    const { client } = await setUp(streaming(chunk({ role: 'assistant', content: '{"host":' }), chunk({ content: '"h1","ports":[22]}' }, 'stop'), END));
    const shape = z.object({ host: z.string(), ports: z.array(z.number()) });
    const whole = await client.chat.completions.stream({ ...HELLO, response_format: zodResponseFormat(shape, 'finding') }).finalChatCompletion();
    expect(whole.choices[0]?.message.parsed).toEqual({ host: 'h1', ports: [22] });
  });

  it('completes texts, streamed and not', async () => {
    const piece = (text: string, reason: string | null, more: object = {}) => ({ id: 'c', object: 'text_completion', created: 1, model: 'served', choices: [{ index: 0, text, logprobs: null, finish_reason: reason }], ...more });
    const { client } = await setUp((response, body) => {
      if (body['stream'] === true) return streaming(`data: ${JSON.stringify(piece('Hel', null))}\n\n`, `data: ${JSON.stringify(piece('lo', 'stop'))}\n\n`, 'data: [DONE]\n\n')(response, {}, '');
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(piece('Hello', 'stop', { usage: USAGE })));
    });
    expect(await client.completions.create({ model: 'real', prompt: 'x' })).toMatchObject({ choices: [{ text: 'Hello' }], usage: USAGE });
    let text = '';
    for await (const part of await client.completions.create({ model: 'scripted', prompt: 'h7', stream: true })) text += part.choices[0]?.text ?? '';
    expect(text).toBe('Here is what I found for h7');
    text = '';
    for await (const part of await client.completions.create({ model: 'real', prompt: 'x', stream: true })) text += part.choices[0]?.text ?? '';
    expect(text).toBe('Hello');
  });

  it('gets vectors, in base64 as it asks for them, and as numbers', async () => {
    const vector = new Float32Array([0.5, -1, 0.25]);
    const { client, gateway } = await setUp((response, { encoding_format: format }) => {
      const embedding = format === 'base64' ? Buffer.from(vector.buffer).toString('base64') : [...vector];
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ object: 'list', model: 'e', data: [{ object: 'embedding', index: 0, embedding }], usage: { prompt_tokens: 3, total_tokens: 3 } }));
    });
    expect((await client.embeddings.create({ model: 'real', input: ['x'] })).data[0]?.embedding).toEqual([0.5, -1, 0.25]);
    expect((await client.embeddings.create({ model: 'real', input: 'x', encoding_format: 'float' })).data[0]?.embedding).toEqual([0.5, -1, 0.25]);
    expect(gateway.meter.take('s')).toMatchObject({ calls: 2, usage: { promptTokens: 6, completionTokens: 0 } });
    await expect(client.embeddings.create({ model: 'scripted', input: 'x' })).rejects.toBeInstanceOf(OpenAI.BadRequestError);
  });

  it('reranks, although it has no method for it', async () => {
    const { client } = await setUp((response, body, path) => void response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ path, results: [{ index: 1, relevance_score: 0.9 }], echo: body['documents'] })));
    expect(await client.post('/rerank', { body: { model: 'real', query: 'q', documents: ['a', 'b'], top_n: 1 } })).toEqual({ path: '/v1/rerank', results: [{ index: 1, relevance_score: 0.9 }], echo: ['a', 'b'] });
  });

  it('gets responses of a server that has them, streamed by its helper', async () => {
    const item = { id: 'msg_1', type: 'message', role: 'assistant', status: 'completed', content: [{ type: 'output_text', text: 'Hello', annotations: [] }] };
    const whole = { id: 'resp_1', object: 'response', created_at: 1, status: 'completed', model: 'served', output: [item], error: null, usage: { input_tokens: 5, input_tokens_details: { cached_tokens: 2 }, output_tokens: 4, output_tokens_details: { reasoning_tokens: 1 }, total_tokens: 9 } };
    const { client, gateway } = await setUp((response, body) => {
      if (body['stream'] !== true) return void response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(whole));
      const place = { item_id: 'msg_1', output_index: 0, content_index: 0 };
      const events = [
        { type: 'response.created', response: { ...whole, status: 'in_progress', output: [], usage: null } },
        { type: 'response.output_item.added', output_index: 0, item: { ...item, content: [] } },
        { type: 'response.content_part.added', ...place, part: { type: 'output_text', text: '', annotations: [] } },
        { type: 'response.output_text.delta', ...place, delta: 'Hello' },
        { type: 'response.completed', response: whole },
      ];
      response.writeHead(200, { 'content-type': 'text/event-stream' }).end(events.map((event, at) => `event: ${event.type}\ndata: ${JSON.stringify({ ...event, sequence_number: at })}\n\n`).join(''));
    });
    expect((await client.responses.create({ model: 'real', input: 'x' })).output_text).toBe('Hello');
    const stream = client.responses.stream({ model: 'real', input: 'x' });
    const deltas: string[] = [];
    stream.on('response.output_text.delta', ({ delta }) => deltas.push(delta));
    expect((await stream.finalResponse()).output_text).toBe('Hello');
    expect(deltas).toEqual(['Hello']);
    expect(gateway.meter.take('s')).toMatchObject({ calls: 2, usage: { promptTokens: 10, completionTokens: 8, cachedTokens: 4, reasoningTokens: 2 } });
  });

  it('gets responses of a model that has chats only, with tools', async () => {
    const { client } = await setUp(notAsked);
    const tools = [{ type: 'function' as const, name: 'look', description: 'd', parameters: { type: 'object' }, strict: false }];
    const stream = client.responses.stream({ model: 'scripted', input: 'h1', tools });
    const kinds: string[] = [];
    for await (const event of stream) kinds.push(event.type);
    const first = await stream.finalResponse();
    expect([kinds[0], kinds.at(-1)]).toEqual(['response.created', 'response.completed']);
    const [called] = first.output.filter((item) => item.type === 'function_call');
    expect(called).toMatchObject({ name: 'look', arguments: '{"q":"h1"}', status: 'completed' });
    const second = await client.responses.create({ model: 'scripted', tools, input: [{ role: 'user', content: 'h1' }, ...(first.output as OpenAI.Responses.ResponseInputItem[]), { type: 'function_call_output', call_id: called?.call_id ?? '', output: '{"output":1}' }] });
    expect(second).toMatchObject({ object: 'response', status: 'completed', output_text: 'Here is what I found for h1' });
    await expect(client.responses.create({ model: 'scripted', input: 'x', previous_response_id: first.id })).rejects.toMatchObject({ status: 400, param: 'previous_response_id' });
  });

  it('throws when a response breaks off', async () => {
    const { client } = await setUp((response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write(`data: ${JSON.stringify({ type: 'response.created', sequence_number: 0, response: { id: 'r', object: 'response', status: 'in_progress', output: [] } })}\n\n`, () => response.destroy());
    });
    const kinds: string[] = [];
    const read = async (): Promise<void> => {
      for await (const event of await client.responses.create({ model: 'real', input: 'x', stream: true })) kinds.push(event.type);
    };
    await expect(read()).rejects.toMatchObject({ code: 'model_unavailable' });
    expect(kinds).toEqual(['response.created']);
    await expect(client.responses.stream({ model: 'real', input: 'x' }).finalResponse()).rejects.toBeInstanceOf(OpenAI.APIError);
  });

  it('gets errors of the classes that it knows, and repeats only what may be repeated', async () => {
    const { client, url, asked } = await setUp((response) => void response.writeHead(400, { 'content-type': 'application/json' }).end('{"error":{"message":"too long","code":"context_length_exceeded","param":"messages"}}'));
    await expect(client.chat.completions.create(HELLO)).rejects.toMatchObject({ status: 400, code: 'context_length_exceeded', param: 'messages', message: expect.stringContaining('too long') });
    await expect(client.chat.completions.create({ ...HELLO, n: 0 })).rejects.toBeInstanceOf(OpenAI.BadRequestError);
    await expect(client.chat.completions.create({ ...HELLO, model: 'nope' })).rejects.toBeInstanceOf(OpenAI.NotFoundError);
    await expect(new OpenAI({ baseURL: `${url}/v1`, apiKey: 'over' }).chat.completions.create(HELLO)).rejects.toBeInstanceOf(OpenAI.AuthenticationError);
    expect(asked()).toBe(1);
    const broken = await setUp((response) => void response.writeHead(500).end());
    await expect(broken.client.chat.completions.create(HELLO)).rejects.toMatchObject({ status: 502 });
    expect(broken.asked()).toBe(1);
    const busy = await setUp((response) => void (busy.asked() === 1 ? response.writeHead(429, { 'retry-after-ms': '5' }).end() : streaming(chunk({ role: 'assistant', content: 'x' }, 'stop'), END)(response, {}, '')));
    expect((await busy.client.chat.completions.stream(HELLO).finalChatCompletion()).choices[0]?.message.content).toBe('x');
    expect(busy.asked()).toBe(2);
  });
});
