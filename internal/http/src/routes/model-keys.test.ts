import type { ModelKey } from '@openeaap/kernel';
import { NO_MODEL_LIMITS } from '@openeaap/kernel';
import { afterEach, describe, expect, it } from 'vitest';
import { createHttpApp } from '../app.ts';
import type { Caller, CreateModelKeyRequest, ModelKeyChange, ModelKeyItem, ModelUsageQuery, PlatformPort } from '../port.ts';
import { createFakePort, toCaller } from '../testing/fake-port.ts';

const KEY_ID = '01939c4e-7a30-7cc1-9d3b-5f0f1c3a2b21';
const AT = new Date('2026-11-24T08:00:00.000Z');

const stored: ModelKey = {
  tenantId: 'default', id: KEY_ID, name: 'ci', prefix: 'oek_abcdefgh', owner: 'service:ci', models: ['local'], sensitivity: 2, labels: ['soc'], labelsGranted: true, priority: 0,
  limits: { ...NO_MODEL_LIMITS, usdPerMonth: 50 }, expiresAt: null, createdBy: 'root', createdAt: AT, updatedAt: AT, revokedAt: null, lastUsedAt: AT, revision: 1,
};
const item: ModelKeyItem = { ...stored, status: 'active' };
const VIEW = {
  model_key_id: KEY_ID, name: 'ci', prefix: 'oek_abcdefgh', status: 'active', owner: 'service:ci', models: ['local'], sensitivity: 2, labels: ['soc'], priority: 0,
  limits: { requests_per_minute: null, tokens_per_minute: null, tokens_per_day: null, usd_per_day: null, usd_per_month: 50, usd_total: null },
  expires_at: null, created_by: 'root', created_at: AT.toISOString(), updated_at: AT.toISOString(), revoked_at: null, last_used_at: AT.toISOString(),
};

const KEYS: Readonly<Record<string, Caller>> = { all: toCaller('root', ['*']), alice: toCaller('alice', ['models:keys', 'usage:read']), reader: toCaller('alice', ['runs:read']) };
const apps: { close(): Promise<unknown> }[] = [];
afterEach(async () => {
  for (const app of apps.splice(0)) await app.close();
});

function createRecorder(over: Partial<PlatformPort> = {}) {
  const made: CreateModelKeyRequest[] = [];
  const changes: (readonly [string, ModelKeyChange])[] = [];
  const queries: ModelUsageQuery[] = [];
  const app = createHttpApp(
    createFakePort({
      authenticate: async (key) => KEYS[key] ?? null,
      createModelKey: async (_caller, request) => (made.push(request), { key: item, secret: 'oek_secret' }),
      updateModelKey: async (_caller, ref, change) => (changes.push([ref, change]), item),
      getModelKey: async () => item,
      revokeModelKey: async () => ({ ...item, status: 'revoked', revokedAt: AT }),
      listModelKeys: async () => ({ items: [item], nextCursor: null }),
      getModelUsage: async (_caller, query) => (queries.push(query), [{ key: 'local', calls: 4, failed: 1, promptTokens: 10, completionTokens: 2, cachedTokens: 4, reasoningTokens: 1, costUsdNanos: 200, estimated: 1, latencyMs: 10 }]),
      ...over,
    }),
    { version: '0.1.0' },
  );
  apps.push(app);
  const call = (method: 'GET' | 'POST' | 'PATCH' | 'DELETE', path: string, { key = 'alice', payload }: { readonly key?: string; readonly payload?: object } = {}) =>
    app.inject({ method, url: `/api/v1${path}`, headers: { authorization: `Bearer ${key}` }, ...(payload === undefined ? {} : { payload }) });
  return { call, made, changes, queries };
}

describe('POST /model-keys', () => {
  it('fills in what is left out, and shows the key this once', async () => {
    const { call, made } = createRecorder();
    const answer = await call('POST', '/model-keys', { payload: { name: 'ci' } });
    expect(answer.statusCode).toBe(201);
    expect(answer.headers).toMatchObject({ location: `/api/v1/model-keys/${KEY_ID}`, 'cache-control': 'no-store' });
    expect(answer.json()).toEqual({ ...VIEW, key: 'oek_secret' });
    expect(made).toEqual([{ name: 'ci', owner: 'alice', models: null, sensitivity: 1, labels: [], priority: 0, limits: NO_MODEL_LIMITS, expiry: null }]);
  });

  it('takes all that can be said', async () => {
    const { call, made } = createRecorder();
    const limits = { requests_per_minute: 60, tokens_per_minute: 1_000, tokens_per_day: 2_000, usd_per_day: 0.5, usd_per_month: 5, usd_total: 50 };
    await call('POST', '/model-keys', { key: 'all', payload: { name: 'ci', service: 'ci', models: ['local'], sensitivity: 3, labels: ['soc'], priority: -5, limits, expires_in_s: 60 } });
    await call('POST', '/model-keys', { key: 'all', payload: { name: 'ci', user_id: 'bob', expires_at: '2027-01-01T00:00:00Z' } });
    expect(made).toMatchObject([
      { owner: 'service:ci', models: ['local'], sensitivity: 3, labels: ['soc'], priority: -5, limits: { requestsPerMinute: 60, tokensPerMinute: 1_000, tokensPerDay: 2_000, usdPerDay: 0.5, usdPerMonth: 5, usdTotal: 50 }, expiry: { kind: 'after', delayMs: 60_000 } },
      { owner: 'bob', expiry: { kind: 'at', at: new Date('2027-01-01T00:00:00Z') } },
    ]);
  });

  it.each([
    [{ user_id: 'bob' }, 'user_id'],
    [{ service: 'ci' }, 'service'],
  ])('%j needs the scope act_for_others', async (more, field) => {
    const { call, made } = createRecorder();
    const answer = await call('POST', '/model-keys', { payload: { name: 'ci', ...more } });
    expect([answer.statusCode, answer.json(), made]).toMatchObject([403, { code: 'permission_denied', field, scope: 'act_for_others' }, []]);
  });

  it.each([
    [{}, 'name'],
    [{ name: 'a b' }, 'name'],
    [{ name: KEY_ID }, 'name'],
    [{ name: 'ci', user_id: 'alice', service: 'ci' }, 'service'],
    [{ name: 'ci', expires_at: '2027-01-01T00:00:00Z', expires_in_s: 1 }, 'expires_in_s'],
    [{ name: 'ci', expires_at: 'tomorrow' }, 'expires_at'],
    [{ name: 'ci', expires_in_s: 0 }, 'expires_in_s'],
    [{ name: 'ci', models: [] }, 'models'],
    [{ name: 'ci', models: [''] }, 'models[0]'],
    [{ name: 'ci', sensitivity: 4 }, 'sensitivity'],
    [{ name: 'ci', priority: 1.5 }, 'priority'],
    [{ name: 'ci', labels: ['a', 'a'] }, 'labels'],
    [{ name: 'ci', limits: { usd_per_month: -1 } }, 'limits.usd_per_month'],
    [{ name: 'ci', limits: { requests_per_minute: 0 } }, 'limits.requests_per_minute'],
    [{ name: 'ci', limits: { rpm: 1 } }, 'limits.rpm'],
    [{ name: 'ci', budget: 5 }, 'budget'],
  ])('%j is refused and names %s', async (payload, field) => {
    const { call, made } = createRecorder();
    const answer = await call('POST', '/model-keys', { key: 'all', payload });
    expect([answer.statusCode, answer.json(), made]).toMatchObject([400, { code: 'invalid_input', field }, []]);
  });
});

describe('a virtual key', () => {
  it('is never shown again', async () => {
    const { call } = createRecorder();
    for (const path of ['/model-keys/ci', `/model-keys/${KEY_ID}`]) expect((await call('GET', path)).json()).toEqual(VIEW);
    expect((await call('GET', '/model-keys?revoked=true')).json()).toEqual({ items: [VIEW], next_cursor: null });
  });

  it('is changed in what is named; null lifts a limit', async () => {
    const { call, changes } = createRecorder();
    await call('PATCH', '/model-keys/ci', { payload: { models: null, limits: { usd_per_month: null, tokens_per_day: 5 }, expires_at: null } });
    expect(changes).toEqual([['ci', { models: null, limits: { usdPerMonth: null, tokensPerDay: 5 }, expiresAt: null }]]);
    expect((await call('PATCH', '/model-keys/ci', { payload: {} })).json()).toMatchObject({ code: 'invalid_input', detail: 'There is nothing to change.' });
    expect((await call('PATCH', '/model-keys/ci', { payload: { user_id: 'bob' } })).statusCode).toBe(400);
  });

  it('is revoked', async () => {
    const { call } = createRecorder();
    const answer = await call('DELETE', '/model-keys/ci');
    expect([answer.statusCode, answer.json()]).toMatchObject([200, { status: 'revoked', revoked_at: AT.toISOString() }]);
  });

  it.each([
    ['GET', '/model-keys'],
    ['POST', '/model-keys'],
    ['GET', '/model-keys/ci'],
    ['PATCH', '/model-keys/ci'],
    ['DELETE', '/model-keys/ci'],
  ] as const)('%s %s needs models:keys', async (method, path) => {
    const { call } = createRecorder();
    expect((await call(method, path, { key: 'reader', ...(method === 'POST' || method === 'PATCH' ? { payload: {} } : {}) })).json()).toMatchObject({ status: 403, scope: 'models:keys' });
  });
});

describe('GET /model-usage', () => {
  it('says what was asked and what it cost, tiny sums too', async () => {
    const { call, queries } = createRecorder();
    const answer = await call('GET', '/model-usage?group_by=key&from=2026-11-01T00:00:00Z&limit=5');
    expect(answer.json()).toEqual({
      items: [{ key: 'local', calls: 4, failed: 1, prompt_tokens: 10, cached_tokens: 4, completion_tokens: 2, reasoning_tokens: 1, cost_usd: 2e-7, estimated_calls: 1, estimated_share: 0.25, latency_ms: 3 }],
    });
    await call('GET', '/model-usage');
    expect(queries).toEqual([{ groupBy: 'key', from: new Date('2026-11-01T00:00:00Z'), to: null, limit: 5 }, { groupBy: 'backend', from: null, to: null, limit: 100 }]);
    expect((await call('GET', '/model-usage?group_by=colour')).statusCode).toBe(400);
    expect((await call('GET', '/model-usage', { key: 'reader' })).json()).toMatchObject({ status: 403, scope: 'usage:read' });
  });
});
