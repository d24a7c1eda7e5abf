import { createHash, randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ApiClient, Reply } from '../e2e/harness/api-client.ts';
import { collect } from '../e2e/harness/api-client.ts';
import { createCleanup } from '../e2e/harness/cleanup.ts';
import { at, textAt } from '../e2e/harness/json.ts';
import { query } from './check-database.ts';
import type { DurablePostgres } from './durable-postgres.ts';
import { startDurablePostgres } from './durable-postgres.ts';
import { AGENT, AGENT_CONFIGURATION, createInstallation } from './installation.ts';
import type { NodeFleet } from './node-fleet.ts';
import { startNodeFleet } from './node-fleet.ts';
import { DONE, startScriptedModel } from './scripted-model.ts';
import { startSideEffectSink } from './side-effect-sink.ts';

const AT_ONCE = 100;
const RUNS = `/agents/${AGENT}/runs`;

const cleanup = createCleanup();
let postgres: DurablePostgres;
let fleet: NodeFleet;

beforeAll(async () => {
  const model = await startScriptedModel(() => 20);
  cleanup.add(model.close);
  const sink = await startSideEffectSink();
  cleanup.add(sink.close);
  postgres = await startDurablePostgres(process.env['OPENEAAP_TEST_PG_BIN'] || undefined);
  cleanup.add(postgres.close);
  const installation = await createInstallation();
  cleanup.add(installation.remove);
  fleet = await startNodeFleet(2, { args: installation.args, env: { ...installation.env, ...model.env, ...sink.env, DATABASE_URL: postgres.url } });
  cleanup.add(fleet.close);
  await api(0).publishAgent(AGENT, AGENT_CONFIGURATION);
});
afterAll(() => cleanup.run());

/** Requests alternate between the two nodes. */
function api(no: number): ApiClient {
  const found = fleet.up()[no % 2]?.api;
  if (found === undefined) throw new Error(`node ${no % 2} is not up`);
  return found;
}

const sendMany = (send: (client: ApiClient, no: number) => Promise<Reply>): Promise<readonly Reply[]> => Promise.all(Array.from({ length: AT_ONCE }, (_none, no) => send(api(no), no)));

/** What does not change while the run goes on. */
const identity = ({ body }: Reply): string => JSON.stringify(['run_id', 'trace_id', 'agent_id', 'agent_version', 'created_at'].map((name) => at(body, name)));

const storedRuns = (key: string, tenant = 'default'): Promise<readonly { readonly id: string }[]> => query(postgres.url, 'SELECT id FROM runs WHERE tenant_id = $1 AND idempotency_key = $2', [tenant, key]);

async function grant(tenant: string, userId: string, scopes: readonly string[]): Promise<ApiClient> {
  const key = `oea_${randomUUID().replaceAll('-', '')}`;
  await query(postgres.url, 'INSERT INTO api_keys (tenant_id, id, name, key_hash, user_id, scopes) VALUES ($1, $2, $3, $4, $5, $6)', [tenant, randomUUID(), 'test', createHash('sha256').update(key).digest('hex'), userId, scopes]);
  return api(0).withKey(key);
}

describe('a hundred equal requests at once to two nodes', () => {
  it.each([
    ['by the header', (client: ApiClient) => client.post(RUNS, { input: 'think' }, { 'idempotency-key': 'race-header' }), 'race-header'],
    ['by the field of the body', (client: ApiClient) => client.post(RUNS, { input: 'think', idempotency_key: 'race-body' }), 'race-body'],
    ['by either, in turn', (client: ApiClient, no: number) => (no % 3 === 0 ? client.post(RUNS, { input: 'think' }, { 'idempotency-key': 'race-both' }) : client.post(RUNS, { input: 'think', idempotency_key: 'race-both' })), 'race-both'],
  ])('are one run with one answer, %s', async (_how, send, key) => {
    const replies = await sendMany(send);
    expect(replies.filter(({ status }) => status === 202), 'one was the first').toHaveLength(1);
    const replayed = replies.filter(({ status }) => status === 200);
    expect(replayed, 'all others were told so').toHaveLength(AT_ONCE - 1);
    for (const { headers, body } of replayed) expect([headers.get('idempotency-replayed'), at(body, 'replayed')]).toEqual(['true', true]);
    expect(new Set(replies.map(identity)).size).toBe(1);
    expect(await storedRuns(key)).toEqual([{ id: at(replies[0]?.body, 'run_id') }]);
    const run = await api(1).ended(textAt(replies[0]?.body, 'run_id'));
    expect(run).toMatchObject({ status: 'completed', output: DONE });
  });

  it('with two different bodies: the first body wins, the other one is a 409 that names the field', async () => {
    const bodies = ['think', 'add 1'];
    const replies = await sendMany((client, no) => client.post(RUNS, { input: bodies[Math.floor(no / 2) % 2], idempotency_key: 'race-mismatch' }));
    const refused = replies.filter(({ status }) => status === 409);
    const taken = replies.filter(({ status }) => status === 200 || status === 202);
    expect([taken.length, refused.length]).toEqual([AT_ONCE / 2, AT_ONCE / 2]);
    expect(taken.filter(({ status }) => status === 202)).toHaveLength(1);
    expect(new Set(taken.map(identity)).size).toBe(1);
    for (const { headers, body } of refused) {
      expect(headers.get('content-type')).toContain('application/problem+json');
      expect(body).toMatchObject({ status: 409, code: 'idempotency_mismatch', field: 'idempotency_key' });
    }
    expect(await storedRuns('race-mismatch')).toHaveLength(1);
  });
});

describe('one key', () => {
  it('in the header and another one in the body is refused by the name of the field', async () => {
    const { status, body } = await api(0).post(RUNS, { input: 'think', idempotency_key: 'one' }, { 'idempotency-key': 'other' });
    expect(status).toBe(400);
    expect(body).toMatchObject({ code: 'invalid_input', field: 'idempotency_key' });
    expect(await storedRuns('one')).toEqual([]);
  });

  it('of another user is another request: the key is the tenant’s, and who asks is part of what is asked', async () => {
    const first = await api(0).post(RUNS, { input: 'think', idempotency_key: 'users' });
    expect(first.status).toBe(202);
    const other = await grant('default', 'user-123', ['runs:write', 'runs:read']);
    const reply = await other.post(RUNS, { input: 'think', idempotency_key: 'users' });
    expect(reply.status).toBe(409);
    expect(reply.body).toMatchObject({ code: 'idempotency_mismatch', field: 'idempotency_key' });
    expect(await storedRuns('users')).toHaveLength(1);
  });

  it('for a user is the same request, whether the user sends it or somebody who may act for the user', async () => {
    const user = await grant('default', 'user-123', ['runs:write', 'runs:read']);
    const own = await user.post(RUNS, { input: 'think', idempotency_key: 'acting' });
    const acting = await api(1).post(RUNS, { input: 'think', user_id: 'user-123', idempotency_key: 'acting' });
    expect([own.status, acting.status]).toEqual([202, 200]);
    expect(identity(acting)).toBe(identity(own));
  });

  it('of another tenant is another run', async () => {
    const first = await api(0).post(RUNS, { input: 'think', idempotency_key: 'tenants' });
    const elsewhere = await grant('other', 'admin', ['*']);
    await elsewhere.publishAgent(AGENT, AGENT_CONFIGURATION);
    const second = await elsewhere.post(RUNS, { input: 'another request', idempotency_key: 'tenants' });
    expect([first.status, second.status]).toEqual([202, 202]);
    expect(at(second.body, 'run_id')).not.toBe(at(first.body, 'run_id'));
    expect([await storedRuns('tenants'), await storedRuns('tenants', 'other')].map(({ length }) => length)).toEqual([1, 1]);
  });

  it('with `stream: true` follows the run that it began, from whichever node', async () => {
    const first = await api(0).post(RUNS, { input: 'add 1; add 2; add 3', idempotency_key: 'streamed' });
    const streams = await Promise.all(
      Array.from({ length: 10 }, (_none, no) => collect(api(no).stream(RUNS, { method: 'POST', body: { input: 'add 1; add 2; add 3', stream: true }, headers: { 'idempotency-key': 'streamed' } }))),
    );
    const stored = await api(1).events(textAt(first.body, 'run_id'));
    expect(stored.at(-1)).toMatchObject({ type: 'run_completed', data: { output: DONE } });
    for (const stream of streams) expect(stream.filter(({ id }) => id !== null)).toEqual(stored);
    expect(await storedRuns('streamed')).toEqual([{ id: at(first.body, 'run_id') }]);
  });

  it('is remembered after the run has ended, and after every node was killed', async () => {
    const body = { input: 'read 45.2.9.9', idempotency_key: 'remembered' };
    const first = await api(0).post(RUNS, body);
    await api(1).ended(textAt(first.body, 'run_id'));
    const ended = await api(1).post(RUNS, body);
    expect(ended).toMatchObject({ status: 200, body: { status: 'completed', replayed: true } });
    for (const slot of fleet.upSlots()) await fleet.kill(slot, 0);
    await fleet.allUp();
    const replies = await sendMany((client) => client.post(RUNS, body));
    expect(new Set(replies.map(({ status }) => status))).toEqual(new Set([200]));
    expect(new Set([first, ended, ...replies].map(identity)).size).toBe(1);
    const stream = await collect(api(0).stream(RUNS, { method: 'POST', body: { ...body, stream: true } }));
    expect(stream.at(-1)).toMatchObject({ type: 'run_completed' });
    expect(stream.map(({ id }) => id)).toEqual(stream.map((_event, index) => index + 1));
    const mismatch = await api(0).post(RUNS, { ...body, input: 'something else' });
    expect(mismatch).toMatchObject({ status: 409, body: { field: 'idempotency_key' } });
  });
});
