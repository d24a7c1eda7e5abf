import { afterEach, expect, test } from 'vitest';
import { runInProcess } from '../testing/run-in-process.ts';
import { sendJson, sendProblem, startScriptedServer } from '../testing/scripted-server.ts';
import type { Script, ScriptedServer } from '../testing/scripted-server.ts';

const LIMITS = { requests_per_minute: 60, tokens_per_minute: null, tokens_per_day: null, usd_per_day: null, usd_per_month: 50, usd_total: null };
const VIEW = {
  model_key_id: '018f0000-0000-7000-8000-000000000009', name: 'ci', prefix: 'oek_abcdefgh', status: 'active', owner: 'service:ci', models: null, sensitivity: 1, labels: [], priority: 0, limits: LIMITS,
  expires_at: null, created_by: 'root', created_at: '2026-11-24T08:00:00.000Z', updated_at: '2026-11-24T08:00:00.000Z', revoked_at: null, last_used_at: null,
};

let server: ScriptedServer | null = null;
afterEach(async () => {
  await server?.close();
  server = null;
});

async function serve(script: Script): Promise<readonly string[]> {
  server = await startScriptedServer(script);
  return ['--url', server.url, '--api-key', 'k'];
}

const sent = (): readonly (readonly [string, unknown])[] => (server?.received ?? []).map((one) => [`${one.method} ${one.path}`, one.body === '' ? null : JSON.parse(one.body)]);

test('create prints the key and nothing else to stdout, so that a script can take it', async () => {
  const to = await serve((_, response) => sendJson(response, 201, { ...VIEW, key: 'oek_secret' }));
  const argv = ['model-key', 'create', 'ci', '--service', 'ci', '--models', 'local-llm, qwen', '--labels', 'soc', '--sensitivity', '2', '--priority', '5', '--rpm', '60', '--tpm', '1000', '--tokens-per-day', '2000', '--usd-per-day', '0.5', '--usd-per-month', '50', '--usd-total', '100', '--expires-in-days', '90', ...to];
  expect(await runInProcess(argv)).toMatchObject({ exitCode: 0, stdout: 'oek_secret\n', stderr: expect.stringContaining('shown this once') });
  const limits = { requests_per_minute: 60, tokens_per_minute: 1_000, tokens_per_day: 2_000, usd_per_day: 0.5, usd_per_month: 50, usd_total: 100 };
  expect(sent()).toEqual([['POST /api/v1/model-keys', { name: 'ci', service: 'ci', models: ['local-llm', 'qwen'], labels: ['soc'], sensitivity: 2, priority: 5, limits, expires_in_s: 7_776_000 }]]);
});

test('create sends what was named and leaves the rest to the server', async () => {
  const to = await serve((_, response) => sendJson(response, 201, { ...VIEW, key: 'oek_secret' }));
  await runInProcess(['model-key', 'create', 'mine', '--json', ...to]);
  expect(sent()).toEqual([['POST /api/v1/model-keys', { name: 'mine' }]]);
});

test('list and show say what a key may do, and nothing that a terminal would obey', async () => {
  const to = await serve((request, response) => sendJson(response, 200, request.path.endsWith('/ci') ? VIEW : { items: [VIEW, { ...VIEW, name: 'odd\u001b[31m', models: ['a', 'b'], limits: { ...LIMITS, requests_per_minute: null, usd_per_month: null } }], next_cursor: null }));
  const { stdout } = await runInProcess(['model-key', 'list', '--revoked', '--owner', 'service:ci', ...to]);
  expect(stdout.split('\n').map((line) => line.split(/ {2,}/).slice(0, 6))).toEqual([
    ['KEY', 'STATUS', 'BEGINS WITH', 'OWNER', 'MODELS', 'LIMITS'],
    ['ci', 'active', 'oek_abcdefgh', 'service:ci', 'all', 'requests_per_minute 60, usd_per_month 50'],
    ['odd\\u001b[31m', 'active', 'oek_abcdefgh', 'service:ci', 'a, b', '-'],
    [''],
  ]);
  expect(Object.fromEntries(server?.received[0]?.query ?? [])).toMatchObject({ owner: 'service:ci', revoked: 'true' });
  expect((await runInProcess(['model-key', 'show', 'ci', ...to])).stdout).toContain('limits       requests_per_minute 60\n             usd_per_month 50\n');
});

test('update changes what is named; none lifts a limit, all opens all models', async () => {
  const to = await serve((_, response) => sendJson(response, 200, VIEW));
  expect((await runInProcess(['model-key', 'update', 'ci', '--models', 'all', '--rpm', 'none', '--name', 'ci-2', '--expires-at', 'none', ...to])).exitCode).toBe(0);
  expect(sent()).toEqual([['PATCH /api/v1/model-keys/ci', { name: 'ci-2', models: null, limits: { requests_per_minute: null }, expires_at: null }]]);
});

test('revoke says when it holds', async () => {
  const to = await serve((_, response) => sendJson(response, 200, { ...VIEW, status: 'revoked' }));
  expect(await runInProcess(['model-key', 'revoke', 'ci', ...to])).toMatchObject({ exitCode: 0, stdout: 'The key ci is revoked; all nodes refuse it within five seconds.\n' });
  expect(sent()).toEqual([['DELETE /api/v1/model-keys/ci', null]]);
});

test('what the server refuses is an error with its code', async () => {
  const to = await serve((_, response) => sendProblem(response, 409, 'conflict', 'There is, or was, a model key "ci".', { field: 'name' }));
  expect(await runInProcess(['model-key', 'create', 'ci', ...to])).toMatchObject({ exitCode: 5, stdout: '', stderr: expect.stringContaining('There is, or was') });
});

test('model-usage shows calls, tokens and money of each group', async () => {
  const row = { key: 'local', calls: 4, failed: 1, prompt_tokens: 10, cached_tokens: 4, completion_tokens: 2, reasoning_tokens: 1, cost_usd: 0.25, estimated_calls: 1, estimated_share: 0.25, latency_ms: 30 };
  const to = await serve((_, response) => sendJson(response, 200, { items: [row, { ...row, key: '' }] }));
  const { stdout } = await runInProcess(['model-usage', '--group-by', 'key', '--from', '2026-11-01T00:00:00Z', ...to]);
  expect(stdout.split('\n').slice(1, 3).map((line) => line.split(/ {2,}/))).toEqual([
    ['local', '4', '1', '10', '4', '2', '1', '0.25', '1', '30'],
    ['-', '4', '1', '10', '4', '2', '1', '0.25', '1', '30'],
  ]);
  expect([server?.received[0]?.path, Object.fromEntries(server?.received[0]?.query ?? [])]).toEqual(['/api/v1/model-usage', { from: '2026-11-01T00:00:00Z', group_by: 'key', limit: '100' }]);
});

test.each([
  [['model-key', 'create'], "'name'"],
  [['model-key', 'create', 'ci', '--rpm', '0'], '--rpm must be a whole number'],
  [['model-key', 'create', 'ci', '--usd-per-month', '-5'], '--usd-per-month must be an amount of dollars'],
  [['model-key', 'create', 'ci', '--usd-per-month', '9000001'], 'from 0.000001 to 9000000'],
  [['model-key', 'create', 'ci', '--models', 'a,,b'], '--models must be names'],
  [['model-key', 'create', 'ci', '--user', 'a', '--service', 'b'], 'cannot be used with'],
  [['model-key', 'create', 'ci', '--expires-at', 'x', '--expires-in-days', '1'], 'cannot be used with'],
  [['model-key', 'update', 'ci'], 'nothing to change'],
  [['model-key', 'show', '..'], 'not an id'],
  [['model-usage', '--group-by', 'colour'], 'Allowed choices'],
])('%j is a usage error and asks no server', async (argv, said) => {
  const to = await serve((_, response) => sendJson(response, 200, {}));
  expect(await runInProcess([...argv, ...to])).toMatchObject({ exitCode: 2, stdout: '', stderr: expect.stringContaining(said) });
  expect(server?.received).toEqual([]);
});
