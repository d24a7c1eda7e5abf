import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import type { AuditFact, JsonObject } from '@openeaap/kernel';
import { randomIds, systemClock } from '@openeaap/kernel';
import { createMasker } from '@openeaap/security';
import { describe, expect, test } from 'vitest';
import type { ChainedAuditRow } from './chain.ts';
import { chainRows, genesisHash } from './chain.ts';
import type { SignedHead } from './heads.ts';
import { signHead } from './heads.ts';
import { createToAuditRow } from './to-audit-row.ts';
import type { VerifiableRow } from './verify.ts';
import { verifyAudit } from './verify.ts';

const masker = createMasker({ policyRules: [], builtin: true, hashKey: 'a key of these tests' });
const toAuditRow = createToAuditRow({ masker: () => masker, clock: systemClock, ids: randomIds });
const { privateKey } = generateKeyPairSync('ed25519');
const trusted = createPublicKey(privateKey).export({ type: 'spki', format: 'pem' }).toString();

const fact = (n: number): AuditFact => ({
  tenantId: 't',
  runId: null,
  traceId: 'trace',
  actor: 'user:alice',
  action: 'tool_call',
  phase: 'outcome',
  decision: null,
  outcome: 'ok',
  rule: null,
  stepNo: n,
  metadata: { n, tool: 'firewall_block_ip' },
  input: { ip: '203.0.113.7', phone: '13800138000' },
  output: null,
});

const CHAIN = randomIds.newId();

function makeChain(length: number, chainId = CHAIN): ChainedAuditRow[] {
  const head = { chainId, seq: 0, hash: genesisHash(chainId) };
  return [...chainRows(head, Array.from({ length }, (_, n) => toAuditRow(fact(n))))];
}

/** As the database gives rows back: metadata is JSON again. */
async function* stored(rows: readonly ChainedAuditRow[]): AsyncGenerator<VerifiableRow> {
  for (const row of rows) yield { ...row, metadata: JSON.parse(row.metadata) as JsonObject };
}

const headOf = (row: ChainedAuditRow, key = privateKey) => signHead({ chainId: row.chain_id, seq: row.chain_seq, hash: row.row_hash }, new Date(), key);
const at = <T>(list: readonly T[], index: number): T => list.at(index) as T;
const trust = (heads: readonly SignedHead[], liveChains: readonly string[] = [], unsignedBefore = '2000-01-01T00:00:00Z') => ({ heads, key: trusted, liveChains: new Set(liveChains), unsignedBefore });
const verify = (rows: readonly ChainedAuditRow[], given = trust([headOf(at(makeChainOnce, -1))])) => verifyAudit(stored(rows), given);
const kinds = async (rows: readonly ChainedAuditRow[], given?: ReturnType<typeof trust>) => (await verify(rows, given)).problems.map((problem) => [problem.kind, problem.chainSeq]);

const makeChainOnce = makeChain(6);

describe('verifyAudit', () => {
  test('an untouched chain is whole, however many chains there are', async () => {
    const other = makeChain(3, randomIds.newId());
    const report = await verify([...makeChainOnce, ...other], trust([headOf(at(makeChainOnce, 3)), headOf(at(makeChainOnce, -1)), headOf(at(other, -1))]));
    expect(report).toEqual({ ok: true, chains: 2, rows: 9, problems: [] });
  });

  test.each(['actor', 'decision', 'outcome', 'sanitized_input', 'created_at', 'metadata', 'step_no', 'tenant_id', 'run_id'] as const)('a change of %s is found', async (column) => {
    const value = column === 'metadata' ? '{"n":99}' : column === 'step_no' ? 99 : column === 'run_id' ? randomIds.newId() : 'changed';
    const rows = makeChainOnce.map((row, index) => (index === 2 ? Object.assign({ ...row }, { [column]: value }) : row));
    expect(await kinds(rows)).toEqual([['changed', 3]]);
  });

  test('a removed row is found, in the middle and at the beginning', async () => {
    expect(await kinds(makeChainOnce.filter((_, index) => index !== 2))).toEqual([['removed', 4]]);
    expect(await kinds(makeChainOnce.slice(1))).toEqual([['removed', 2]]);
  });

  test('an inserted row is found, with a number of its own and with a stolen one', async () => {
    const [forged] = chainRows({ chainId: CHAIN, seq: 2, hash: at(makeChainOnce, 1).row_hash }, [toAuditRow(fact(99))]);
    expect(await kinds([...makeChainOnce.slice(0, 3), ...(forged === undefined ? [] : [forged]), ...makeChainOnce.slice(3)])).toEqual([
      ['forked', 3],
      ['inserted', 4],
    ]);
  });

  test('a cut tail is found by the signed head, and so is a whole chain that is gone', async () => {
    expect(await kinds(makeChainOnce.slice(0, 4))).toEqual([['truncated', 4]]);
    expect(await kinds([])).toEqual([['truncated', 6]]);
  });

  test('a chain that was rewritten as a whole is found by the signed head', async () => {
    expect(await kinds(makeChain(6))).toEqual([['changed', 6]]);
  });

  test('a row that was added behind the last signed one is found, and a whole forged chain', async () => {
    const [added] = chainRows({ chainId: CHAIN, seq: 6, hash: at(makeChainOnce, -1).row_hash }, [toAuditRow(fact(99))]);
    expect(await kinds([...makeChainOnce, ...(added === undefined ? [] : [added])])).toEqual([['inserted', 7]]);
    const forged = makeChain(2, randomIds.newId());
    expect(await kinds([...makeChainOnce, ...forged])).toEqual([
      ['inserted', 1],
      ['inserted', 2],
    ]);
  });

  test('the newest rows of a writer that lives may wait for their signature, for a while', async () => {
    const heads = [headOf(at(makeChainOnce, 3))];
    expect(await kinds(makeChainOnce, trust(heads, [CHAIN]))).toEqual([]);
    expect(await kinds(makeChainOnce, trust(heads, [CHAIN], '2999-01-01T00:00:00Z'))).toEqual([
      ['inserted', 5],
      ['inserted', 6],
    ]);
  });

  test('a head that another key signed, or that was changed, proves nothing', async () => {
    const stranger = headOf(at(makeChainOnce, -1), generateKeyPairSync('ed25519').privateKey);
    const changed = { ...headOf(at(makeChainOnce, -1)), seq: 5 };
    expect(await kinds(makeChainOnce, trust([stranger, changed, headOf(at(makeChainOnce, -1))]))).toEqual([
      ['bad_signature', 6],
      ['bad_signature', 5],
    ]);
  });

  test('R10: what is personal is masked in the row that is hashed', () => {
    expect(at(makeChainOnce, 0).sanitized_input).not.toMatch(/203\.0\.113\.7|13800138000/);
  });
});
