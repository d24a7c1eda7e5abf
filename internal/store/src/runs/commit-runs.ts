import type { RunCommit, Step, UsageEntry } from '@openeaap/kernel';
import type { ChainedAuditRow } from '../audit/audit-row.ts';
import type { Statement } from '../database.ts';
import { toJsonb } from '../database.ts';
import { createByteWriter } from '../wire/byte-writer.ts';
import type { CompositeType, Placed } from '../wire/composite-array.ts';
import { writeCompositeArray } from '../wire/composite-array.ts';
import type { ChangedAct, PlacedEvent } from './commit-rows.ts';
import { COMMIT_AUDIT, COMMIT_CHANGE, COMMIT_EVENT, COMMIT_RUN, COMMIT_STEP, COMMIT_USAGE, toChangedAct } from './commit-rows.ts';
import type { TypeOids } from './read-commit-types.ts';

/** The number of the first parameter behind the five that every form has. */
const FIRST_PART = 6;

const AUDIT_COLUMNS = COMMIT_AUDIT.columns.map(({ name }) => name).join(', ');

/**
 * THE write of the platform: one transition of each of N runs, whole, in one statement (R3).
 *
 * The fence (R2) is the WHERE of `run`: right node, right epoch, still running, the next commit
 * number, and no signal unread where the commit says so. If any of the N does not pass, the
 * statement fails as a whole by openeaap_refuse() and nothing is written; the caller then sends
 * them one by one. `seq` is counted from the run's own row, so it has no gaps whoever else adds
 * events (R8). The journal grows by the rows of the step and nothing else (R5).
 *
 * One CTE because four statements cost 2.5 times as much as one (0.43 ms against 1.1 ms p50 for
 * these rows on PostgreSQL 15 with durability on).
 *
 * Rows that exist are changed by INSERT ... ON CONFLICT, which goes through the primary key whatever the
 * planner believes. An UPDATE that joins is planned once per connection, perhaps while the tables are
 * nearly empty, and was then seen to scan every running run for each commit. A row that is missing would be
 * inserted with empty texts; the last SELECT refuses that too.
 */
const BASE = `
WITH item AS (
  SELECT * FROM unnest($1::openeaap_commit_run[])
), run AS (
  INSERT INTO runs AS r (tenant_id, id, user_id, trace_id, status, node_id, lease_epoch, commit_no, signal_no, pause_reason, wake_at,
    output_payload, error, finished_at, step_count, last_seq, prompt_tokens, completion_tokens, cost_usd_micros)
  SELECT tenant_id, run_id, '', '', COALESCE(status, 'running'), node_id, epoch, commit_no, COALESCE(expect_signal_no, -1), pause_reason, wake_at,
    output, error, CASE WHEN ended THEN now() END, newest_step, event_count, prompt_tokens, completion_tokens, cost_usd_micros
  FROM item
  ON CONFLICT (tenant_id, id) DO UPDATE SET
    status = EXCLUDED.status,
    pause_reason = EXCLUDED.pause_reason,
    wake_at = EXCLUDED.wake_at,
    output_payload = COALESCE(EXCLUDED.output_payload, r.output_payload),
    error = COALESCE(EXCLUDED.error, r.error),
    finished_at = COALESCE(EXCLUDED.finished_at, r.finished_at),
    step_count = GREATEST(r.step_count, EXCLUDED.step_count),
    last_seq = r.last_seq + EXCLUDED.last_seq,
    commit_no = r.commit_no + 1,
    prompt_tokens = r.prompt_tokens + EXCLUDED.prompt_tokens,
    completion_tokens = r.completion_tokens + EXCLUDED.completion_tokens,
    cost_usd_micros = r.cost_usd_micros + EXCLUDED.cost_usd_micros
  WHERE r.status = 'running' AND r.node_id = EXCLUDED.node_id AND r.lease_epoch = EXCLUDED.lease_epoch
    AND r.commit_no = EXCLUDED.commit_no
    AND (EXCLUDED.signal_no = -1 OR r.signal_no = EXCLUDED.signal_no)
  RETURNING r.tenant_id, r.id, r.agent_id, r.user_id, r.last_seq, r.signal_no
), ran AS (
  SELECT item.i, item.ended, run.* FROM item JOIN run ON run.id = item.run_id AND run.tenant_id = item.tenant_id
), event AS (
  INSERT INTO run_events (tenant_id, run_id, seq, type, data)
  SELECT ran.tenant_id, ran.id, ran.last_seq + e.from_last, e.type, e.data
  FROM unnest($2::openeaap_commit_event[]) AS e
  JOIN ran ON ran.i = e.i
), audited AS (
  INSERT INTO audit_logs (${AUDIT_COLUMNS}) SELECT ${AUDIT_COLUMNS} FROM unnest($3::openeaap_commit_audit[])
)`;

/** Each takes the number of its parameter. */
const NEW_STEPS = (n: number): string => `, step AS (
  INSERT INTO run_steps (tenant_id, run_id, no, id, kind, status, policy_version, agent_version, decision, error, started_at, finished_at,
    proposal, usage, model, strategy_state, reported_by_runtime, think_no, call_id, tool, args, approval_id, attempts, lineage, result, suspicious)
  SELECT ran.tenant_id, ran.id, s.no, s.id, s.kind, s.status, s.policy_version, s.agent_version, s.decision, s.error, s.started_at, s.finished_at,
    s.proposal, s.usage, s.model, s.strategy_state, s.reported_by_runtime, s.think_no, s.call_id, s.tool, s.args, s.approval_id, s.attempts, s.lineage, s.result, s.suspicious
  FROM unnest($${n}::openeaap_commit_step[]) AS s
  JOIN ran ON ran.i = s.i
)`;

/** What of a step can change after it was first written; the arguments and the decision are sent again only with a person's edit. */
const CHANGED_STEPS = (n: number): string => `, changed AS (
  INSERT INTO run_steps AS s (tenant_id, run_id, no, id, kind, policy_version, agent_version,
    status, decision, error, started_at, finished_at, args, approval_id, attempts, lineage, result, suspicious)
  SELECT ran.tenant_id, ran.id, c.no, ran.id, 'act', '', '',
    c.status, c.decision, c.error, c.started_at, c.finished_at, c.args, c.approval_id, c.attempts, c.lineage, c.result, c.suspicious
  FROM unnest($${n}::openeaap_commit_change[]) AS c
  JOIN ran ON ran.i = c.i
  ON CONFLICT (tenant_id, run_id, no) DO UPDATE SET
    status = EXCLUDED.status, decision = COALESCE(EXCLUDED.decision, s.decision), error = EXCLUDED.error, started_at = EXCLUDED.started_at,
    finished_at = EXCLUDED.finished_at, args = COALESCE(EXCLUDED.args, s.args), approval_id = EXCLUDED.approval_id, attempts = EXCLUDED.attempts,
    lineage = EXCLUDED.lineage, result = EXCLUDED.result, suspicious = EXCLUDED.suspicious
)`;

const APPROVALS = (n: number): string => `, opened AS (
  INSERT INTO approvals (tenant_id, id, run_id, step_no, kind, tool, args, call_hash, rule, reason, approvers, forbid_requester, min_approvals, escalation, requester_id, policy_version, expires_at, status, decided_at)
  SELECT ran.tenant_id, a.id, ran.id, a.step_no, a.kind, a.tool, a.args, a.call_hash, a.rule, a.reason, a.approvers, a.forbid_requester, a.min_approvals, a.escalation, a.requester_id, a.policy_version,
    now() + a.timeout_ms * interval '1 millisecond',
    -- A commit that ends the run may open approvals too (a cancellation came in between): they are born closed.
    CASE WHEN ran.ended THEN 'cancelled' ELSE 'pending' END, CASE WHEN ran.ended THEN now() END
  FROM jsonb_to_recordset($${n}::jsonb -> 'open') AS a(
    i int, id uuid, step_no int, kind text, tool text, args jsonb, call_hash text, rule text, reason text,
    approvers text[], forbid_requester boolean, min_approvals int, escalation jsonb, requester_id text, policy_version text, timeout_ms bigint)
  JOIN ran ON ran.i = a.i
), expired AS (
  UPDATE approvals p SET status = 'expired', decided_at = now()
  FROM jsonb_to_recordset($${n}::jsonb -> 'expire') AS x(i int, id uuid) JOIN ran ON ran.i = x.i
  WHERE p.tenant_id = ran.tenant_id AND p.id = x.id AND p.status = 'pending'
), closed AS (
  UPDATE approvals p SET status = 'cancelled', decided_at = now()
  FROM ran WHERE ran.ended AND p.tenant_id = ran.tenant_id AND p.run_id = ran.id AND p.status = 'pending'
    AND NOT EXISTS (SELECT 1 FROM jsonb_to_recordset($${n}::jsonb -> 'expire') AS x(id uuid) WHERE x.id = p.id)
)`;

const USAGE = (n: number): string => `, used AS (
  INSERT INTO usage (tenant_id, run_id, step_no, agent_id, user_id, model, prompt_tokens, completion_tokens, cost_usd_micros)
  SELECT ran.tenant_id, ran.id, u.step_no, ran.agent_id, ran.user_id, u.model, u.prompt_tokens, u.completion_tokens, u.cost_usd_micros
  FROM unnest($${n}::openeaap_commit_usage[]) AS u
  JOIN ran ON ran.i = u.i
  -- A think that was interrupted is thought again under the same number.
  ON CONFLICT (tenant_id, run_id, step_no) DO UPDATE SET model = EXCLUDED.model, prompt_tokens = usage.prompt_tokens + EXCLUDED.prompt_tokens,
    completion_tokens = usage.completion_tokens + EXCLUDED.completion_tokens, cost_usd_micros = usage.cost_usd_micros + EXCLUDED.cost_usd_micros
)`;

const SETTLEMENTS = (n: number): string => `, settled AS (
  UPDATE quota_counters c SET used = GREATEST(0, c.used + q.delta)
  FROM (SELECT tenant_id, counter, sum(delta)::bigint AS delta
        FROM jsonb_to_recordset($${n}::jsonb) AS x(tenant_id text, counter text, delta bigint) GROUP BY 1, 2) q
  WHERE c.tenant_id = q.tenant_id AND c.counter = q.counter
)`;

/**
 * One row for all: reading a row for each commit took a tenth of a node's time.
 *
 * The session remembers the hash of the newest audit row that it has written ($5), and forgets it again when the statement
 * fails. A statement that was sent before the answer of the one before it is there says what that one must have left ($4):
 * if it failed, or was sent by another connection, this one fails too and the chain has no hole.
 */
const RESULT = `
SELECT string_agg(ran.last_seq || ' ' || ran.signal_no, ',' ORDER BY ran.i) AS answers,
  CASE WHEN count(*) FILTER (WHERE ran.user_id <> '') < (SELECT count(*) FROM item)
      OR ($4::text IS NOT NULL AND current_setting('openeaap.chain_head', true) IS DISTINCT FROM $4)
    THEN openeaap_refuse()::text
    ELSE set_config('openeaap.chain_head', $5, false) END AS guard
FROM ran`;

/** Parts that a commit may have nothing for. Even unused, each costs the statement its start-up (relations, indexes), so they are left out. */
const PARTS = [
  { letter: 's', sql: NEW_STEPS },
  { letter: 'c', sql: CHANGED_STEPS },
  { letter: 'a', sql: APPROVALS },
  { letter: 'u', sql: USAGE },
  { letter: 'q', sql: SETTLEMENTS },
] as const;

/** Every form of the statement, by the letters of its parts. A node uses a handful of them. */
const FORMS: ReadonlyMap<string, Statement> = new Map(
  Array.from({ length: 2 ** PARTS.length }, (_, bits) => {
    const parts = PARTS.filter((_part, index) => (bits & (1 << index)) !== 0);
    const letters = parts.map((part) => part.letter).join('');
    const text = `${BASE}${parts.map((part, index) => part.sql(FIRST_PART + index)).join('')}${RESULT}`;
    return [letters, { name: letters === '' ? 'commit-runs' : `commit-runs-${letters}`, text }] as const;
  }),
);

export interface CommittedRow {
  /** The newest event and the signal number of each run, in the order of the commits: `12 0,7 1`. */
  readonly answers: string | null;
}

export function readAnswers(rows: readonly CommittedRow[]): readonly { readonly lastSeq: number; readonly signalNo: number }[] {
  const answers = rows[0]?.answers ?? null;
  if (answers === null) return [];
  return answers.split(',').map((answer) => {
    const [lastSeq, signalNo] = answer.split(' ');
    return { lastSeq: Number(lastSeq), signalNo: Number(signalNo) };
  });
}

/** What is written together: commits, their chained audit rows, and the head of the chain before and after them. */
export interface CommitGroup {
  readonly commits: readonly RunCommit[];
  readonly auditRows: readonly ChainedAuditRow[];
  /** Hash that the statement before on this connection must have left; null: its answer is known. */
  readonly after: string | null;
  readonly headHash: string;
}

/** The statement that writes these commits, and its parameters. */
export function toCommitStatement({ commits, auditRows, after, headHash }: CommitGroup, oids: TypeOids): { readonly statement: Statement; readonly values: readonly (string | Buffer | null)[] } {
  const json = <T>(pick: (commit: RunCommit) => readonly T[], shape: (item: T, i: number) => object): object[] => commits.flatMap((commit, i) => pick(commit).map((item) => shape(item, i)));
  const open = json((c) => c.openApprovals, (approval, i) => ({ i, ...fromNewApproval(approval) }));
  const expire = json((c) => c.expireApprovals, (id, i) => ({ i, id }));
  const settlements = commits.flatMap((c) => c.settlements.map((s) => ({ tenant_id: c.lease.tenantId, counter: s.counter, delta: s.delta })));
  // Whoever ends a run closes what it waited for.
  const touchesApprovals = open.length + expire.length > 0 || commits.some((c) => c.to !== null && c.to.status !== 'paused');
  const steps = placeSteps(commits);
  const events = place<PlacedEvent>(commits, (c, add) => c.events.forEach((event, index) => add({ event, fromLast: index + 1 - c.events.length })));
  const usage = place<UsageEntry>(commits, (c, add) => c.usage.forEach(add));
  const parts = {
    s: steps.fresh.items.length > 0,
    c: steps.changed.items.length > 0,
    a: touchesApprovals,
    u: usage.items.length > 0,
    q: settlements.length > 0,
  };
  const present = PARTS.filter(({ letter }) => parts[letter]).map(({ letter }) => letter);
  const rows = createRowsWriter(commits.length * BYTES_PER_COMMIT, oids);
  const write = {
    s: () => rows.write(COMMIT_STEP, steps.fresh),
    c: () => rows.write(COMMIT_CHANGE, steps.changed),
    a: () => () => toJsonb({ open, expire }),
    u: () => rows.write(COMMIT_USAGE, usage),
    q: () => () => toJsonb(settlements),
  };
  const values = [
    rows.write(COMMIT_RUN, { items: commits, places: [] }),
    rows.write(COMMIT_EVENT, events),
    rows.write(COMMIT_AUDIT, { items: auditRows, places: [] }),
    () => after,
    () => headHash,
    ...present.map((letter) => write[letter]()),
  ];
  return { statement: FORMS.get(present.join('')) as Statement, values: values.map((value) => value()) };
}

/** What a commit takes on average; too little costs a copy of what is written. */
const BYTES_PER_COMMIT = 2_048;

/** All rows of a statement in one piece of memory; each parameter can be had when all have been written. */
function createRowsWriter(expectedBytes: number, oids: TypeOids): { readonly write: <Item>(type: CompositeType<Item>, placed: Placed<Item>) => () => Buffer } {
  const to = createByteWriter(expectedBytes);
  return {
    write: (type, placed) => {
      const from = to.written();
      writeCompositeArray(to, type, oids.get(type.name) ?? 0, placed);
      const end = to.written();
      return () => to.bytes(from, end);
    },
  };
}

function place<Item>(commits: readonly RunCommit[], each: (commit: RunCommit, add: (item: Item) => void) => void): Placed<Item> {
  const items: Item[] = [];
  const places: number[] = [];
  commits.forEach((commit, i) =>
    each(commit, (item) => {
      items.push(item);
      places.push(i);
    }),
  );
  return { items, places };
}

/** Steps are numbered from 1 without a gap, so the journal tells which are new. */
function placeSteps(commits: readonly RunCommit[]): { readonly fresh: Placed<Step>; readonly changed: Placed<ChangedAct> } {
  const journalled = (commit: RunCommit, step: Step): Step | undefined => commit.journal[step.no - 1];
  return {
    fresh: place<Step>(commits, (commit, add) => {
      for (const step of commit.steps) if (journalled(commit, step) === undefined) add(step);
    }),
    changed: place<ChangedAct>(commits, (commit, add) => {
      for (const step of commit.steps) {
        const before = journalled(commit, step);
        if (before !== undefined) add(toChangedAct(step, before));
      }
    }),
  };
}

function fromNewApproval(a: RunCommit['openApprovals'][number]): object {
  return {
    id: a.id,
    step_no: a.stepNo,
    kind: a.kind,
    tool: a.tool,
    args: a.args,
    call_hash: a.callHash,
    rule: a.rule,
    reason: a.reason,
    approvers: a.approvers,
    forbid_requester: a.forbidRequester,
    min_approvals: a.minApprovals,
    escalation: a.escalation.map((stage) => ({ after_ms: stage.afterMs, approvers: stage.approvers })),
    requester_id: a.requesterId,
    policy_version: a.policyVersion,
    timeout_ms: a.timeoutMs,
  };
}
