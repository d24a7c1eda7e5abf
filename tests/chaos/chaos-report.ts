import type { ChaosResult } from './run-chaos.ts';
import type { Quantiles } from './judge-chaos.ts';

/** The table at the end, a line per fact; then what was broken. */
export function describeChaos(result: ChaosResult): readonly string[] {
  const { options, verdict, person, databaseRestarts, audit } = result;
  const failures = Object.entries(verdict.failed).map(([code, count]) => `${count} ${code}`);
  const rows: readonly (readonly [string, string])[] = [
    ['nodes, PostgreSQL, seed', `${options.nodes}, ${result.postgres}, ${options.seed}`],
    ['storm, calm', `${result.seconds.storm.toFixed(0)} s, ${result.seconds.calm.toFixed(0)} s`],
    ['SIGKILL of a node', `${result.kills}`],
    ['database restarts', `${databaseRestarts.immediate} immediate, ${databaseRestarts.fast} fast`],
    ['starts tried again, requests sent again', `${result.failedStarts.length}, ${result.clientRetries}`],
    ['runs accepted', `${verdict.accepted}`],
    ['completed, cancelled', `${verdict.completed}, ${verdict.cancelled}`],
    ['failed', failures.length === 0 ? '0' : failures.join(', ')],
    ['lost, not ended', `${verdict.lost}, ${verdict.notEnded}`],
    ['addresses blocked, calls for it', `${verdict.destructive.effects}, ${verdict.destructive.requests}`],
    ['doubled, claimed but not made', `${verdict.destructive.doubled}, ${verdict.destructive.claimedButNotMade}`],
    ['gates: approved, rejected', `${person.approved}, ${person.rejected}`],
    ['uncertain: marked done, retried', `${person.markedDone}, ${person.retried}`],
    ['runs with gaps in their events', `${verdict.brokenSequences}`],
    ['readers, reconnects, wrong', `${verdict.readers.followed}, ${verdict.readers.reconnects}, ${verdict.readers.wrong}`],
    ['audit', `${audit.ok ? 'verifies' : 'DOES NOT VERIFY'}: ${audit.rows} rows in ${audit.chains} chains`],
    ['SIGKILL to running again', describeQuantiles(verdict.takeovers.all)],
    ['  with a database and another node', describeQuantiles(verdict.takeovers.undisturbed)],
    ['violations', `${verdict.violations.length}`],
  ];
  return [...rows.map(([name, value]) => `${name.padEnd(40)} ${value}`), ...verdict.violations.map((violation) => `VIOLATION: ${violation}`)];
}

const seconds = (ms: number): string => (ms / 1_000).toFixed(1);

const describeQuantiles = ({ count, p50Ms, p99Ms, maxMs }: Quantiles): string =>
  count === 0 ? 'none' : `p50 ${seconds(p50Ms)} s, p99 ${seconds(p99Ms)} s, max ${seconds(maxMs)} s (${count} runs)`;
