import { randomUUID } from 'node:crypto';
import { genesisHash, hashRow } from '@openeaap/audit';
import type { HashedColumns } from '@openeaap/audit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ApiClient } from './harness/api-client.ts';
import { createCleanup } from './harness/cleanup.ts';
import type { DataFolder } from './harness/data-folder.ts';
import { createDataFolder } from './harness/data-folder.ts';
import { at, listAt, textAt } from './harness/json.ts';
import type { ModelServer } from './harness/model-server.ts';
import { answer, calls, failWith, startModelServer } from './harness/model-server.ts';
import type { ProductServer } from './harness/product-server.ts';
import { startProductServer } from './harness/product-server.ts';
import type { Platform } from './harness/start-platform.ts';
import { startPlatform } from './harness/start-platform.ts';

/** What nobody may find in the audit or in the log, whatever way it came in. */
const SECRETS = { phone: '13812345678', ip: '45.63.9.77', awsKey: 'AKIAIOSFODNN7EXAMPLE', email: 'zhang.wei@corp-example.com', idCard: '11010519491231002X', password: 'Tr0ub4dor-and-3' } as const;
const SENSITIVE = Object.values(SECRETS);
const STORY = `账号 ${SECRETS.email}（手机 ${SECRETS.phone}，身份证 ${SECRETS.idCard}）从 ${SECRETS.ip} 登录，AK ${SECRETS.awsKey}，password=${SECRETS.password}`;

const cleanup = createCleanup();
let model: ModelServer;
let product: ProductServer;
let folder: DataFolder;
let platform: Platform;
let api: ApiClient;

const start = async (): Promise<void> => {
  platform = await startPlatform({ folder, env: { ...model.env, ...product.env, LOG_LEVEL: 'trace' } });
  cleanup.add(platform.kill);
  ({ api } = platform);
};

beforeAll(async () => {
  model = await startModelServer();
  cleanup.add(model.close);
  product = await startProductServer();
  cleanup.add(product.close);
  folder = await createDataFolder();
  cleanup.add(folder.remove);
  await start();
  await api.publishAgent('analyst', { tools: ['check_ip_reputation', 'cmdb_lookup', 'firewall_block_ip'], fallback_text: 'no model' });
});
afterAll(() => cleanup.run());

const auditText = async (): Promise<string> => JSON.stringify(await folder.query('SELECT to_jsonb(a)::text AS row FROM audit_logs a'));
const verify = async (): Promise<unknown> => (await api.post('/audit/verify')).body;

describe('what the audit and the log say', () => {
  it('holds no PII, whichever way it came: input, model, tools, edits, comments, feedback, errors', async () => {
    model.script('pii', calls(`I see ${SECRETS.phone}`, { name: 'check_ip_reputation', args: { ip: SECRETS.ip } }, { name: 'firewall_block_ip', args: { ip: SECRETS.ip, reason: STORY } }), answer(`conclusion: ${STORY}`));
    const runId = textAt((await api.post('/agents/analyst/runs', { input: { alert: `[pii] ${STORY}`, password: SECRETS.password }, user_id: 'admin', idempotency_key: SECRETS.phone })).body, 'run_id');
    const approvalId = await api.pendingApproval(runId);
    await api.decide(approvalId, { verdict: 'approve', comment: STORY });
    expect(await api.ended(runId)).toMatchObject({ status: 'completed' });
    await api.post(`/runs/${runId}/feedback`, { score: -1, correction: STORY, category: 'privacy' });

    model.script('pii-fail', failWith(400, { 'x-echo': SECRETS.phone }));
    await api.ended(await api.startRun('analyst', `[pii-fail] ${STORY}`));
    product.behave('cmdb', SECRETS.ip, { kind: 'text', text: JSON.stringify({ owner: 7, contact: STORY }) });
    model.script('pii-tool', calls('look', { name: 'cmdb_lookup', args: { asset: SECRETS.ip } }, { name: 'cmdb_lookup', args: { asset: `mail ${SECRETS.email}` } }), answer('x'));
    await api.ended(await api.startRun('analyst', `[pii-tool] ${STORY}`));
    await api.post('/agents/analyst/runs', { input: { text: STORY }, user_id: SECRETS.phone });
    await api.post(`/runs/${runId}/cancel`, { reason: STORY });
    const waiting = textAt((await api.post('/agents/analyst/runs', { input: `[pii-cancel] ${STORY}` })).body, 'run_id');
    await api.ended(waiting);

    const audit = await auditText();
    expect(audit.length).toBeGreaterThan(1_000);
    for (const secret of SENSITIVE) expect(audit.includes(secret), `"${secret}" is in the audit`).toBe(false);
    expect(leaks([...SENSITIVE, api.apiKey, String(model.env['OPENAI_API_KEY']), String(product.env['THREAT_INTEL_KEY'])])).toEqual([]);
  });

  it('holds no PII of a URL, of the name of a field, or of what a refusal repeats', async () => {
    const before = platform.stderr().length;
    await api.get(`/runs?user_id=${encodeURIComponent(SECRETS.email)}`);
    await api.get(`/runs/${SECRETS.phone}`);
    await api.post(`/triggers/${SECRETS.phone}`, { id: 1 });
    await api.post(`/agents/${SECRETS.phone}/runs`, { input: 'x' });
    await api.post('/agents/analyst/runs', { input: 'x', [`mail ${SECRETS.email}`]: 1 });
    await api.post('/agents', { name: 'other', version: '1.0.0', configuration: { tools: [SECRETS.email] } });
    await api.raw('/api/v1/agents/analyst/runs', { method: 'POST', headers: { authorization: `Bearer ${api.apiKey}`, 'content-type': 'application/json' }, body: `{"input": ${SECRETS.phone} ${SECRETS.email}` });
    expect(leaks([...SENSITIVE, encodeURIComponent(SECRETS.email)], before)).toEqual([]);
  });

  it('stores an input only after the policy has masked it, and the model never sees a redacted key', async () => {
    const runId = await api.startRun('analyst', `[masked] ${STORY}`);
    const run = JSON.stringify(await api.ended(runId));
    expect(run).not.toContain(SECRETS.phone);
    expect(run).not.toContain(SECRETS.awsKey);
    expect(run, 'an address is what the run is about').toContain(SECRETS.ip);
    const sent = JSON.stringify(model.requests('masked'));
    expect(sent).not.toContain(SECRETS.awsKey);
  });

  it('has an intent and an outcome for every think and act, and one row for every decision and approval', async () => {
    model.script('rows', calls('block', { name: 'firewall_block_ip', args: { ip: '45.63.1.1', reason: 'x' } }), answer('done'));
    const runId = await api.startRun('analyst', '[rows] x');
    await api.decide(await api.pendingApproval(runId), { verdict: 'approve' });
    const run = await api.ended(runId);
    const rows = listAt((await api.get(`/audit?run_id=${runId}&limit=200`)).body, 'items');
    const of = (action: string, phase: string): readonly unknown[] => rows.filter((row) => at(row, 'action_type') === action && at(row, 'phase') === phase);
    expect(of('llm_invoke', 'intent')).toHaveLength(2);
    expect(of('llm_invoke', 'outcome')).toHaveLength(2);
    expect(of('tool_call', 'intent').map((row) => at(row, 'decision'))).toContain('require_approval');
    expect(of('tool_call', 'outcome')).toMatchObject([{ outcome: 'ok' }]);
    expect(rows.filter((row) => at(row, 'action_type') === 'approval_grant')).toMatchObject([{ actor: 'user:admin' }]);
    expect(new Set(rows.map((row) => at(row, 'trace_id')))).toEqual(new Set([textAt(run, 'trace_id')]));
    const exported = await api.get('/audit/export');
    expect(String(exported.body).split('\n').filter((line) => line.includes(runId))).toHaveLength(rows.length);
  });
});

describe('the audit is append-only', () => {
  // So that there is a signed head to protect.
  beforeAll(async () => void (await verify()));

  it.each([
    ['UPDATE', "UPDATE audit_logs SET outcome = 'ok'"],
    ['DELETE', 'DELETE FROM audit_logs'],
    ['TRUNCATE', 'TRUNCATE audit_logs'],
    ['UPDATE of a head', 'UPDATE audit_heads SET chain_seq = 1'],
    ['DELETE of a head', 'DELETE FROM audit_heads'],
    ['TRUNCATE of the heads', 'TRUNCATE audit_heads'],
  ])('refuses %s, even to the owner of the database', async (_what, statement) => {
    await expect(folder.query(statement)).rejects.toThrow(/append-only/);
  });

  it('refuses the same on each partition', async () => {
    const partitions = await folder.query("SELECT inhrelid::regclass::text AS name FROM pg_inherits WHERE inhparent = 'audit_logs'::regclass");
    expect(partitions.length).toBeGreaterThan(0);
    const [used] = await folder.query('SELECT tableoid::regclass::text AS name FROM audit_logs LIMIT 1');
    for (const { name } of partitions) await expect(folder.query(`TRUNCATE ${String(name)}`)).rejects.toThrow(/append-only/);
    await expect(folder.query(`DELETE FROM ${String(used?.['name'])}`)).rejects.toThrow(/append-only/);
  });
});

/** As a superuser who has switched the guards off. */
const tamper = (statement: string): Promise<unknown> => folder.query(`SET session_replication_role = replica; ${statement}`);

describe('audit verify', () => {
  let chain: { readonly id: string; readonly length: number };

  beforeAll(async () => {
    await verify();
    // The chain of a writer that has stopped cleanly: it is complete and its last head is signed.
    const [longest] = await folder.query('SELECT chain_id, count(*)::int AS length FROM audit_logs GROUP BY 1 ORDER BY 2 DESC LIMIT 1');
    chain = { id: String(longest?.['chain_id']), length: Number(longest?.['length']) };
    await platform.stop();
    await start();
    await folder.query('CREATE TABLE audit_copy AS SELECT * FROM audit_logs');
  });

  const problemsAfter = async (statement: string): Promise<readonly unknown[]> => {
    await tamper(statement);
    try {
      const report = await verify();
      expect(report).toMatchObject({ ok: false });
      return listAt(report, 'problems').map((problem) => at(problem, 'kind'));
    } finally {
      await tamper(`DELETE FROM audit_logs WHERE chain_id = '${chain.id}' OR NOT EXISTS (SELECT 1 FROM audit_copy c WHERE c.chain_id = audit_logs.chain_id); INSERT INTO audit_logs SELECT * FROM audit_copy WHERE chain_id = '${chain.id}'`);
      expect(await verify(), 'put back as it was').toMatchObject({ ok: true });
    }
  };

  it.each([
    ['the outcome', "outcome = 'forged'"],
    ['the text', "sanitized_output = 'nothing happened'"],
    ['the actor', "actor = 'user:somebody'"],
    ['the time', "created_at = created_at + interval '1 microsecond'"],
    ['the metadata', `metadata = metadata || '{"x": 1}'`],
    ['its own hash', `row_hash = repeat('0', 64)`],
  ])('finds a row with %s changed', async (_what, change) => {
    expect(await problemsAfter(`UPDATE audit_logs SET ${change} WHERE chain_id = '${chain.id}' AND chain_seq = 5`)).toContain('changed');
  });

  it('finds a row that was removed from the middle', async () => {
    expect(await problemsAfter(`DELETE FROM audit_logs WHERE chain_id = '${chain.id}' AND chain_seq = 5`)).toContain('removed');
  });

  it('finds the first rows removed', async () => {
    expect(await problemsAfter(`DELETE FROM audit_logs WHERE chain_id = '${chain.id}' AND chain_seq <= 3`)).toContain('removed');
  });

  it('finds a tail that was cut off', async () => {
    expect(await problemsAfter(`DELETE FROM audit_logs WHERE chain_id = '${chain.id}' AND chain_seq > ${chain.length - 2}`)).toContain('truncated');
  });

  it('finds a whole chain that is gone', async () => {
    expect(await problemsAfter(`DELETE FROM audit_logs WHERE chain_id = '${chain.id}'`)).toContain('truncated');
  });

  it('finds a row that was put between two others', async () => {
    const kinds = await problemsAfter(`INSERT INTO audit_logs SELECT * FROM jsonb_populate_recordset(NULL::audit_logs, (SELECT jsonb_agg(to_jsonb(a) || jsonb_build_object('id', gen_random_uuid(), 'created_at', a.created_at + interval '1 second')) FROM audit_logs a WHERE chain_id = '${chain.id}' AND chain_seq = 5))`);
    expect(kinds.some((kind) => kind === 'inserted' || kind === 'forked')).toBe(true);
  });

  it('finds a forged row that was appended, correctly linked, to a chain whose writer has stopped', async () => {
    const [last] = await folder.query(`SELECT to_jsonb(a) || jsonb_build_object('created_at', to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')) AS row FROM audit_logs a WHERE chain_id = '${chain.id}' ORDER BY chain_seq DESC LIMIT 1`);
    const before = last?.['row'] as HashedColumns & { readonly row_hash: string };
    expect(hashRow(before), 'the test hashes as the platform does').toBe(before.row_hash);
    expect(await problemsOfForged({ ...before, id: randomUUID(), actor: 'user:forged', chain_seq: before.chain_seq + 1, prev_hash: before.row_hash })).not.toEqual([]);
  });

  it('finds a whole forged chain, consistent in itself', async () => {
    const [first] = await folder.query(`SELECT to_jsonb(a) || jsonb_build_object('created_at', to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')) AS row FROM audit_logs a WHERE chain_id = '${chain.id}' ORDER BY chain_seq LIMIT 1`);
    const chainId = randomUUID();
    expect(await problemsOfForged({ ...(first?.['row'] as HashedColumns), id: randomUUID(), actor: 'user:forged', chain_id: chainId, chain_seq: 1, prev_hash: genesisHash(chainId) })).not.toEqual([]);
  });

  async function problemsOfForged(row: HashedColumns): Promise<readonly unknown[]> {
    const forged = JSON.stringify({ ...row, row_hash: hashRow(row) }).replaceAll("'", "''");
    return problemsAfter(`INSERT INTO audit_logs SELECT * FROM jsonb_populate_record(NULL::audit_logs, '${forged}')`);
  }
});

/** Lines of the log, from a place on, that hold what they must not. */
function leaks(secrets: readonly string[], from = 0): readonly string[] {
  return platform.stderr().slice(from).split('\n').filter((line) => secrets.some((secret) => line.includes(secret)));
}
