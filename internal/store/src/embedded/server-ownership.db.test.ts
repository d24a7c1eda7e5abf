import { chown, lstat, readdir, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { Client } from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { bundleFixture, type BundledProgram } from '../testing/bundle-fixture.ts';
import { startOwnerProcess, type OwnerProcess } from '../testing/owner-process.ts';
import { readTestBinDir } from '../testing/test-binaries.ts';
import { createTestFolder, type TestFolder } from '../testing/test-folder.ts';
import { openEmbeddedServer, type EmbeddedServer } from './open-embedded-server.ts';
import { waitUntilGone } from './process-state.ts';

const binDir = readTestBinDir();
const GONE_TIMEOUT_MS = 10_000;

let program: BundledProgram;
let folder: TestFolder;
const started: OwnerProcess[] = [];
const opened: EmbeddedServer[] = [];

beforeAll(async () => {
  program = await bundleFixture('owner-fixture');
});
afterAll(() => program.remove());

beforeEach(async () => {
  folder = await createTestFolder();
});
afterEach(async () => {
  for (const server of opened.splice(0)) await server.close();
  for (const owner of started.splice(0)) await owner.kill();
  await folder.remove();
});

function startOwner(options: { readonly uid?: number } = {}): OwnerProcess {
  const owner = startOwnerProcess(program.file, folder.path, options);
  started.push(owner);
  return owner;
}

async function open(): Promise<EmbeddedServer> {
  const server = await openEmbeddedServer({ dataDir: folder.path, binDir });
  opened.push(server);
  return server;
}

async function connect(server: EmbeddedServer): Promise<Client> {
  const client = new Client({ connectionString: server.url });
  client.on('error', () => undefined);
  await client.connect();
  return client;
}

describe('a state folder has one owner', () => {
  test('a second process is refused, and told who the owner is and what to do', async () => {
    const server = await open();
    const outcome = await startOwner().outcome;
    expect(outcome).toMatchObject({ kind: 'failed', code: 'conflict', details: { path: folder.path, pid: process.pid } });
    expect(outcome.kind === 'failed' && outcome.message).toMatch(new RegExp(`${folder.path}.*pid ${process.pid}.*another state folder`));
    const client = await connect(server);
    expect((await client.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
    await client.end();
  });

  test.each([1, 2, 3])('of several that start together on a new folder one wins, and the others name it (round %i)', async () => {
    expect(await countWinners([startOwner(), startOwner(), startOwner()])).toBe(1);
    expect((await readdir(join(folder.path, 'postgres'))).sort()).toEqual(['data', 'password', 'server.log']);
  });

  test.each([1, 2, 3])('of several that start together on a stopped folder one wins, and the others name it (round %i)', async () => {
    await (await open()).close();
    expect(await countWinners([startOwner(), startOwner(), startOwner()])).toBe(1);
  });

  test('of several that start together after a crash of everything one wins, and the others name it', async () => {
    const first = startOwner();
    const outcome = await first.outcome;
    if (outcome.kind !== 'opened') throw new Error(outcome.message);
    process.kill(outcome.serverPid, 'SIGKILL');
    await first.kill();
    expect(await countWinners([startOwner(), startOwner(), startOwner()])).toBe(1);
  });

  test('when the owner stops, the next gets the folder at once, though the server was another process’s child', async () => {
    const owner = startOwner();
    await owner.waitFor('opened');
    owner.send('close');
    await owner.waitFor('closed');
    expect((await open()).adopted).toBe(false);
  });
});

/** Checks that whoever lost was told of the winner. */
async function countWinners(owners: readonly OwnerProcess[]): Promise<number> {
  const outcomes = await Promise.all(owners.map((owner) => owner.outcome));
  const winners = owners.filter((_, index) => outcomes[index]?.kind === 'opened');
  const losers = outcomes.filter((outcome) => outcome.kind === 'failed');
  expect(losers.map((loser) => [loser.code, loser.details['pid']])).toEqual(losers.map(() => ['conflict', winners[0]?.pid]));
  winners[0]?.send('close');
  await winners[0]?.waitFor('closed');
  return winners.length;
}

describe('kill -9', () => {
  test('of the first start in the middle of initdb leaves nothing half-made', async () => {
    const owner = startOwner();
    const home = join(folder.path, 'postgres');
    const listLeftovers = async (): Promise<readonly string[]> => (await readdir(home).catch(() => [])).filter((name) => name.startsWith('data.init-'));
    await expect.poll(listLeftovers, { interval: 5 }).toHaveLength(1);
    await owner.kill();
    await expect(lstat(join(home, 'data'))).rejects.toThrow('ENOENT');

    await (await open()).close();
    const leftovers = await listLeftovers();
    expect(leftovers).toHaveLength(1);
    await utimes(join(home, leftovers[0] ?? ''), 0, 0);
    await open();
    expect(await listLeftovers()).toEqual([]);
  });

  test('of the owner leaves the server to the next, with every acknowledged row', async () => {
    const owner = startOwner();
    const { serverPid } = await owner.waitFor('opened');
    owner.send('insert');
    await owner.waitFor('inserted', ({ id }) => id >= 100);
    await owner.kill();

    const next = startOwner();
    const adoption = await next.waitFor('opened');
    expect(adoption).toMatchObject({ adopted: true, serverPid });
    expect(adoption.openMs).toBeLessThan(1_500);
    await next.kill();
    await expectAcknowledged(owner, await open());
  });

  test.each([1, 2, 3])('of owner and server at once under a load of inserts loses no acknowledged row (round %i)', async () => {
    const owner = startOwner();
    const { serverPid } = await owner.waitFor('opened');
    owner.send('insert');
    await owner.waitFor('inserted', ({ id }) => id >= 200);
    process.kill(serverPid, 'SIGKILL');
    await owner.kill();

    const server = await open();
    expect(server.adopted).toBe(false);
    await expectAcknowledged(owner, server);
  });

  test('of the server is told to its owner, whether the owner started or adopted it', async () => {
    const server = await open();
    process.kill(server.pid, 'SIGKILL');
    expect(await server.died).toMatchObject({ code: 'unavailable', details: { pid: server.pid } });
    await opened.pop()?.close();

    const owner = startOwner();
    const { serverPid } = await owner.waitFor('opened');
    await owner.kill();
    const next = startOwner();
    expect(await next.waitFor('opened')).toMatchObject({ adopted: true, serverPid });
    process.kill(serverPid, 'SIGKILL');
    expect((await next.waitFor('died')).message).toContain(`pid ${serverPid}`);
  });

  test('of one backend costs neither the server nor the ownership', async () => {
    const server = await open();
    const client = await connect(server);
    const { rows } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
    const ended = new Promise((resolve) => client.once('end', resolve));
    process.kill(rows[0]?.pid ?? 0, 'SIGKILL');
    await ended;
    await waitUntilOwned(server);
    expect(await startOwner().outcome).toMatchObject({ kind: 'failed', code: 'conflict', details: { pid: process.pid } });
  });

  test('of the server while a backend computes on: the next start waits for it and then recovers', async () => {
    const server = await open();
    const client = await connect(server);
    await client.query('CREATE TABLE kept AS SELECT 1 AS one');
    const { rows } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
    // A backend that never waits does not see that its server is gone, and holds on to the shared memory.
    const computing = client.query(`DO $$ DECLARE till timestamptz := clock_timestamp() + interval '2 seconds'; BEGIN WHILE clock_timestamp() < till LOOP END LOOP; END $$`);
    computing.catch(() => undefined);
    await expect.poll(() => isComputing(server, rows[0]?.pid)).toBe(true);
    process.kill(server.pid, 'SIGKILL');
    await server.died;

    const next = await open();
    expect(next.adopted).toBe(false);
    const reader = await connect(next);
    expect((await reader.query('SELECT one FROM kept')).rows).toEqual([{ one: 1 }]);
    await reader.end();
  });
});

describe.runIf(process.getuid?.() === 0)('an ordinary user', () => {
  /** "daemon": there is one on every Linux and macOS. */
  const ORDINARY_UID = 1;
  const NAMELESS_UID = 43_210;

  test('needs no rights of root, and root afterwards runs the server as that user', async () => {
    await chown(folder.path, ORDINARY_UID, ORDINARY_UID);
    const owner = startOwner({ uid: ORDINARY_UID });
    const { serverPid } = await owner.waitFor('opened');
    expect((await stat(`/proc/${serverPid}`)).uid).toBe(ORDINARY_UID);
    await owner.kill();
    const adopted = await open();
    expect(adopted).toMatchObject({ adopted: true, pid: serverPid });
    await adopted.close();

    const server = await open();
    expect((await stat(`/proc/${server.pid}`)).uid).toBe(ORDINARY_UID);
    await server.close();
    const again = startOwner({ uid: ORDINARY_UID });
    await again.waitFor('opened');
    again.send('close');
    await again.waitFor('closed');
  });

  test('is told so when the folder belongs to another', async () => {
    await (await open()).close();
    expect(await startOwner({ uid: ORDINARY_UID }).outcome).toMatchObject({ kind: 'failed', code: 'permission_denied' });
  });

  test('without a name is told what PostgreSQL misses', async () => {
    await chown(folder.path, NAMELESS_UID, NAMELESS_UID);
    expect(await startOwner({ uid: NAMELESS_UID }).outcome).toMatchObject({ kind: 'failed', code: 'unsupported', details: { uid: NAMELESS_UID }, message: expect.stringContaining('/etc/passwd') });
  });
});

async function isComputing(server: EmbeddedServer, pid: number | undefined): Promise<boolean> {
  const client = await connect(server);
  const { rowCount } = await client.query(`SELECT 1 FROM pg_stat_activity WHERE pid = $1 AND state = 'active'`, [pid]);
  await client.end();
  return rowCount === 1;
}

async function expectAcknowledged(owner: OwnerProcess, server: EmbeddedServer): Promise<void> {
  const acknowledged = owner.reports.filter((report) => report.kind === 'inserted').map(({ id }) => id);
  const client = await connect(server);
  const { rows } = await client.query<{ id: string }>('SELECT id FROM acknowledged ORDER BY id');
  await client.end();
  const kept = new Set(rows.map(({ id }) => Number(id)));
  expect(acknowledged.length).toBeGreaterThanOrEqual(100);
  expect(acknowledged.filter((id) => !kept.has(id))).toEqual([]);
}

/** Waits until the server answers again and the lock is held. */
async function waitUntilOwned(server: EmbeddedServer): Promise<void> {
  await expect
    .poll(
      async () => {
        const client = await connect(server);
        const { rows } = await client.query<{ n: string }>(`SELECT count(*) AS n FROM pg_locks WHERE locktype = 'advisory' AND granted`);
        await client.end();
        return rows[0]?.n;
      },
      { timeout: GONE_TIMEOUT_MS },
    )
    .toBe('1');
  expect(await waitUntilGone(server.pid, join(folder.path, 'postgres', 'data'), 0)).toBe(false);
}
