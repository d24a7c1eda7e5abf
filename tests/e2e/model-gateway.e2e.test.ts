import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startRedis } from '../../internal/msig/src/testing/redis-server.ts';
import type { TestRedis } from '../../internal/msig/src/testing/redis-server.ts';
import { startVllmDouble } from '../../internal/msig/src/testing/vllm-double.ts';
import type { VllmDouble } from '../../internal/msig/src/testing/vllm-double.ts';
import { createCleanup } from './harness/cleanup.ts';
import { createDataFolder } from './harness/data-folder.ts';
import { at, listAt, textAt } from './harness/json.ts';
import { ROOT, startPlatform } from './harness/start-platform.ts';
import type { Platform } from './harness/start-platform.ts';
import { waitUntil } from './harness/wait-until.ts';

/** What the server's own wiring adds to the gateway: its file, its database, its Redis, its audit. */

const cleanup = createCleanup();
let redis: TestRedis | null;
let double: VllmDouble;
let platform: Platform;
let configFile: string;
let baseUrl: string;
let apiKey: string;

/** `URL` is the double's; the same server stands for the house and for the world outside. */
const CONFIG = `
default_backend: inside
backends:
  - {name: inside, type: vllm, endpoint: "URL", model: tiny, capabilities: [general]}
  - {name: outside, type: openai, endpoint: "URL", model: tiny, external: true}
`;
const CACHES = `
cache: {redis_url_env: TEST_REDIS_URL, l2: {enabled: true}}
semantic_cache: {enabled: true, backend: postgres, similarity_threshold: 0.92}
`;

beforeAll(async () => {
  redis = await startRedis();
  if (redis !== null) cleanup.add(redis.stop);
  // What it was told, so that a test sees what came back of it.
  double = await startVllmDouble({ answer: (body) => ({ tokens: ['You said: ', lastWords(body)] }) });
  cleanup.add(double.close);
  const folder = await createDataFolder();
  cleanup.add(folder.remove);
  const configDir = await mkdtemp(path.join(tmpdir(), 'openeaap-gateway-'));
  cleanup.add(() => rm(configDir, { recursive: true, force: true }));
  await cp(path.join(ROOT, 'configs'), configDir, { recursive: true });
  configFile = path.join(configDir, 'msig.yaml');
  await configure(redis === null ? CONFIG : CONFIG + CACHES);
  platform = await startPlatform({ folder, args: ['--config-dir', configDir], env: { TEST_REDIS_URL: redis?.url ?? 'redis://127.0.0.1:1' } });
  cleanup.add(platform.stop);
  baseUrl = await waitUntil('the gateway says where it listens', () => /Model gateway listening at (http:\/\/[^\s"]+\/v1)/.exec(platform.stderr())?.[1] ?? null);
  apiKey = await newKey({ name: 'gateway' });
});
afterAll(() => cleanup.run());

const configure = (yaml: string): Promise<void> => writeFile(configFile, yaml.replaceAll('URL"', `${double.url}"`));
const newKey = async (spec: object): Promise<string> => textAt((await platform.api.post('/model-keys', spec)).body, 'key');

function lastWords(body: Readonly<Record<string, unknown>>): string {
  const messages = body['messages'] as readonly { readonly content: string }[];
  return messages.at(-1)?.content ?? '';
}

interface Said {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
}

async function say(words: string, { model = 'inside', key = apiKey, headers = {} }: { readonly model?: string; readonly key?: string; readonly headers?: Readonly<Record<string, string>> } = {}): Promise<Said> {
  const response = await fetch(`${baseUrl}/chat/completions`, { method: 'POST', headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json', ...headers }, body: JSON.stringify({ model, messages: [{ role: 'user', content: words }] }) });
  const body: unknown = await response.json();
  const text = response.ok ? textAt(body, 'choices', 0, 'message', 'content') : textAt(body, 'error', 'message');
  return { status: response.status, headers: response.headers, text };
}

const asked = (): string => JSON.stringify(double.requests.map(({ body }) => body));

describe('what leaves the house', () => {
  it('is masked, comes back whole, and is in the audit without what was found', async () => {
    const said = await say('Call 13812345678 about ticket 7', { model: 'outside' });
    expect([said.status, said.text]).toEqual([200, 'You said: Call 13812345678 about ticket 7']);
    expect(asked()).not.toContain('13812345678');
    const { body } = await platform.api.get('/audit?action_type=model_egress');
    const rows = listAt(body, 'items');
    expect(rows).toHaveLength(1);
    expect(JSON.stringify(rows)).toContain('"masked":true');
    expect(JSON.stringify(rows)).not.toContain('13812345678');
    expect((await platform.api.post('/audit/verify', {})).body).toMatchObject({ ok: true });
  });

  it('is never what the caller calls confidential; inside it may be said', async () => {
    const headers = { 'x-openeaap-sensitivity': 'confidential' };
    const before = double.requests.length;
    expect(await say('the plan', { model: 'outside', headers })).toMatchObject({ status: 403 });
    expect(double.requests.length).toBe(before);
    expect(await say('the plan', { model: 'inside', headers })).toMatchObject({ status: 200, text: 'You said: the plan' });
  });
});

describe('the server’s parts behind the gateway', () => {
  it('a limit of a key is counted where all nodes see it, and the bill says who asked', async () => {
    const key = await newKey({ name: 'limited', limits: { requests_per_minute: 1 } });
    expect((await say('first of a minute', { key })).headers.get('x-ratelimit-remaining-requests')).toBe('0');
    const refused = await say('second of a minute', { key });
    expect([refused.status, Number(refused.headers.get('retry-after')) > 0]).toEqual([429, true]);
    const usage = await waitUntil('the ledger has it', async () => {
      const { body } = await platform.api.get('/model-usage?group_by=key');
      return listAt(body, 'items').find((row) => JSON.stringify(row).includes('limited')) ?? null;
    });
    expect(at(usage, 'calls')).toBe(2);
    expect(at(usage, 'failed')).toBe(1);
  });

  it('a question is answered by Redis when it is the same, and by PostgreSQL when it only means the same', async (context) => {
    if (redis === null) return context.skip();
    const ask = async (words: string): Promise<string | null> => (await say(words)).headers.get('x-openeaap-cache');
    expect(await ask('How do I reset the password of a mailbox?')).toBe('miss');
    await waitUntil('it is kept', async () => (await ask('How do I reset the password of a mailbox?')) === 'l2');
    await waitUntil('its meaning is kept', async () => (await ask('how do I reset the password of a mailbox')) === 'l3');
    expect(await ask('How do I not reset the password of a mailbox?')).toBe('miss');
    // Limits are counted in PostgreSQL, so they go on too.
    await redis.kill();
    expect((await say('Is anybody there?')).status).toBe(200);
    await redis.restart();
    let tries = 0;
    await waitUntil('Redis is used again', async () => {
      // Another number is another question, which PostgreSQL has not kept meanwhile.
      const question = `Is host ${(tries += 1)} up?`;
      await ask(question);
      return (await ask(question)) === 'l2';
    });
  });

  it('a changed file holds, and one with a mistake does not', async () => {
    const models = async (): Promise<readonly unknown[]> => {
      const response = await fetch(`${baseUrl}/models`, { headers: { authorization: `Bearer ${apiKey}` } });
      return listAt(await response.json(), 'data').map((model) => at(model, 'id'));
    };
    await configure(CONFIG.replace('name: outside', 'name: elsewhere'));
    await waitUntil('the new backend is there', async () => (await models()).includes('elsewhere'));
    await configure(CONFIG.replace('type: vllm', 'type: vlm'));
    const line = await waitUntil('the mistake is told', () => platform.stderr().split('\n').find((text) => text.includes('goes on with the last good one')) ?? null);
    expect(line).toMatch(/msig\.yaml:4:\d+: .*must be one of vllm, openai, scripted/);
    expect(await models()).toEqual(['inside', 'elsewhere']);
    expect(await say('still there')).toMatchObject({ status: 200 });
  });
});

describe('a node that stops', () => {
  it('lets a stream that is under way come to its end', async () => {
    await configure(CONFIG);
    await waitUntil('the file is followed again', async () => (await say('there?', { model: 'outside' })).status === 200);
    double.misbehave({ kind: 'slow', chunkMs: 700 });
    const response = await fetch(`${baseUrl}/chat/completions`, { method: 'POST', headers: { authorization: `Bearer ${apiKey}`, 'content-type': 'application/json' }, body: JSON.stringify({ model: 'inside', stream: true, messages: [{ role: 'user', content: 'slowly' }] }) });
    const stopped = platform.stop();
    const text = await response.text();
    expect(text).toContain('slowly');
    expect(text.trimEnd().endsWith('data: [DONE]')).toBe(true);
    expect(await stopped).toBe(0);
  });
});
