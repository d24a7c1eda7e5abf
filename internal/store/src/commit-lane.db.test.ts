import { connect, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import type { RunCommit } from '@openeaap/kernel';
import { randomIds, systemClock } from '@openeaap/kernel';
import { Pool } from 'pg';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { CommitLane } from './commit-lane.ts';
import { createCommitLane } from './commit-lane.ts';
import type { TestDatabase } from './testing/test-database.ts';
import { createTestDatabase } from './testing/test-database.ts';

let database: TestDatabase;
const closers: (() => Promise<unknown>)[] = [];

beforeEach(async () => {
  database = await createTestDatabase();
});
afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close();
  await database.drop();
});

/** The way to the database, with a switch: closed, connections are cut and none is taken. */
async function startSwitch(): Promise<{ readonly url: string; readonly open: () => void; readonly close: () => void }> {
  const target = new URL(database.url);
  const folder = target.searchParams.get('host');
  const sockets = new Set<Socket>();
  let isOpen = true;
  const server = createServer((client) => {
    if (!isOpen) return void client.destroy();
    const upstream = folder === null ? connect(Number(target.port), target.hostname) : connect(`${folder}/.s.PGSQL.${target.searchParams.get('port') ?? (target.port || '5432')}`);
    for (const [from, to] of [[client, upstream], [upstream, client]] as const) {
      sockets.add(from);
      from.on('error', () => to.destroy()).on('close', () => { sockets.delete(from); to.destroy(); }).pipe(to);
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closers.push(() => new Promise((resolve) => { for (const socket of sockets) socket.destroy(); server.close(resolve); }));
  const url = new URL(database.url);
  url.search = '';
  url.hostname = '127.0.0.1';
  url.port = String((server.address() as AddressInfo).port);
  return {
    url: url.toString(),
    open: () => (isOpen = true),
    close: () => {
      isOpen = false;
      for (const socket of sockets) socket.destroy();
    },
  };
}

function openLane(url: string, limits: { readonly patienceMs?: number; readonly queueLimit?: number }): CommitLane {
  const pool = new Pool({ connectionString: url, max: 4, connectionTimeoutMillis: 2_000 });
  pool.on('error', () => undefined);
  const lane = createCommitLane({
    pool,
    chainId: randomIds.newId(),
    toAuditRow: () => {
      throw new Error('nothing is audited here');
    },
    chain: () => [],
    genesis: (chainId) => chainId,
    clock: systemClock,
    retryMs: { first: 5, longest: 20 },
    ...limits,
  });
  closers.push(async () => {
    await lane.close();
    await pool.end();
  });
  return lane;
}

const commitOf = (): RunCommit => ({
  lease: { tenantId: 't', runId: randomIds.newId(), nodeId: randomIds.newId(), epoch: 1 },
  commitNo: 0,
  expectSignalNo: null,
  to: null,
  steps: [],
  journal: [],
  events: [],
  audit: [],
  openApprovals: [],
  expireApprovals: [],
  usage: [],
  settlements: [],
});

describe('the commit lane while the database is away', () => {
  test('what a person sent is refused in time and never done; the commits of runs wait until it is back', async () => {
    const way = await startSwitch();
    const lane = openLane(way.url, { patienceMs: 150 });
    expect(await lane.commitRun(commitOf()), 'nobody owns such a run').toEqual({ kind: 'fenced' });
    way.close();
    const waiting = lane.commitRun(commitOf());
    let attempts = 0;
    await expect(lane.withAudit([], async () => (attempts += 1))).rejects.toMatchObject({ code: 'unavailable', message: expect.stringContaining('Nothing was written') });
    way.open();
    expect(await waiting).toEqual({ kind: 'fenced' });
    expect(await lane.withAudit([], async () => 'done')).toBe('done');
    expect(attempts).toBe(0);
  });

  test('no more than the limit waits; the rest is told at once', async () => {
    const way = await startSwitch();
    const lane = openLane(way.url, { queueLimit: 3 });
    way.close();
    const commits = Array.from({ length: 6 }, () => lane.commitRun(commitOf()).catch((error: unknown) => error));
    const refused = await Promise.all(commits.slice(-2));
    expect(refused).toEqual([expect.objectContaining({ code: 'unavailable' }), expect.objectContaining({ code: 'unavailable' })]);
    way.open();
    expect((await Promise.all(commits)).filter((result) => (result as { kind?: string }).kind === 'fenced').length).toBeGreaterThanOrEqual(3);
  });

  test('a connection that was lost between two commits is made again', async () => {
    const way = await startSwitch();
    const lane = openLane(way.url, {});
    for (let n = 0; n < 3; n += 1) {
      expect(await lane.commitRun(commitOf())).toEqual({ kind: 'fenced' });
      way.close();
      way.open();
    }
    expect(await lane.commitRun(commitOf())).toEqual({ kind: 'fenced' });
  });
});
