import type { Pool } from 'pg';
import type { AuditFact, Clock, CommitResult, RunCommit } from '@openeaap/kernel';
import { PlatformError } from '@openeaap/kernel';
import type { AuditRow, ChainHead, ChainedAuditRow, UnchainedAuditRow } from './audit/audit-row.ts';
import { LOCK_CHAIN, READ_CHAIN_HEAD } from './audit/read-chain-head.ts';
import type { Queryable } from './database.ts';
import type { Statement } from './database.ts';
import { REFUSED, run, sqlState, toStoreError } from './database.ts';
import type { CommittedRow } from './runs/commit-runs.ts';
import { readAnswers, toCommitStatement } from './runs/commit-runs.ts';
import type { HeldConnection } from './held-connection.ts';
import { createHeldConnection } from './held-connection.ts';
import type { TypeOids } from './runs/read-commit-types.ts';
import { readCommitTypes } from './runs/read-commit-types.ts';
import { READ_FENCE } from './runs/read-fence.ts';

/**
 * The one way in which this process writes what is audited.
 *
 * Invariants:
 *  L1 The database does one statement or transaction of the lane after the other. So the audit chain of this writer has
 *     one tail and cannot fork, and whatever waits meanwhile is written together by the next statement:
 *     alone when idle (no delay), in groups under load (few transactions). When much waits, a group is sent behind the one
 *     that is under way, over the same connection, so that the database works while runs go on here. It is chained to what
 *     that one will have written, and fails with it.
 *  L2 A refused fence of one run never harms the commit of another: the group is sent again one by one, and what was
 *     sent behind it is sent again.
 *  L3 A commit whose answer was lost is sent again until the database answers. Its `commitNo` tells
 *     whether it had been written; it is never written twice.
 *  L4 The chain's head in memory moves only after the database has said yes; after any doubt it is read again.
 *  L5 Nobody waits without a limit: what a person sent (withAudit) is refused when it has waited for
 *     `patienceMs` and was not begun, and everything is when `queueLimit` entries wait. The runs of a node
 *     wait by L3, and there are never more of them than it drives at once.
 */
export interface CommitLane {
  /** Never rejects for an unreachable database (L3) until the lane is closed; rejects with `internal` for what the database will never take. */
  readonly commitRun: (commit: RunCommit) => Promise<CommitResult>;
  /**
   * One transaction that also writes audit rows: `attempt` gets them chained and must write them,
   * or return null, which undoes all that it did. Errors: `unavailable` when the database could not be
   * asked in time and nothing was written, or when it is not known whether it was.
   */
  readonly withAudit: <T>(facts: readonly AuditFact[], attempt: AuditedAttempt<T>) => Promise<T | null>;
  readonly head: () => ChainHead;
  /** Refuses new work and resolves when what was accepted has been written. */
  readonly close: () => Promise<void>;
}

export type AuditedAttempt<T> = (db: Queryable, rows: readonly AuditRow[]) => Promise<T | null>;

export interface CommitLaneOptions {
  readonly pool: Pool;
  readonly chainId: string;
  /** Masks a fact into a row; throws only for a programming error. From the audit room. */
  readonly toAuditRow: (fact: AuditFact) => UnchainedAuditRow;
  readonly chain: (head: ChainHead, rows: readonly UnchainedAuditRow[]) => readonly ChainedAuditRow[];
  readonly genesis: (chainId: string) => string;
  readonly clock: Clock;
  /** Most commits in one statement. 64: at 256 runs a step costs the database a tenth less than with 32, and nobody waits for the larger answer since half of the runs are with the next group. */
  readonly groupLimit?: number;
  /** Most entries that wait. 10,000: far more runs than one node drives, and still only megabytes. */
  readonly queueLimit?: number;
  /** How long what a person sent may wait for its turn. 10 s: before a client's own limit, after a restart of the database. */
  readonly patienceMs?: number;
  /** First and longest wait between tries while the database is away. */
  readonly retryMs?: { readonly first: number; readonly longest: number };
  readonly onRetry?: (error: PlatformError) => void;
}

interface RunEntry {
  readonly kind: 'run';
  readonly commit: RunCommit;
  readonly rows: readonly UnchainedAuditRow[];
  readonly resolve: (result: CommitResult) => void;
  readonly reject: (error: PlatformError) => void;
}

interface AuditEntry {
  readonly kind: 'audit';
  /** Does the work, settles its caller, and gives the head of the chain after it. */
  readonly attempt: (head: ChainHead) => Promise<ChainHead>;
  readonly reject: (error: PlatformError) => void;
}

/** Groups that are under way at once: the one that the database is at, and one that lies ready for it. */
const SENT_LIMIT = 2;

/** A group that has been sent: its answer, and the head of the chain if it holds. */
interface Sent {
  readonly group: readonly RunEntry[];
  /** It was sent before the answer of the group before it, and fails with that one: a refusal says nothing about its fences. */
  readonly isBehind: boolean;
  readonly head: ChainHead;
  readonly answer: Promise<Answer>;
}

type Answer = { readonly kind: 'written'; readonly rows: readonly CommittedRow[] } | { readonly kind: 'failed'; readonly error: PlatformError };

export function createCommitLane(options: CommitLaneOptions): CommitLane {
  const { pool, clock } = options;
  const groupLimit = options.groupLimit ?? 64;
  const queueLimit = options.queueLimit ?? 10_000;
  const patienceMs = options.patienceMs ?? 10_000;
  const retryMs = options.retryMs ?? { first: 50, longest: 2_000 };
  const queue: (RunEntry | AuditEntry)[] = [];
  const closing = new AbortController();
  /**
   * The same connection for every group: another one would have to plan the statement again. Every row is found by a key, no
   * statement is long enough to be compiled, and no group is worth a plan of its own.
   */
  const connection: HeldConnection = createHeldConnection(pool, 'SET enable_seqscan = off; SET jit = off; SET plan_cache_mode = force_generic_plan');
  let head: ChainHead = { chainId: options.chainId, seq: 0, hash: options.genesis(options.chainId) };
  /** As this database has them; read together with the head. */
  let oids: TypeOids = new Map();
  /** The database may hold more of the chain than `head` says. True at first: the chain may be an old one. */
  let doubtful = true;
  let pumping: Promise<void> | null = null;
  /** Groups without an answer, oldest first. */
  const sent: Sent[] = [];

  return {
    commitRun: (commit) =>
      new Promise((resolve, reject) => {
        const rows = commit.audit.map(options.toAuditRow);
        enqueue({ kind: 'run', commit, rows, resolve, reject });
      }),
    withAudit: (facts, attempt) =>
      new Promise((resolve, reject) => {
        const rows = facts.map(options.toAuditRow);
        const work = async (from: ChainHead): Promise<ChainHead> => {
          const chained = options.chain(from, rows);
          const result = await inChainTransaction(pool, options.chainId, (db) => attempt(db, chained));
          resolve(result);
          return result === null ? from : tailOf(chained, from);
        };
        const entry: AuditEntry = { kind: 'audit', attempt: work, reject };
        enqueue(entry);
        refuseWhenLate(entry);
      }),
    head: () => head,
    close: async () => {
      closing.abort();
      await pumping;
      connection.release();
    },
  };

  function enqueue(entry: RunEntry | AuditEntry): void {
    if (closing.signal.aborted) return entry.reject(new PlatformError('unavailable', 'The store is closing.'));
    if (queue.length >= queueLimit) return entry.reject(new PlatformError('unavailable', 'Too much waits for the database. Try again later.'));
    queue.push(entry);
    pumping ??= pump();
    sendBehind();
  }

  /** L1. Not until half a group waits: small ones would make more transactions of the same commits. */
  function sendBehind(): void {
    if (sent.length === 0 || sent.length >= SENT_LIMIT || queue.length < groupLimit / 2 || queue[0]?.kind !== 'run') return;
    sent.push(send(takeGroup()));
  }

  /** L5. */
  function refuseWhenLate(entry: AuditEntry): void {
    const timer = setTimeout(() => {
      const at = queue.indexOf(entry);
      if (at === -1) return;
      queue.splice(at, 1);
      entry.reject(new PlatformError('unavailable', 'The database does not answer. Nothing was written; the request can be sent again.'));
    }, patienceMs);
    timer.unref();
  }

  /** L1. Supervised by `pumping`; settles every entry and never rejects. */
  async function pump(): Promise<void> {
    for (;;) {
      const first = queue[0];
      if (first === undefined) {
        // In the same turn as the look: nothing can be queued in between and be left lying.
        pumping = null;
        return;
      }
      if (!(await isHeadKnown())) return refuseAll();
      // Somebody's patience may have ended meanwhile.
      if (queue[0] !== first) continue;
      if (first.kind === 'audit') {
        queue.shift();
        await runAudited(first);
      } else {
        await runGroups();
      }
    }
  }

  async function runAudited(entry: AuditEntry): Promise<void> {
    try {
      head = await entry.attempt(head);
    } catch (thrown) {
      doubtful = true;
      entry.reject(toStoreError(thrown));
    }
  }

  /** Groups of runs, one after the other, until something else is next or something is wrong. */
  async function runGroups(): Promise<void> {
    sendNext();
    for (let first = sent[0]; first !== undefined; first = sent[0]) {
      const answer = await first.answer;
      if (answer.kind === 'failed') return recoverAll(answer.error);
      sent.shift();
      head = first.head;
      sendNext();
      tell(first.group, answer.rows);
    }
  }

  function sendNext(): void {
    if (sent.length === 0 && queue[0]?.kind === 'run') sent.push(send(takeGroup()));
    sendBehind();
  }

  /** The oldest group has failed, so what was sent behind it has too, or its answer is lost as well: it waits to be sent again (L3). */
  async function recoverAll(error: PlatformError): Promise<void> {
    const [failed, ...others] = sent;
    for (const behind of others) {
      const answer = await behind.answer;
      // Sent again, what was written all the same is refused, and its number tells (L3).
      if (answer.kind === 'written') doubtful = true;
    }
    sent.length = 0;
    queue.unshift(...others.flatMap(({ group }) => group));
    if (failed !== undefined) await recover(failed, error);
  }

  function takeGroup(): RunEntry[] {
    const group: RunEntry[] = [];
    while (group.length < groupLimit && queue[0]?.kind === 'run') group.push(queue.shift() as RunEntry);
    return group;
  }

  /** Sent in this very turn of the event loop. */
  function send(group: readonly RunEntry[]): Sent {
    const before = sent.at(-1);
    let prepared: Prepared;
    try {
      prepared = prepare(group, before?.head ?? head, before === undefined ? null : before.head.hash);
    } catch (thrown) {
      // What cannot even be written down is the fault of the commit, never of the way to the database.
      const error = new PlatformError('internal', 'A commit could not be turned into rows.', { cause: thrown });
      return { group, isBehind: false, head: before?.head ?? head, answer: Promise.resolve({ kind: 'failed', error }) };
    }
    const answer = connection.run<CommittedRow>(prepared.statement, prepared.values).then(
      (rows): Answer => ({ kind: 'written', rows }),
      (thrown: unknown): Answer => ({ kind: 'failed', error: toStoreError(thrown) }),
    );
    return { group, isBehind: before !== undefined, head: prepared.head, answer };
  }

  function prepare(group: readonly RunEntry[], from: ChainHead, after: string | null): Prepared {
    const auditRows = options.chain(from, group.flatMap((entry) => entry.rows));
    const tail = tailOf(auditRows, from);
    return { ...toCommitStatement({ commits: group.map((entry) => entry.commit), auditRows, after, headHash: tail.hash }, oids), head: tail };
  }

  async function recover({ group, isBehind }: Sent, error: PlatformError): Promise<void> {
    if (group.length === 1 && !isBehind && error.code !== 'unavailable') return settle(group[0] as RunEntry, error);
    if (error.code === 'unavailable') {
      doubtful = true;
      options.onRetry?.(error);
    }
    for (const entry of group) await settle(entry, null);
  }

  /** L2, L3: one commit, sent until the database says yes or no. `refusal` is what it has said already. */
  async function settle(entry: RunEntry, refusal: PlatformError | null): Promise<void> {
    let refused = refusal;
    for (let waitMs = retryMs.first; ; waitMs = Math.min(waitMs * 2, retryMs.longest)) {
      try {
        if (refused === null) {
          if (doubtful) await rereadHead();
          const { answer, head: next } = send([entry]);
          const answered = await answer;
          if (answered.kind === 'failed') throw answered.error;
          head = next;
          return tell([entry], answered.rows);
        }
        return await answerRefusal(entry, refused);
      } catch (thrown) {
        const error = toStoreError(thrown);
        if (error.code !== 'unavailable') {
          refused = error;
          continue;
        }
        doubtful = true;
        options.onRetry?.(error);
        if (closing.signal.aborted) return entry.reject(error);
        await clock.sleep(waitMs, closing.signal);
      }
    }
  }

  /** Rejects with `unavailable` when the reason could not be read. */
  async function answerRefusal(entry: RunEntry, error: PlatformError): Promise<void> {
    if (sqlState(error.cause) !== REFUSED) return entry.reject(error);
    const answer = await readRefusal(pool, entry.commit);
    // It was written by a statement whose answer was lost, perhaps after the head was read again.
    if (answer.kind === 'committed') doubtful = true;
    entry.resolve(answer);
  }

  /** false: the lane was closed while the database was away. */
  async function isHeadKnown(): Promise<boolean> {
    try {
      if (doubtful) await rereadHead();
      return true;
    } catch {
      return false;
    }
  }

  function refuseAll(): void {
    for (const entry of queue.splice(0)) entry.reject(new PlatformError('unavailable', 'The store is closing and the database does not answer.'));
    pumping = null;
  }

  /** L4. Rejects only when the lane is closed and the database does not answer. */
  async function rereadHead(): Promise<void> {
    for (let waitMs = retryMs.first; ; waitMs = Math.min(waitMs * 2, retryMs.longest)) {
      try {
        // A transaction of ours whose answer was lost may still be running; it holds the lock until it is over.
        await run(pool, LOCK_CHAIN, [options.chainId]);
        const { rows } = await run<{ chain_seq: string; row_hash: string }>(pool, READ_CHAIN_HEAD, [options.chainId]);
        oids = await readCommitTypes(pool);
        const newest = rows[0];
        head =
          newest === undefined
            ? { chainId: options.chainId, seq: 0, hash: options.genesis(options.chainId) }
            : { chainId: options.chainId, seq: Number(newest.chain_seq), hash: newest.row_hash };
        doubtful = false;
        return;
      } catch (thrown) {
        const error = toStoreError(thrown);
        options.onRetry?.(error);
        if (closing.signal.aborted) throw error;
        await clock.sleep(waitMs, closing.signal);
      }
    }
  }
}

interface Prepared {
  readonly statement: Statement;
  readonly values: readonly (string | Buffer | null)[];
  readonly head: ChainHead;
}

function tell(group: readonly RunEntry[], rows: readonly CommittedRow[]): void {
  const answers = readAnswers(rows);
  group.forEach(({ resolve, reject }, index) => {
    const answer = answers[index];
    if (answer === undefined) reject(new PlatformError('internal', 'A commit was written without an answer.'));
    else resolve({ kind: 'committed', ...answer });
  });
}

/**
 * One transaction that holds the lock of the chain. null from `work` undoes it. A connection that
 * broke is thrown away: the server undoes what was not committed.
 */
async function inChainTransaction<T>(pool: Pool, chainId: string, work: (db: Queryable) => Promise<T | null>): Promise<T | null> {
  const client = await pool.connect();
  // Told to the statement under way as well; without a listener it would end the process.
  const ignore = (): void => undefined;
  client.on('error', ignore);
  let isWhole = false;
  try {
    await client.query('BEGIN');
    await run(client, LOCK_CHAIN, [chainId]);
    const result = await work(client);
    await client.query(result === null ? 'ROLLBACK' : 'COMMIT');
    isWhole = true;
    return result;
  } finally {
    client.release(!isWhole);
    if (isWhole) client.off('error', ignore);
  }
}

/** Why the fence did not hold, or that the same commit had been written before (L3). */
async function readRefusal(db: Queryable, commit: RunCommit): Promise<CommitResult> {
  const { lease } = commit;
  const { rows } = await run<{
    node_id: string | null;
    lease_epoch: string;
    status: string;
    commit_no: string;
    last_seq: string;
    signal_no: string;
  }>(db, READ_FENCE, [lease.tenantId, lease.runId]);
  const row = rows[0];
  if (row === undefined || row.node_id !== lease.nodeId || Number(row.lease_epoch) !== lease.epoch) return { kind: 'fenced' };
  const commitNo = Number(row.commit_no);
  if (commitNo === commit.commitNo + 1) return toCommitted(row);
  if (row.status !== 'running' || commitNo !== commit.commitNo) return { kind: 'fenced' };
  return { kind: 'signalled' };
}

const toCommitted = (row: { last_seq: string; signal_no: string }): CommitResult => ({
  kind: 'committed',
  lastSeq: Number(row.last_seq),
  signalNo: Number(row.signal_no),
});

function tailOf(rows: readonly AuditRow[], head: ChainHead): ChainHead {
  const last = rows.at(-1);
  return last === undefined ? head : { chainId: last.chain_id, seq: last.chain_seq, hash: last.row_hash };
}
