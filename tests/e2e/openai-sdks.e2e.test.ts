import { spawn } from 'node:child_process';
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import OpenAI from 'openai';
import { zodResponseFormat } from 'openai/helpers/zod';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { startVllmDouble } from '../../internal/msig/src/testing/vllm-double.ts';
import type { VllmDouble } from '../../internal/msig/src/testing/vllm-double.ts';
import { createCleanup } from './harness/cleanup.ts';
import { createDataFolder } from './harness/data-folder.ts';
import { textAt } from './harness/json.ts';
import { pythonEnvironment } from './harness/python-environment.ts';
import { ROOT, startPlatform } from './harness/start-platform.ts';
import type { Platform } from './harness/start-platform.ts';
import { waitUntil } from './harness/wait-until.ts';

/** The official SDKs, unmodified, through the built server to a model server that speaks as vLLM does. */

const FINDING = '{"host":"h1","ports":[22,443]}';
const FIXTURES = path.join(import.meta.dirname, 'fixtures/openai');
const python = pythonEnvironment(FIXTURES);

const cleanup = createCleanup();
let double: VllmDouble;
let platform: Platform;
let baseURL: string;
let apiKey: string;

beforeAll(async () => {
  double = await startVllmDouble({ answer: answerOf });
  cleanup.add(double.close);
  const folder = await createDataFolder();
  cleanup.add(folder.remove);
  const configDir = await mkdtemp(path.join(tmpdir(), 'openeaap-sdks-'));
  cleanup.add(() => rm(configDir, { recursive: true, force: true }));
  await cp(path.join(ROOT, 'configs'), configDir, { recursive: true });
  await writeFile(path.join(configDir, 'msig.yaml'), CONFIG.replaceAll('URL', double.url));
  platform = await startPlatform({ folder, args: ['--config-dir', configDir] });
  cleanup.add(platform.stop);
  baseURL = await waitUntil('the gateway says where it listens', () => /Model gateway listening at (http:\/\/[^\s"]+\/v1)/.exec(platform.stderr() + platform.stdout())?.[1] ?? null);
  const { body } = await platform.api.post('/model-keys', { name: 'sdks' });
  apiKey = textAt(body, 'key');
});
afterAll(() => cleanup.run());

const CONFIG = `
default_backend: tiny
backends:
  - {name: tiny, type: vllm, endpoint: "URL", kinds: [chat, completions, embeddings, rerank, responses], max_attempts: 1}
  - {name: chats-only, type: vllm, endpoint: "URL", model: tiny, kinds: [chat], max_attempts: 1}
`;

/** Calls the tool that is offered until its result is there; writes the finding where a schema is asked for; else says hello. */
function answerOf(body: Readonly<Record<string, unknown>>) {
  const asked = JSON.stringify(body);
  const wantsSchema = asked.includes('"json_schema"');
  if (Array.isArray(body['tools']) && !asked.includes('"role":"tool"')) return { tokens: [], toolCalls: [{ name: 'look', arguments: '{"q":"x"}' }] };
  return { tokens: wantsSchema ? [FINDING.slice(0, 8), FINDING.slice(8)] : ['Hello', ' ', '世界'] };
}

describe('the SDK for Node', () => {
  const client = (): OpenAI => new OpenAI({ baseURL, apiKey });
  const HELLO = { model: 'tiny', messages: [{ role: 'user' as const, content: 'hello' }] };

  it('chats, streams, parses and runs tools', async () => {
    const { data, response, request_id: requestId } = await client().chat.completions.create(HELLO).withResponse();
    expect([data.choices[0]?.message.content, response.headers.get('x-openeaap-backend')]).toEqual(['Hello 世界', 'tiny']);
    expect(requestId).toMatch(/^req_/);
    const stream = client().chat.completions.stream({ ...HELLO, stream_options: { include_usage: true } });
    const whole = await stream.finalChatCompletion();
    expect([whole.choices[0]?.message.content, whole.choices[0]?.finish_reason, whole.usage?.completion_tokens]).toEqual(['Hello 世界', 'stop', 3]);
    const shape = z.object({ host: z.string(), ports: z.array(z.number()) });
    const parsed = await client().chat.completions.parse({ ...HELLO, response_format: zodResponseFormat(shape, 'finding') });
    expect(parsed.choices[0]?.message.parsed).toEqual({ host: 'h1', ports: [22, 443] });
    const looked: string[] = [];
    const runner = client().chat.completions.runTools({
      ...HELLO, stream: true,
      tools: [{ type: 'function', function: { name: 'look', description: 'Looks.', parameters: { type: 'object' }, function: (args: string) => (looked.push(args), 'found') } }],
    });
    expect(await runner.finalContent()).toBe('Hello 世界');
    expect(looked).toEqual(['{"q":"x"}']);
  });

  it.each(['tiny', 'chats-only'])('has responses of %s, streamed and not', async (model) => {
    expect((await client().responses.create({ model, input: 'hello' })).output_text).toBe('Hello 世界');
    const stream = client().responses.stream({ model, input: 'hello' });
    let text = '';
    stream.on('response.output_text.delta', ({ delta }) => (text += delta));
    const final = await stream.finalResponse();
    expect([final.output_text, text, final.status, final.usage?.output_tokens]).toEqual(['Hello 世界', 'Hello 世界', 'completed', 3]);
  });

  it('has vectors, texts and ranks', async () => {
    const packed = await client().embeddings.create({ model: 'tiny', input: ['a', 'b'] });
    const plain = await client().embeddings.create({ model: 'tiny', input: 'a', encoding_format: 'float' });
    expect(packed.data[0]?.embedding.map((x) => x.toFixed(4))).toEqual(plain.data[0]?.embedding.map((x) => x.toFixed(4)));
    expect((await client().completions.create({ model: 'tiny', prompt: 'hello' })).choices[0]?.text).toBe('Hello 世界');
    expect(await client().post('/rerank', { body: { model: 'tiny', query: 'q', documents: ['a', 'b'] } })).toMatchObject({ results: [{}, {}] });
  });

  it('throws what its classes say, and tries again where it may', async () => {
    const create = (more: object = {}) => client().chat.completions.create({ ...HELLO, ...more });
    await expect(create({ n: 0 })).rejects.toBeInstanceOf(OpenAI.BadRequestError);
    await expect(create({ model: 'nope' })).rejects.toBeInstanceOf(OpenAI.NotFoundError);
    await expect(new OpenAI({ baseURL, apiKey: 'nobody' }).models.list()).rejects.toBeInstanceOf(OpenAI.AuthenticationError);
    double.misbehave({ kind: 'status', status: 429, headers: { 'retry-after': '0' } });
    expect((await create()).choices[0]?.message.content).toBe('Hello 世界');
    double.misbehave({ kind: 'status', status: 500 });
    const asked = double.requests.length;
    await expect(create()).rejects.toBeInstanceOf(OpenAI.InternalServerError);
    expect(double.requests.length - asked).toBe(1);
    double.misbehave({ kind: 'break', afterChunks: 2 });
    const parts: string[] = [];
    const broken = async (): Promise<void> => {
      for await (const part of await client().chat.completions.create({ ...HELLO, stream: true })) parts.push(part.choices[0]?.delta.content ?? '');
    };
    await expect(broken()).rejects.toMatchObject({ code: 'model_unavailable' });
    expect(parts.length).toBeGreaterThan(0);
  });

  it('that leaves in the middle ends the server’s work', async () => {
    const before = double.aborted();
    double.misbehave({ kind: 'slow', chunkMs: 200 });
    const stream = await client().chat.completions.create({ ...HELLO, stream: true });
    for await (const part of stream) {
      expect(part.object).toBe('chat.completion.chunk');
      break;
    }
    await waitUntil('the model server sees it', () => double.aborted() > before);
  });
});

describe.skipIf(python === null)('the SDK for Python', () => {
  it('does what its users do', async () => {
    double.misbehave();
    const seen = await transcript(python ?? '');
    expect(seen).toMatchObject({
      models: { listed: ['tiny', 'chats-only'], found: 'tiny' },
      chat: { content: 'Hello 世界', request_id: expect.stringMatching(/^req_/), backend: 'tiny' },
      chat_stream: { content: 'Hello 世界', finish: 'stop', ids: 1 },
      chat_stream_helper: { name: 'look', arguments: { q: 'x' } },
      chat_parse: { host: 'h1', ports: [22, 443] },
      completions: { whole: 'Hello 世界', streamed: 'Hello 世界' },
      embeddings: { count: 2, same: true },
      responses: { text: 'Hello 世界', streamed: 'Hello 世界', first: 'response.created', last: 'response.completed' },
      responses_by_chat: { text: 'Hello 世界', streamed: 'Hello 世界', first: 'response.created', last: 'response.completed' },
      responses_parse: { host: 'h1', ports: [22, 443] },
      errors: {
        bad: { class: 'BadRequestError', status: 400, param: 'n', has_request_id: true },
        key: { class: 'AuthenticationError', status: 401, code: 'invalid_api_key', has_request_id: true },
        model: { class: 'NotFoundError', status: 404, code: 'model_not_found', param: 'model' },
        url: { class: 'NotFoundError', status: 404, code: 'unknown_url' },
        header: { class: 'BadRequestError', status: 400, param: 'x-openeaap-sensitivity' },
        upstream: { class: 'BadRequestError', status: 400, param: 'max_tokens' },
      },
      many: Array.from({ length: 20 }, () => 'Hello 世界'),
    });
  });
});

/** What the client printed; its own errors are the test's. */
async function transcript(interpreter: string): Promise<unknown> {
  const child = spawn(interpreter, [path.join(FIXTURES, 'client.py')], { env: { PATH: process.env['PATH'] ?? '', OPENAI_BASE_URL: baseURL, OPENAI_API_KEY: apiKey, PYTHONDONTWRITEBYTECODE: '1' }, stdio: ['ignore', 'pipe', 'pipe'], timeout: 120_000 });
  let [out, err] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => (out += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (err += text));
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  if (code !== 0) throw new Error(`the Python client ended with ${String(code)}:\n${err.slice(-4_000)}\n${platform.stderr().slice(-2_000)}`);
  return JSON.parse(out);
}
