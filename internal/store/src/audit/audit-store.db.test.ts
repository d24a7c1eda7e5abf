import { Pool } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { JsonObject } from '@openeaap/kernel';
import { randomIds } from '@openeaap/kernel';
import { createMasker } from '@openeaap/security';
import type { TestDatabase } from '../testing/test-database.ts';
import { createTestDatabase } from '../testing/test-database.ts';
import { appendAudit } from './append-audit.ts';
import { listAuditHeads, saveAuditHead } from './audit-heads.ts';
import type { AuditRow } from './audit-row.ts';
import { ensureAuditPartitions } from './ensure-partitions.ts';
import { registerNode } from '../nodes/register-node.ts';
import { stopNode } from '../nodes/stop-nodes.ts';
import { listUnsealedTails } from './list-unsealed-tails.ts';
import { listAudit, walkAudit } from './read-audit.ts';

const masker = createMasker({ policyRules: [], builtin: true, hashKey: 'a key of the tests alone' });
let database: TestDatabase;
let db: Pool;
beforeAll(async () => {
  database = await createTestDatabase();
  db = new Pool({ connectionString: database.url, max: 4 });
  await ensureAuditPartitions(db);
});
afterAll(async () => {
  await db.end();
  await database.drop();
});

const row = (chain_id: string, chain_seq: number, tenant_id = 't', changes: JsonObject = {}): AuditRow => {
  const columns = { id: randomIds.newId(), run_id: null, decision: null, outcome: null, rule: null, step_no: null, sanitized_input: null, sanitized_output: null, tenant_id, trace_id: 'x', actor: 'user:alice', action_type: 'tool_call', phase: 'event', metadata: { n: chain_seq }, created_at: new Date().toISOString().replace('Z', '123Z'), chain_id, chain_seq, prev_hash: 'p', row_hash: `h${chain_seq}`, ...changes };
  return { chain_id, chain_seq, row_hash: columns.row_hash, json: masker.sanitizeJson(columns) };
};

describe('the stored audit', () => {
  test('names the tails that dead writers left unsigned, and no others', async () => {
    const [dead, living, signedOff] = [randomIds.newId(), randomIds.newId(), randomIds.newId()];
    for (const id of [dead, living, signedOff]) {
      await registerNode(db, { id, host: 'h', pid: 1, version: '0', roles: [] });
      await appendAudit(db, [row(id, 1, 'tails'), row(id, 2, 'tails')]);
    }
    await db.query(`UPDATE nodes SET heartbeat_at = now() - interval '1 min' WHERE id = ANY($1)`, [[dead, signedOff]]);
    await stopNode(db, signedOff);
    const tail = { chainId: dead, seq: 2, hash: 'h2' };
    expect(await listUnsealedTails(db, 15_000)).toEqual([tail]);
    expect((await listUnsealedTails(db, 0)).map((each) => each.chainId).toSorted()).toEqual([dead, living].toSorted());
    await saveAuditHead(db, { ...tail, signedAt: new Date().toISOString(), publicKey: 'k', signature: 's' });
    expect(await listUnsealedTails(db, 15_000)).toEqual([]);
  });

  test('gives back exactly what was written, to the microsecond', async () => {
    const written = row(randomIds.newId(), 1);
    await appendAudit(db, [written]);
    const [read] = await listAudit(db, { tenantId: 't', limit: 1 });
    expect(read).toEqual(JSON.parse(written.json));
  });

  test('is walked whole although rows share a number across the end of a page', async () => {
    const chain = randomIds.newId();
    const ids = Array.from({ length: 5 }, () => randomIds.newId());
    const rows = [1, 2, 2, 2, 3].map((seq, index) => row(chain, seq, 'forged', { id: ids[index] ?? '', created_at: new Date(Date.now() + index).toISOString().replace('Z', '000Z') }));
    await appendAudit(db, rows);
    for (const pageRows of [1, 2, 3, 4]) {
      const walked: string[] = [];
      for await (const each of walkAudit(db, { tenantId: 'forged' }, pageRows)) walked.push(each.id);
      expect(walked.toSorted()).toEqual(ids.toSorted());
    }
  });

  test('is listed newest first by tenant and in pages without a gap; walked in the order of the chains, beyond one page', async () => {
    const [a, b] = [randomIds.newId(), randomIds.newId()];
    const rows = Array.from({ length: 1_500 }, (_, n) => row(n % 2 === 0 ? a : b, Math.floor(n / 2) + 1, 'walked'));
    await appendAudit(db, rows);
    const walked: string[] = [];
    for await (const item of walkAudit(db, { tenantId: 'walked' })) walked.push(`${item.chain_id}/${item.chain_seq}`);
    expect(walked).toEqual([a, b].toSorted((x, y) => x.localeCompare(y)).flatMap((chain) => Array.from({ length: 750 }, (_, n) => `${chain}/${n + 1}`)));
    const seen = new Set<string>();
    let page = await listAudit(db, { tenantId: 'walked', limit: 400 });
    while (page.length > 0) {
      for (const item of page) seen.add(item.id);
      const last = page.at(-1);
      page = last === undefined ? [] : await listAudit(db, { tenantId: 'walked', limit: 400, before: { createdAt: last.created_at, chainId: last.chain_id, chainSeq: last.chain_seq } });
    }
    expect(seen.size).toBe(1_500);
  });

  test('a signed head is kept once and never changed', async () => {
    const head = { chainId: randomIds.newId(), seq: 7, hash: 'h', signedAt: '2026-01-02T03:04:05.678Z', publicKey: 'k', signature: 's' };
    await saveAuditHead(db, head);
    await saveAuditHead(db, { ...head, signature: 'forged' });
    expect((await listAuditHeads(db)).filter(({ chainId }) => chainId === head.chainId)).toEqual([head]);
    await expect(db.query('DELETE FROM audit_heads')).rejects.toMatchObject({ code: 'OEA02' });
  });

  test('partitions for this month and the next two are made once, whoever asks at once', async () => {
    await Promise.all(Array.from({ length: 4 }, () => ensureAuditPartitions(db)));
    const { rows } = await db.query<{ n: string }>(`SELECT count(*) AS n FROM pg_inherits WHERE inhparent = 'audit_logs'::regclass`);
    expect(rows).toEqual([{ n: '3' }]);
  });
});
