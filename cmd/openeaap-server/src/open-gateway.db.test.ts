import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { Pool } from 'pg';
import { pino } from 'pino';
import { openRedisLink, parseRequest } from '@openeaap/msig';
import type { CacheOutcome, RedisLink } from '@openeaap/msig';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { json, startOpenAiServer } from '../../../internal/msig/src/testing/openai-server.ts';
import type { OpenAiServer } from '../../../internal/msig/src/testing/openai-server.ts';
import { startRedis } from '../../../internal/msig/src/testing/redis-server.ts';
import type { TestRedis } from '../../../internal/msig/src/testing/redis-server.ts';
import type { TestDatabase } from '../../../internal/store/src/testing/test-database.ts';
import { createTestDatabase } from '../../../internal/store/src/testing/test-database.ts';
import { parseConfig } from './config.ts';
import { createMetrics } from './metrics.ts';
import { openGateway } from './open-gateway.ts';
import type { OpenedGateway } from './open-gateway.ts';
import { createPolicyKeeper } from './policy-keeper.ts';

const POLICIES = fileURLToPath(new URL('../../../policies', import.meta.url));
const ANSWER = { id: 'c', object: 'chat.completion', created: 1, model: 'm', choices: [{ index: 0, message: { role: 'assistant', content: 'hi' }, finish_reason: 'stop' }], usage: { prompt_tokens: 7, completion_tokens: 3, total_tokens: 10 } };
const LIMIT = 'limits: [{per: tenant, requests_per_minute: 2}]\n';
const CACHE_IN = (variable: string): string => `cache: {redis_url_env: ${variable}, l2: {enabled: true}}\n`;

let database: TestDatabase;
let pool: Pool;
let server: OpenAiServer;
let redises: readonly TestRedis[] = [];
let dir: string;
const closers: (() => Promise<unknown>)[] = [];

beforeAll(async () => {
  database = await createTestDatabase();
  pool = new Pool({ connectionString: database.url, max: 4 });
  server = await startOpenAiServer(json(ANSWER));
  redises = (await Promise.all([startRedis(), startRedis()])).filter((each) => each !== null);
  dir = await mkdtemp(path.join(tmpdir(), 'openeaap-open-gateway-'));
});
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});
afterAll(async () => {
  await rm(dir, { recursive: true, force: true });
  await Promise.all(redises.map((each) => each.stop()));
  await server.close();
  await pool.end();
  await database.drop();
});

const configure = (more: string): Promise<void> => writeFile(path.join(dir, 'msig.yaml'), `backends: [{name: local, type: openai, endpoint: "${server.url}"}]\n${more}`);

interface Opened extends OpenedGateway {
  readonly logged: readonly string[];
}

async function open(more: string): Promise<Opened> {
  await configure(more);
  const logged: string[] = [];
  const config = parseConfig(['--config-dir', dir], dir, Object.fromEntries(redises.map(({ url }, index) => [`REDIS_${index}`, url])));
  const policy = await createPolicyKeeper({ dir: POLICIES, hashKey: 'a key of these tests', save: async () => undefined, read: async () => null, now: () => new Date() });
  const metrics = createMetrics({ runsInHand: () => 0, streamReaders: () => 0, gateway: () => null });
  const log = pino({}, { write: (line: string) => void logged.push(line) });
  const opened = await openGateway({ config, pool, policy, metrics, log, secret: 'a secret of these tests', appendAudit: async () => undefined, followMs: 10 });
  closers.push(opened.close);
  return { ...opened, logged };
}

/** Each tenant has counters of its own. */
async function ask({ gateway }: OpenedGateway, tenantId: string, words: string): Promise<CacheOutcome> {
  const access = { tenantId, runId: '', stepId: '', agentId: '', userId: 'alice', traceId: 'x' };
  const body = JSON.stringify({ model: 'local', messages: [{ role: 'user', content: words }] });
  return (await gateway.ask(parseRequest('chat', body), { signal: AbortSignal.timeout(5_000), access, onChunk: () => null })).cache;
}

const codeOf = (work: Promise<unknown>): Promise<string> => work.then(() => 'answered', (thrown: { readonly code: string }) => thrown.code);

type Look<T> = (client: Parameters<Parameters<RedisLink['run']>[0]>[0]) => Promise<T>;

/** As somebody else sees it. */
async function inRedis<T>(index: number, look: Look<T>): Promise<T> {
  const link = openRedisLink(redises[index]?.url ?? '', { log: () => undefined, random: Math.random });
  await link.tried;
  const seen = await link.run(look, 5_000);
  await link.close();
  if (seen === null) throw new Error('This Redis does not answer.');
  return seen;
}

const keysIn = (index: number, pattern: string): Promise<readonly string[]> => inRedis(index, (client) => client.keys(pattern));
/** But our own look. */
const connectionsTo = (index: number): Promise<number> => inRedis(index, async (client) => (await client.clientList()).length - 1);

const countersOf = async (tenantId: string): Promise<number> => (await pool.query('SELECT 1 FROM limit_counters WHERE tenant_id = $1', [tenantId])).rowCount ?? 0;

describe('limits', () => {
  test('are counted in PostgreSQL beside a Redis that only keeps answers: it may forget and be away', async (context) => {
    if (redises.length === 0) return context.skip();
    const opened = await open(CACHE_IN('REDIS_0') + LIMIT);
    await expect.poll(() => connectionsTo(0)).toBe(1);
    await ask(opened, 'paying', 'one');
    expect([await countersOf('paying'), await keysIn(0, 'openeaap:limit:*')]).toEqual([1, []]);
    await redises[0]?.restart();
    expect(await codeOf(ask(opened, 'paying', 'two'))).toBe('answered');
    expect(await codeOf(ask(opened, 'paying', 'three'))).toBe('quota_exceeded');
  });

  test('are counted in Redis where that is asked for', async (context) => {
    if (redises.length === 0) return context.skip();
    const opened = await open(`${CACHE_IN('REDIS_0')}${LIMIT}limits_in: redis\n`);
    // Until it is connected, a limit cannot be checked.
    await expect.poll(() => codeOf(ask(opened, 'quick', 'one'))).toBe('answered');
    expect([await countersOf('quick'), await keysIn(0, 'openeaap:limit:{quick}:*')]).toEqual([0, [expect.stringContaining('requests')]]);
  });

  test('stay where they were counted when the file changes its mind, and the log says what helps', async (context) => {
    if (redises.length === 0) return context.skip();
    const opened = await open(CACHE_IN('REDIS_0') + LIMIT);
    const notes = (): readonly string[] => opened.logged.filter((line) => line.includes('restart'));
    await ask(opened, 'constant', 'one');
    await configure(`${CACHE_IN('REDIS_0')}${LIMIT}limits_in: redis\n`);
    await expect.poll(notes).toEqual([expect.stringContaining('limits_in')]);
    await ask(opened, 'constant', 'two');
    expect(await codeOf(ask(opened, 'constant', 'three'))).toBe('quota_exceeded');
    expect(await keysIn(0, 'openeaap:limit:{constant}:*')).toEqual([]);
  });
});

test('the answers’ Redis follows the file: a new one is used, the old one is let go', async (context) => {
  if (redises.length === 0) return context.skip();
  await Promise.all([0, 1].map((index) => inRedis(index, (client) => client.flushAll())));
  const opened = await open('');
  const isKeptIn = (index: number) => async (): Promise<boolean> => {
    await ask(opened, 'reader', 'a question');
    return (await keysIn(index, 'openeaap:msig:*')).length > 0;
  };
  await ask(opened, 'reader', 'a question');
  await expect.poll(() => connectionsTo(0)).toBe(0);
  await configure(CACHE_IN('REDIS_0'));
  await expect.poll(isKeptIn(0)).toBe(true);
  await expect.poll(() => ask(opened, 'reader', 'a question')).toMatchObject({ state: 'hit', level: 'l2' });
  await configure(CACHE_IN('REDIS_1'));
  await expect.poll(isKeptIn(1)).toBe(true);
  await expect.poll(() => connectionsTo(0)).toBe(0);
  await opened.gateway.close();
  await expect.poll(() => connectionsTo(1)).toBe(0);
});
