import { statfs } from 'node:fs/promises';
import type { Clock } from '@openeaap/kernel';
import { PlatformError, toPlatformError } from '@openeaap/kernel';
import type { Migration, Queryable } from '@openeaap/store';
import {
  compareMigrations,
  countStuckRuns,
  countWaitingApprovals,
  listIdleTransactions,
  listMigrations,
  listNodeFacts,
  listTableFacts,
  listUnsignedTails,
  readOldestEndedRun,
  readServerFacts,
} from '@openeaap/store';
import type { Check } from './check.ts';
import { ok, problem } from './check.ts';
import { judgeApprovals, judgeArchive, judgeAuditTails, judgeClocks, judgeDisk, judgeIdleTransactions, judgeMigrations, judgeNodes, judgeRoundTrip, judgeServer, judgeStuckRuns, judgeTables } from './judge.ts';
import { DIAGNOSIS } from './limits.ts';
import { measureClock } from './measure-clock.ts';

export interface DiagnosisOptions {
  readonly db: Queryable;
  readonly migrations: readonly Migration[];
  readonly clock: Clock;
  /** The state folder, and whether the database lies in it too. */
  readonly dataDir: string;
  readonly isEmbedded: boolean;
}

/** Looks at everything that an operator would; never rejects: what cannot be looked at is a problem. */
export async function diagnose(options: DiagnosisOptions): Promise<readonly Check[]> {
  const { db, clock } = options;
  const part = (name: string, look: () => Promise<readonly Check[]>): Promise<readonly Check[]> => lookAt(name, clock, look);
  const server = await part('postgresql', async () => judgeServer(await readServerFacts(db)));
  const disk = await part('disk', () => lookAtDisk(options));
  // The others would each say the same.
  if (server.length === 1) return [...server, ...disk];
  const state = compareMigrations(await listMigrations(db).catch(() => []), options.migrations);
  const migrations = judgeMigrations(state);
  if (state.applied < options.migrations.length) return [...server, migrations, ...disk];
  const parts = [
    await part('clock', () => lookAtClockAndNodes(options)),
    await part('runs', async () => judgeStuckRuns(await countStuckRuns(db, { lateMs: DIAGNOSIS.dueMs.warning, silentMs: DIAGNOSIS.silentMs.warning, count: DIAGNOSIS.stuckRuns }))),
    await part('approvals', async () => [judgeApprovals(await countWaitingApprovals(db, DIAGNOSIS.overdueApprovalMs))]),
    await part('audit_signatures', async () => [judgeAuditTails(await listUnsignedTails(db, DIAGNOSIS.unsignedMs))]),
    await part('tables', async () => {
      const { bytes, tables } = await listTableFacts(db);
      return judgeTables(bytes, tables);
    }),
    await part('archive', async () => [judgeArchive(await readOldestEndedRun(db))]),
    await part('idle_transactions', async () => [judgeIdleTransactions(await listIdleTransactions(db, DIAGNOSIS.idleTransactionMs.warning))]),
  ];
  return [...server, migrations, ...parts.flat(), ...disk];
}

async function lookAtClockAndNodes({ db, clock }: DiagnosisOptions): Promise<readonly Check[]> {
  const measured = await measureClock(db, clock);
  const nodes = await listNodeFacts(db, DIAGNOSIS.nodes);
  return [judgeRoundTrip(measured.roundTripMs), judgeClocks(measured.aheadMs, measured.roundTripMs / 2, nodes), judgeNodes(nodes)];
}

async function lookAtDisk({ dataDir, isEmbedded }: DiagnosisOptions): Promise<readonly Check[]> {
  const disk = await statfs(dataDir).catch(() => null);
  if (disk === null) return [ok('disk', `not known: there is no state folder ${dataDir}`)];
  const place = isEmbedded ? 'where the database and the state folder lie' : "where the state folder lies; the database's own disk is not visible from here";
  return [judgeDisk(place, disk.bavail * disk.bsize)];
}

/** What hangs is cut off, what fails is said; the error's text may hold values, so only its code is shown. */
async function lookAt(name: string, clock: Clock, look: () => Promise<readonly Check[]>): Promise<readonly Check[]> {
  const over = new AbortController();
  const late = clock.sleep(DIAGNOSIS.partTimeoutMs, over.signal).then(() => {
    throw new PlatformError('unavailable', `no answer within ${DIAGNOSIS.partTimeoutMs / 1_000} s`);
  });
  late.catch(() => undefined);
  try {
    return await Promise.race([look(), late]);
  } catch (thrown) {
    const error = toPlatformError(thrown);
    const cause = error.cause instanceof Error && 'code' in error.cause ? ` (${String(error.cause.code)})` : '';
    return [problem(name, `not known: ${error.message}${cause}`, name === 'postgresql' ? 'Check that the database server runs and can be reached from here, and DATABASE_URL.' : 'Look at the log of the database, and whether the role of DATABASE_URL may read this.')];
  } finally {
    over.abort();
  }
}
