import { createServer } from 'node:http';
import type { ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { PlatformError } from '@openeaap/kernel';
import { createGateway, parseCompletion, parseGatewayConfig } from '@openeaap/msig';
import fastify from 'fastify';
import OpenAI from 'openai';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { registerOpenAiRoutes } from './register-openai-routes.ts';

/** The unmodified client of OpenAI, the door, the real gateway, and a model server: nothing between them is made up. */

const closers: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

type Json = Readonly<Record<string, unknown>>;
type Answer = (response: ServerResponse, body: Json) => void;

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
      answer(response, JSON.parse(text) as Json);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closers.push(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  const config = parseGatewayConfig(
    `backends: [{name: real, type: vllm, endpoint: "http://127.0.0.1:${(server.address() as AddressInfo).port}", max_attempts: 1}, {name: scripted, type: scripted, script: x}]`,
    {},
  );
  const gateway = createGateway(config, { now: Date.now, newId: () => crypto.randomUUID(), random: () => 0, readScript: () => SCRIPT });
  closers.push(gateway.close);
  const step = new AbortController();
  const attribution = { tenantId: 't', runId: 'r', stepId: 's', agentId: 'a', userId: 'u', traceId: 'x' };
  const app = fastify();
  registerOpenAiRoutes(
    app,
    {
      enter: (credential) =>
        credential !== 'step-1'
          ? null
          : {
              models: gateway.models,
              findModel: gateway.findModel,
              complete: async (body, { signal, onChunk }) => gateway.complete(parseCompletion(body), { signal: AbortSignal.any([signal, step.signal]), onChunk, attribution, maxTokens: null }),
            },
    },
    { newId: () => crypto.randomUUID(), now: Date.now },
  );
  const url = await app.listen({ host: '127.0.0.1', port: 0 });
  closers.push(() => app.close());
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
    const busy = await setUp((response) => void (busy.asked() === 1 ? response.writeHead(429, { 'retry-after-ms': '5' }).end() : streaming(chunk({ role: 'assistant', content: 'x' }, 'stop'), END)(response, {})));
    expect((await busy.client.chat.completions.stream(HELLO).finalChatCompletion()).choices[0]?.message.content).toBe('x');
    expect(busy.asked()).toBe(2);
  });
});
