import type { Findings } from './check-database.ts';
import { checkDatabase, query } from './check-database.ts';
import type { Outage } from './durable-postgres.ts';
import type { LoadedRun } from './load.ts';
import type { Death, Uptime } from './node-fleet.ts';
import type { SideEffectSink } from './side-effect-sink.ts';

/** What is true when all is quiet. Everything in `violations` is a promise that was broken. */
export interface Verdict {
  readonly accepted: number;
  readonly completed: number;
  readonly cancelled: number;
  /** By the code of the run's error. */
  readonly failed: Readonly<Record<string, number>>;
  readonly lost: number;
  readonly notEnded: number;
  /** Addresses that were blocked, and requests for it: a repeatable call may be made again under its key. */
  readonly destructive: { readonly effects: number; readonly requests: number; readonly doubled: number; readonly claimedButNotMade: number };
  readonly brokenSequences: number;
  readonly readers: { readonly followed: number; readonly reconnects: number; readonly wrong: number };
  readonly takeovers: { readonly all: Quantiles; readonly undisturbed: Quantiles };
  readonly violations: readonly string[];
}

/** Of the times from the SIGKILL of a node to its runs running again, in ms. */
export interface Quantiles {
  readonly count: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

export interface Evidence {
  readonly url: string;
  readonly prefix: string;
  readonly runs: readonly LoadedRun[];
  readonly sink: SideEffectSink;
  readonly deaths: readonly Death[];
  readonly outages: readonly Outage[];
  readonly uptimes: readonly Uptime[];
}

export async function judgeChaos(evidence: Evidence): Promise<Verdict> {
  const { runs, url, prefix } = evidence;
  const findings = await checkDatabase(url, prefix);
  const calls = await readCalls(url);
  const lost = judgeAcceptance(runs, findings);
  const calledBack = judgeEffects(evidence, findings, calls);
  const readers = await judgeReaders(evidence);
  const ended = (status: string): number => findings.runs.filter((run) => run.status === status).length;
  const failed = findings.runs.filter(({ status }) => status === 'failed');
  return {
    accepted: runs.filter(({ acknowledged }) => acknowledged.size > 0).length,
    completed: ended('completed'),
    cancelled: ended('cancelled'),
    failed: countBy(failed.map(({ errorCode }) => errorCode ?? 'none')),
    lost: lost.length,
    notEnded: findings.notEnded.length,
    destructive: calledBack.counts,
    brokenSequences: findings.brokenSequences.length,
    readers: readers.counts,
    takeovers: await measureTakeovers(evidence),
    violations: [
      ...lost,
      ...judgeOutcomes(runs, findings),
      ...calledBack.violations,
      ...readers.violations,
      ...findings.notEnded.map((id) => `run ${id} has not ended`),
      ...findings.deadApprovals.map((id) => `the approval ${id} waits for a person, and its run has ended`),
      ...findings.brokenSequences.map((id) => `the events of run ${id} are not numbered without gaps, or do not end once`),
    ],
  };
}

function countBy(names: readonly string[]): Readonly<Record<string, number>> {
  const counts = new Map<string, number>();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  return Object.fromEntries(counts);
}

function judgeAcceptance(runs: readonly LoadedRun[], findings: Findings): readonly string[] {
  const stored = new Map(findings.runs.map((run) => [run.key, run.id]));
  return runs.flatMap(({ key, acknowledged }) => {
    const ids = [...acknowledged];
    if (ids.length > 1) return [`the key ${key} was answered with several runs: ${ids.join(', ')}`];
    return ids.length === 1 && stored.get(key) !== ids[0] ? [`the accepted run ${String(ids[0])} (${key}) is lost`] : [];
  });
}

/** What was not cancelled must have come to its end by itself. */
function judgeOutcomes(runs: readonly LoadedRun[], findings: Findings): readonly string[] {
  const kinds = new Map(runs.map((run) => [run.key, run]));
  return findings.runs.flatMap(({ id, key, status, errorCode }) => {
    const run = kinds.get(key);
    if (run === undefined) return [`nobody sent the run ${id} (${key})`];
    if (status === 'cancelled' && run.kind !== 'cancelled') return [`the run ${id} (${run.kind}) was cancelled by nobody`];
    return status === 'failed' ? [`the run ${id} (${run.kind}) failed: ${errorCode ?? 'no code'}`] : [];
  });
}

interface Call {
  readonly key: string;
  readonly tool: string;
  readonly ip: string;
  readonly status: string;
  /** Rows of the audit that say that this call was about to be made. */
  readonly intents: string;
}

const READ_CALLS = `
SELECT r.idempotency_key AS key, s.tool, s.args ->> 'ip' AS ip, s.status,
  (SELECT count(*) FROM audit_logs l WHERE l.tenant_id = s.tenant_id AND l.run_id = s.run_id AND l.step_no = s.no
    AND l.action_type = 'tool_call' AND l.phase = 'intent' AND l.metadata ->> 'status' = 'started') AS intents
FROM run_steps s JOIN runs r ON r.tenant_id = s.tenant_id AND r.id = s.run_id
WHERE s.kind = 'act' AND s.tool LIKE 'firewall_block_%'`;

const readCalls = (url: string): Promise<readonly Call[]> => query<Call>(url, READ_CALLS);

/** The firewall's own count is the truth; the journal and the audit must agree with it. */
function judgeEffects({ runs, sink }: Evidence, findings: Findings, calls: readonly Call[]): { readonly counts: Verdict['destructive']; readonly violations: readonly string[] } {
  const doubled = runs.flatMap(({ blocks, once }) => [
    ...blocks.filter((ip) => new Set(sink.requestsFor(ip)).size > 1).map((ip) => `${ip} was blocked under several keys: ${sink.requestsFor(ip).join(', ')}`),
    ...once.filter((ip) => sink.requestsFor(ip).length > 1).map((ip) => `${ip} was blocked ${sink.requestsFor(ip).length} times by a call that must not be repeated`),
  ]);
  const refused = runs.filter(({ isRejected }) => isRejected).flatMap(({ blocks }) => blocks.filter((ip) => sink.requestsFor(ip).length > 0).map((ip) => `${ip} was blocked against the person's word`));
  const claimed = calls.filter(({ ip, status }) => status === 'done' && sink.requestsFor(ip).length === 0).map(({ ip, key }) => `the run ${key} says that ${ip} is blocked, and it is not`);
  const unannounced = calls.filter(({ ip, intents }) => sink.requestsFor(ip).length > Number(intents)).map(({ ip, intents }) => `${ip}: ${sink.requestsFor(ip).length} calls, and ${intents} rows of the audit say that one was about to be made`);
  const known = new Set(calls.map(({ ip }) => ip));
  const unknown = sink.addresses().filter((ip) => !known.has(ip)).map((ip) => `${ip} was blocked, and no step says so`);
  const completed = new Set(findings.runs.filter(({ status }) => status === 'completed').map(({ key }) => key));
  const skipped = runs.filter(({ key, isRejected }) => completed.has(key) && !isRejected).flatMap(({ key, kind, blocks, once }) =>
    [...blocks, ...once].filter((ip) => sink.requestsFor(ip).length === 0).map((ip) => `the run ${key} (${kind}) is completed, and ${ip} was never blocked`),
  );
  return {
    counts: { effects: sink.addresses().length, requests: sink.totalRequests(), doubled: doubled.length, claimedButNotMade: claimed.length },
    violations: [...doubled, ...refused, ...claimed, ...unannounced, ...unknown, ...skipped],
  };
}

const READ_EVENTS = `
SELECT r.idempotency_key AS key, array_agg(e.type ORDER BY e.seq) AS types
FROM runs r JOIN run_events e ON e.tenant_id = r.tenant_id AND e.run_id = r.id
WHERE r.idempotency_key = ANY($1) GROUP BY r.tenant_id, r.id`;

/** Over all its reconnects, to whichever node, a reader has been sent each event once and in order. */
async function judgeReaders({ url, runs }: Evidence): Promise<{ readonly counts: Verdict['readers']; readonly violations: readonly string[] }> {
  const followed = runs.filter((run) => run.followed !== null);
  const stored = await query<{ readonly key: string; readonly types: readonly string[] }>(url, READ_EVENTS, [followed.map(({ key }) => key)]);
  const types = new Map(stored.map((row) => [row.key, row.types]));
  const wrong = followed.filter(({ key, followed: seen }) => {
    const expected = (types.get(key) ?? []).map((type, index) => `${index + 1} ${type}`);
    return JSON.stringify((seen ?? []).map(({ seq, type }) => `${seq} ${type}`)) !== JSON.stringify(expected);
  });
  return {
    counts: { followed: followed.length, reconnects: followed.reduce((sum, run) => sum + Math.max(0, run.reconnects - 1), 0), wrong: wrong.length },
    violations: wrong.map(({ key, followed: seen }) => `the reader of ${key} was sent ${(seen ?? []).map(({ seq }) => seq).join(' ')}`),
  };
}

const READ_TAKEOVERS = `
SELECT n.pid, extract(epoch FROM n.started_at) * 1000 AS started, extract(epoch FROM e.created_at) * 1000 AS resumed
FROM run_events e JOIN nodes n ON n.id = (e.data ->> 'lost_node')::uuid
WHERE e.type = 'run_resumed' AND e.data ->> 'reason' = 'node_lost'`;

async function measureTakeovers({ url, deaths, outages, uptimes }: Evidence): Promise<Verdict['takeovers']> {
  const rows = await query<{ readonly pid: number; readonly started: string; readonly resumed: string }>(url, READ_TAKEOVERS);
  const times = rows.flatMap((row) => {
    // A process id may come again: the death is the first one after that node began.
    const death = deaths.filter(({ pid, at }) => pid === row.pid && at >= Number(row.started)).sort((a, b) => a.at - b.at)[0];
    const resumed = Number(row.resumed);
    // A node takes its own runs again when the database had been away; nobody had died.
    if (death === undefined || resumed < death.at) return [];
    const isDatabaseUp = outages.every(({ from, to }) => to < death.at || from > resumed);
    const isAnotherUp = uptimes.some(({ slot, from, to }) => slot !== death.slot && from <= death.at && (to === null || to >= resumed));
    return [{ ms: resumed - death.at, isUndisturbed: isDatabaseUp && isAnotherUp }];
  });
  return { all: toQuantiles(times.map(({ ms }) => ms)), undisturbed: toQuantiles(times.filter(({ isUndisturbed }) => isUndisturbed).map(({ ms }) => ms)) };
}

function toQuantiles(values: readonly number[]): Quantiles {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (share: number): number => Math.round(sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)] ?? 0);
  return { count: sorted.length, p50Ms: at(0.5), p99Ms: at(0.99), maxMs: at(1) };
}

