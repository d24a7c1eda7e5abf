import type { IdleTransaction, MigrationState, NodeFacts, ServerFacts, StuckRunCounts, StuckRuns, TableFacts, UnsignedTail, WaitingApprovals } from '@openeaap/store';
import type { Check } from './check.ts';
import { ok, problem, warning } from './check.ts';
import { DIAGNOSIS } from './limits.ts';
import { toCount, toDuration, toSize } from './words.ts';

/*
 * Facts in, checks out; pure. Each summary is one line and says the number that was judged; each
 * cure says what to do, with the command where there is one.
 */

export function judgeServer(facts: ServerFacts): readonly Check[] {
  return [judgeVersion(facts), judgeDurability(facts), judgeConnections(facts), judgePartitions(facts)];
}

function judgeVersion({ version, versionNumber, isStandby }: ServerFacts): Check {
  if (isStandby) return problem('postgresql', `PostgreSQL ${version} answers, and is a standby that takes no writes`, 'Point DATABASE_URL to the primary, for example with target_session_attrs=read-write.');
  if (versionNumber >= DIAGNOSIS.oldestServerVersion) return ok('postgresql', `PostgreSQL ${version} answers and takes writes`);
  return problem('postgresql', `PostgreSQL ${version} is older than 15`, 'Upgrade the database server to PostgreSQL 15 or later.');
}

function judgeDurability({ fsync, synchronousCommit, fullPageWrites }: ServerFacts): Check {
  const costs = [
    fsync === 'on' ? null : 'fsync=off: a crash of the machine can destroy the whole database',
    fullPageWrites === 'on' ? null : 'full_page_writes=off: a crash of the machine can leave half-written pages',
    synchronousCommit === 'off' ? 'synchronous_commit=off: a crash loses the last commits, so an accepted run or a finished call may be forgotten and made again' : null,
  ].filter((cost) => cost !== null);
  if (costs.length === 0) return ok('durability', `fsync=on, full_page_writes=on, synchronous_commit=${synchronousCommit}`);
  return warning('durability', costs.join('; '), 'Set fsync, full_page_writes and synchronous_commit to on, also for this role and database (ALTER ROLE, ALTER DATABASE).');
}

function judgeConnections({ connections, usableConnections }: ServerFacts): Check {
  const share = connections / Math.max(1, usableConnections);
  const summary = `${connections} of ${usableConnections} in use`;
  const cure = 'Raise max_connections, start fewer nodes (each takes up to 23), or end sessions that should not be there.';
  if (share >= DIAGNOSIS.connectionShare.problem) return problem('connections', summary, cure);
  return share >= DIAGNOSIS.connectionShare.warning ? warning('connections', summary, cure) : ok('connections', summary);
}

function judgePartitions({ hasAuditPartition, hasNextAuditPartition, monthEndsInDays }: ServerFacts): Check {
  const cure = 'A running node makes them each hour; its log says why it could not. By hand: SELECT openeaap_ensure_audit_partition((now() + interval \'1 month\')::date).';
  if (!hasAuditPartition) return problem('audit_partitions', "this month's partition is missing: nothing that is audited can be written", cure);
  if (hasNextAuditPartition) return ok('audit_partitions', "this month's and the next one's are there");
  const summary = `next month's partition is missing, needed in ${toDuration(monthEndsInDays * 86_400_000)}`;
  return monthEndsInDays <= DIAGNOSIS.nextPartitionDays ? problem('audit_partitions', summary, cure) : warning('audit_partitions', summary, cure);
}

export function judgeRoundTrip(ms: number): Check {
  const summary = `${ms < 10 ? ms.toFixed(2) : String(Math.round(ms))} ms, the best of 3`;
  const cure = 'Bring the platform and the database closer together, or look for load on either; each step of a run waits for it.';
  if (ms >= DIAGNOSIS.roundTripMs.problem) return problem('round_trip', summary, cure);
  return ms >= DIAGNOSIS.roundTripMs.warning ? warning('round_trip', summary, cure) : ok('round_trip', summary);
}

export function judgeMigrations({ applied, pending, newer, refusal }: MigrationState): Check {
  if (refusal !== null) return problem('migrations', refusal.message, 'Start the version of the program that belongs to this database, or restore a backup; see docs/operations.md, Upgrade.');
  if (pending.length > 0) return warning('migrations', `${applied} applied, pending: ${pending.join(', ')}; the other checks need them`, 'They are applied when a node of this version starts. Old nodes may stay up meanwhile.');
  if (newer.length > 0) return warning('migrations', `${applied} applied; newer than this program, which may live with them: ${newer.join(', ')}`, 'Finish the rollout of the newer version.');
  return ok('migrations', `${applied} applied, none pending`);
}

export function judgeClocks(ownAheadMs: number, uncertaintyMs: number, nodes: readonly NodeFacts[]): Check {
  const others = nodes.filter(isAlive).flatMap(({ clockAheadMs }) => (clockAheadMs === null ? [] : [clockAheadMs]));
  const spread = others.length < 2 ? 0 : Math.max(...others) - Math.min(...others);
  const worst = Math.max(Math.abs(ownAheadMs) - uncertaintyMs, spread);
  const own = `this node is ${toDuration(Math.abs(ownAheadMs))} ${ownAheadMs < 0 ? 'behind' : 'ahead of'} the database`;
  const summary = others.length < 2 ? own : `${own}; ${others.length} nodes within ${toDuration(spread)} of each other`;
  const cure = 'Run a time service (chrony, systemd-timesyncd) on every node and on the database. Leases are safe, since only the database measures them; times in the audit and the events are not.';
  if (worst >= DIAGNOSIS.clockMs.problem) return problem('clock', summary, cure);
  return worst >= DIAGNOSIS.clockMs.warning ? warning('clock', summary, cure) : ok('clock', summary);
}

export function judgeNodes(nodes: readonly NodeFacts[]): Check {
  const live = nodes.filter(isAlive);
  const dead = nodes.filter((node) => node.runs > 0 && !live.includes(node));
  const versions = [...new Set(live.map(({ version }) => version))];
  const each = live.slice(0, 5).map(({ host, pid, runs }) => `${host}/${pid} ${toCount(runs, 'run')}`);
  const oldest = Math.max(0, ...live.map(({ silentMs }) => silentMs));
  const summary = `${live.length} alive (${[...each, ...(live.length > 5 ? ['…'] : [])].join(', ')}), oldest heartbeat ${toDuration(oldest)} ago${versions.length > 1 ? `, versions ${versions.join(' and ')}` : ''}`;
  if (live.length === 0) return problem('nodes', `none is alive${dead.length === 0 ? '' : `; ${toCount(sumOf(dead.map(({ runs }) => runs)), 'run')} wait for one`}`, 'Start a node; it takes over what the dead ones left.');
  if (dead.length === 0) return ok('nodes', summary);
  const orphans = sumOf(dead.map(({ runs }) => runs));
  const longest = Math.max(...dead.map(({ silentMs }) => silentMs));
  const text = `${summary}; ${toCount(orphans, 'run')} of dead nodes not taken over for ${toDuration(longest)}`;
  const cure = 'Living nodes should take them within 10 s: they are full, or cannot claim. Look at their logs, or start another node.';
  return longest >= DIAGNOSIS.deadOwnerMs.problem ? problem('nodes', text, cure) : warning('nodes', text, cure);
}

const isAlive = ({ hasStopped, silentMs }: NodeFacts): boolean => !hasStopped && silentMs < DIAGNOSIS.deadOwnerMs.warning;

const sumOf = (numbers: readonly number[]): number => numbers.reduce((sum, number) => sum + number, 0);

export function judgeStuckRuns({ late, silent, lost }: StuckRunCounts): readonly Check[] {
  return [
    judgeStuck('runs_due', late, DIAGNOSIS.dueMs.problem, {
      none: `none has been due for more than ${toDuration(DIAGNOSIS.dueMs.warning)}`,
      some: 'due and taken by no node',
      cure: 'The nodes are full or not there: start another node, or look at the log of those that run.',
    }),
    judgeStuck('runs_running', silent, DIAGNOSIS.silentMs.problem, {
      none: `all have written something within ${toDuration(DIAGNOSIS.silentMs.warning)}`,
      some: 'running without a commit',
      cure: 'A slow model or tool is at work until its timeout. Look at the run (openeaap run get ID); openeaap run cancel ID stops it.',
    }),
    judgeStuck('runs_paused', lost, 0, {
      none: 'all that wait have something to wait for',
      some: 'waiting for nothing: no time, no approval',
      cure: 'That is a fault of the platform: report it with openeaap run get ID. openeaap run cancel ID ends the run.',
    }),
  ];
}

function judgeStuck(name: string, { runs, longestMs, examples }: StuckRuns, problemMs: number, words: { readonly none: string; readonly some: string; readonly cure: string }): Check {
  if (runs === 0) return ok(name, words.none);
  const count = runs >= DIAGNOSIS.stuckRuns ? `${runs} runs or more` : toCount(runs, 'run');
  const summary = `${count} ${words.some}, the longest for ${toDuration(longestMs)}: ${examples.join(', ')}`;
  return longestMs >= problemMs ? problem(name, summary, words.cure) : warning(name, summary, words.cure);
}

export function judgeApprovals({ pending, pastHalf, overdue, next, nextExpiresInMs }: WaitingApprovals): Check {
  if (overdue > 0) return problem('approvals', `${overdue} of ${pending} pending are past their time and still open: ${next ?? ''}`, 'Their runs are not being looked at: see the check runs_due.');
  if (pastHalf === 0) return ok('approvals', pending === 0 ? 'none pending' : `${pending} pending, none past half of its time`);
  return warning('approvals', `${pastHalf} of ${pending} pending have waited for more than half of their time; ${next ?? ''} expires in ${toDuration(nextExpiresInMs ?? 0)}`, 'Tell the approvers: openeaap approval list shows what waits for whom.');
}

export function judgeAuditTails(tails: readonly UnsignedTail[]): Check {
  if (tails.length === 0) return ok('audit_signatures', `no chain has rows older than ${toDuration(DIAGNOSIS.unsignedMs)} that are not signed`);
  const rows = sumOf(tails.map((tail) => tail.rows));
  return problem('audit_signatures', `${toCount(rows, 'row')} of ${toCount(tails.length, 'chain')} not signed: ${tails.slice(0, 3).map(({ chainId }) => chainId).join(', ')}`, 'A node signs every few seconds and says in its log why it cannot (often a full disk or a state folder that it may not write). Then run: openeaap audit verify');
}

export function judgeTables(bytes: number, tables: readonly TableFacts[]): readonly Check[] {
  const largest = tables.slice(0, 4).map(({ name, bytes: size }) => `${name} ${toSize(size)}`);
  const bloated = tables.filter(({ deadRows, liveRows }) => deadRows >= DIAGNOSIS.deadRows.least && deadRows >= liveRows * DIAGNOSIS.deadRows.share);
  const dead = bloated.map(({ name, deadRows, liveRows }) => `${name} ${Math.round(deadRows)} dead to ${Math.round(liveRows)} live`);
  return [
    ok('tables', `${toSize(bytes)} in all: ${largest.join(', ')}`),
    dead.length === 0
      ? ok('dead_rows', 'no table has many')
      : warning('dead_rows', dead.join(', '), `Autovacuum does not keep up or is held back by an old transaction. Run: VACUUM ${bloated[0]?.name ?? ''}; and lower autovacuum_vacuum_scale_factor for that table.`),
  ];
}

export function judgeDisk(place: string, freeBytes: number): Check {
  const summary = `${toSize(freeBytes)} free ${place}`;
  const cure = 'Free some space or enlarge the disk; openeaap archive takes old runs out of the database. A full disk stops every run.';
  if (freeBytes < DIAGNOSIS.diskFreeBytes.problem) return problem('disk', summary, cure);
  return freeBytes < DIAGNOSIS.diskFreeBytes.warning ? warning('disk', summary, cure) : ok('disk', summary);
}

export function judgeArchive(ageMs: number | null): Check {
  if (ageMs === null) return ok('archive', 'no run has ended yet');
  const summary = `the oldest run that is still here ended ${toDuration(ageMs)} ago`;
  return ageMs < DIAGNOSIS.archiveAgeMs ? ok('archive', summary) : warning('archive', summary, 'Move old runs into files: openeaap archive --older-than 90d --to DIR.');
}

export function judgeIdleTransactions(idle: readonly IdleTransaction[]): Check {
  const [oldest] = idle;
  if (oldest === undefined) return ok('idle_transactions', 'none');
  const summary = `${toCount(idle.length, 'session')} with an open transaction and nothing to do, the oldest for ${toDuration(oldest.openMs)}: pid ${oldest.pid}${oldest.applicationName === '' ? '' : ` (${oldest.applicationName})`}`;
  const cure = `It holds up vacuum and migrations. End it: SELECT pg_terminate_backend(${oldest.pid}); and set idle_in_transaction_session_timeout for its role.`;
  return oldest.openMs >= DIAGNOSIS.idleTransactionMs.problem ? problem('idle_transactions', summary, cure) : warning('idle_transactions', summary, cure);
}
