import type { HashedColumns } from './chain.ts';
import { genesisHash, hashRow } from './chain.ts';
import type { SignedHead } from './heads.ts';
import { isHeadGenuine } from './heads.ts';

export type AuditProblemKind = 'changed' | 'removed' | 'inserted' | 'truncated' | 'forked' | 'bad_signature';

export interface AuditProblem {
  readonly kind: AuditProblemKind;
  readonly chainId: string;
  readonly chainSeq: number | null;
  readonly rowId: string | null;
  readonly detail: string;
}

export interface AuditReport {
  readonly ok: boolean;
  readonly chains: number;
  readonly rows: number;
  /** At most PROBLEM_LIMIT are listed. */
  readonly problems: readonly AuditProblem[];
}

export type VerifiableRow = HashedColumns & { readonly row_hash: string };

const PROBLEM_LIMIT = 1_000;

export interface TrustedAudit {
  readonly heads: readonly SignedHead[];
  /** SPKI PEM of the key of this installation. */
  readonly key: string;
  /** Chains whose writer lives: their newest rows may wait for a signature until `unsignedBefore`. */
  readonly liveChains: ReadonlySet<string>;
  /** RFC 3339: an unsigned row of a live chain that is older than this is one that its writer did not write. */
  readonly unsignedBefore: string;
}

/**
 * Walks every chain and says what is wrong with it: a changed row has another hash than it says; a
 * removed one leaves a gap; an inserted one does not fit its neighbours; a cut tail is behind what
 * was signed; a forged one with right hashes is beyond it. `rows` must come in the order of (chain_id, chain_seq). Heads signed by another key
 * prove nothing: whoever could change rows could sign them too.
 */
export async function verifyAudit(rows: AsyncIterable<VerifiableRow>, trusted: TrustedAudit): Promise<AuditReport> {
  const problems = new BoundedList<AuditProblem>(PROBLEM_LIMIT);
  const signed = groupHeads(trusted.heads, trusted.key, problems);
  const seen = new Set<string>();
  let count = 0;
  let tail: Tail | null = null;
  for await (const row of rows) {
    count += 1;
    if (tail === null || tail.chainId !== row.chain_id) {
      if (tail !== null) endChain(tail, signed, problems);
      tail = { chainId: row.chain_id, seq: 0, hash: genesisHash(row.chain_id) };
      seen.add(row.chain_id);
    }
    checkRow(row, tail, problems);
    if (row.chain_seq > (signed.get(row.chain_id)?.newest ?? 0) && !mayBeUnsigned(row, trusted)) problems.push(forged(row));
    checkHead(row, signed, problems);
    tail = { chainId: row.chain_id, seq: row.chain_seq, hash: row.row_hash };
  }
  if (tail !== null) endChain(tail, signed, problems);
  for (const [chainId, chain] of signed) {
    if (!seen.has(chainId)) problems.push({ kind: 'truncated', chainId, chainSeq: chain.newest, rowId: null, detail: `The whole chain is gone; ${chain.newest} rows were signed.` });
  }
  return { ok: problems.items.length === 0, chains: seen.size, rows: count, problems: problems.items };
}

const mayBeUnsigned = (row: VerifiableRow, trusted: TrustedAudit): boolean => trusted.liveChains.has(row.chain_id) && row.created_at >= trusted.unsignedBefore;

const forged = (row: VerifiableRow): AuditProblem => ({
  kind: 'inserted',
  chainId: row.chain_id,
  chainSeq: row.chain_seq,
  rowId: row.id,
  detail: 'The row comes after the last one that its writer signed.',
});

/** With another signing key every row is a problem: the first ones say enough. */
class BoundedList<T> {
  readonly items: T[] = [];
  readonly #limit: number;

  constructor(limit: number) {
    this.#limit = limit;
  }

  push(item: T): void {
    if (this.items.length < this.#limit) this.items.push(item);
  }
}

interface Tail {
  readonly chainId: string;
  readonly seq: number;
  readonly hash: string;
}

interface SignedChain {
  readonly bySeq: Map<number, SignedHead>;
  newest: number;
}

function groupHeads(heads: readonly SignedHead[], trustedKey: string, problems: BoundedList<AuditProblem>): Map<string, SignedChain> {
  const chains = new Map<string, SignedChain>();
  for (const head of heads) {
    if (head.publicKey.trim() !== trustedKey.trim() || !isHeadGenuine(head)) {
      problems.push({ kind: 'bad_signature', chainId: head.chainId, chainSeq: head.seq, rowId: null, detail: 'The signature of this head is not by the key of this installation.' });
      continue;
    }
    const chain = chains.get(head.chainId) ?? { bySeq: new Map(), newest: 0 };
    chain.bySeq.set(head.seq, head);
    chain.newest = Math.max(chain.newest, head.seq);
    chains.set(head.chainId, chain);
  }
  return chains;
}

function checkRow(row: VerifiableRow, tail: Tail, problems: BoundedList<AuditProblem>): void {
  const at = { chainId: row.chain_id, chainSeq: row.chain_seq, rowId: row.id };
  if (row.chain_seq === tail.seq) {
    problems.push({ ...at, kind: 'forked', detail: `There are two rows with number ${row.chain_seq}.` });
  } else if (row.chain_seq > tail.seq + 1) {
    const missing = row.chain_seq - tail.seq - 1;
    problems.push({ ...at, kind: 'removed', detail: `${missing} row(s) before this one are missing (${tail.seq + 1} to ${row.chain_seq - 1}).` });
  } else if (row.prev_hash !== tail.hash) {
    problems.push({ ...at, kind: 'inserted', detail: 'The row does not link to the one before it.' });
  }
  if (hashRow(row) !== row.row_hash) problems.push({ ...at, kind: 'changed', detail: 'The content of the row is not what was written.' });
}

/** A rewritten chain is consistent in itself; only the signed heads show it. */
function checkHead(row: VerifiableRow, signed: ReadonlyMap<string, SignedChain>, problems: BoundedList<AuditProblem>): void {
  const head = signed.get(row.chain_id)?.bySeq.get(row.chain_seq);
  if (head !== undefined && head.hash !== row.row_hash) {
    problems.push({ kind: 'changed', chainId: row.chain_id, chainSeq: row.chain_seq, rowId: row.id, detail: 'The row is not the one that was signed: the chain was rewritten.' });
  }
}

function endChain(tail: Tail, signed: ReadonlyMap<string, SignedChain>, problems: BoundedList<AuditProblem>): void {
  const newest = signed.get(tail.chainId)?.newest ?? 0;
  if (newest > tail.seq) {
    problems.push({ kind: 'truncated', chainId: tail.chainId, chainSeq: tail.seq, rowId: null, detail: `The chain ends at ${tail.seq}, but ${newest} rows were signed.` });
  }
}
