import { expect, test } from 'vitest';
import type { ServerFacts } from '@openeaap/store';
import { judgeArchive, judgeDisk, judgeIdleTransactions, judgeRoundTrip, judgeServer, judgeTables } from './judge.ts';

const HEALTHY: ServerFacts = {
  version: '18.4', versionNumber: 180_004, fsync: 'on', synchronousCommit: 'on', fullPageWrites: 'on', isStandby: false,
  usableConnections: 100, connections: 20, hasAuditPartition: true, hasNextAuditPartition: true, monthEndsInDays: 10,
};
const statuses = (over: Partial<ServerFacts>) => Object.fromEntries(judgeServer({ ...HEALTHY, ...over }).map(({ name, status }) => [name, status]));

test.each([
  [{}, { postgresql: 'ok', durability: 'ok', connections: 'ok', audit_partitions: 'ok' }],
  [{ versionNumber: 140_010 }, { postgresql: 'problem' }],
  [{ isStandby: true }, { postgresql: 'problem' }],
  [{ synchronousCommit: 'off' }, { durability: 'warning' }],
  [{ synchronousCommit: 'remote_apply' }, { durability: 'ok' }],
  [{ fullPageWrites: 'off' }, { durability: 'warning' }],
  [{ connections: 80 }, { connections: 'warning' }],
  [{ connections: 96 }, { connections: 'problem' }],
  [{ hasNextAuditPartition: false }, { audit_partitions: 'warning' }],
  [{ hasNextAuditPartition: false, monthEndsInDays: 2 }, { audit_partitions: 'problem' }],
  [{ hasAuditPartition: false }, { audit_partitions: 'problem' }],
])('a server with %o is judged %o', (over, expected) => {
  expect(statuses(over)).toMatchObject(expected);
});

test('sizes, ages and distances have a first and a second limit', () => {
  const gib = 1_073_741_824;
  expect([50, 4, 0.5].map((free) => judgeDisk('here', free * gib).status)).toEqual(['ok', 'warning', 'problem']);
  expect([0.4, 20, 400].map((ms) => judgeRoundTrip(ms).status)).toEqual(['ok', 'warning', 'problem']);
  expect([null, 86_400_000, 400 * 86_400_000].map((ms) => judgeArchive(ms).status)).toEqual(['ok', 'ok', 'warning']);
  const idle = (openMs: number) => judgeIdleTransactions([{ pid: 7, applicationName: 'psql', openMs }]);
  expect([judgeIdleTransactions([]).status, idle(90_000).status, idle(700_000).status]).toEqual(['ok', 'warning', 'problem']);
  expect(idle(700_000).summary).toBe('1 session with an open transaction and nothing to do, the oldest for 12 min: pid 7 (psql)');
  const bloated = judgeTables(3e9, [{ name: 'runs', bytes: 3e9, liveRows: 200_000, deadRows: 150_000 }]);
  expect(bloated).toMatchObject([{ summary: '2.8 GiB in all: runs 2.8 GiB' }, { status: 'warning', summary: 'runs 150000 dead to 200000 live', cure: expect.stringContaining('VACUUM runs') }]);
});
