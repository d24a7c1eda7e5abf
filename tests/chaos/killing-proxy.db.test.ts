import path from 'node:path';
import { Client } from 'pg';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { TestDatabase } from '../../internal/store/src/testing/test-database.ts';
import { createTestDatabase } from '../../internal/store/src/testing/test-database.ts';
import type { Answered, KillingProxy, Seen } from './killing-proxy.ts';
import { startKillingProxy } from './killing-proxy.ts';

let database: TestDatabase;
let proxy: KillingProxy;
let client: Client;
let seen: Answered[];
let stopAt: { readonly name: string; readonly moment: 'before' | 'after' } | null;
let stopped: Promise<void>;

beforeEach(async () => {
  database = await createTestDatabase({ content: 'empty' });
  seen = [];
  stopAt = null;
  const isMeant = (moment: string, { name }: Seen): boolean => stopAt?.name === name && stopAt.moment === moment;
  let announce = (): void => undefined;
  stopped = new Promise((resolve) => (announce = resolve));
  proxy = await startKillingProxy({
    upstream: path.join(database.connection.host, `.s.PGSQL.${database.connection.port}`),
    stopBefore: (statement) => isMeant('before', statement),
    stopAfter: (statement) => {
      seen.push(statement);
      return isMeant('after', statement);
    },
    onStop: () => announce(),
  });
  client = await connect();
  await client.query('CREATE TABLE things (id int PRIMARY KEY)');
});

afterEach(async () => {
  await client.end().catch(() => undefined);
  await proxy.close();
  await database.drop();
});

async function connect(): Promise<Client> {
  const { user, password } = database.connection;
  const opened = new Client({ host: '127.0.0.1', port: proxy.port, user, password, database: database.name });
  opened.on('error', () => undefined);
  await opened.connect();
  return opened;
}

const insert = (id: number): Promise<unknown> => client.query({ name: 'insert-thing', text: 'INSERT INTO things VALUES ($1) ON CONFLICT DO NOTHING', values: [id] });

/** Past the proxy. */
async function things(): Promise<readonly number[]> {
  const direct = new Client({ connectionString: database.url });
  await direct.connect();
  try {
    return (await direct.query<{ id: number }>('SELECT id FROM things ORDER BY id')).rows.map(({ id }) => id);
  } finally {
    await direct.end();
  }
}

describe('the killing proxy', () => {
  it('knows a statement by its name whenever it is run, and whether it changed rows', async () => {
    await insert(1);
    await insert(2);
    await insert(2);
    await client.query({ name: 'read-things', text: 'SELECT * FROM things' });
    await client.query('SELECT 1');
    const told = seen.map(({ name, writes, isEffective }) => [name, writes, isEffective]);
    expect(told).toEqual([['CREATE', false, false], ['insert-thing', true, true], ['insert-thing', true, true], ['insert-thing', true, false], ['read-things', false, true], ['SELECT', false, true]]);
  });

  it('names the end of a transaction after what was written in it', async () => {
    await client.query('BEGIN');
    await insert(1);
    await client.query('COMMIT');
    await client.query('BEGIN');
    await client.query('COMMIT');
    expect(seen.slice(1).map(({ name, isEffective }) => [name, isEffective])).toEqual([['BEGIN', false], ['insert-thing', true], ['COMMIT insert-thing', true], ['BEGIN', false], ['COMMIT', false]]);
  });

  it('stops before PostgreSQL hears of a statement: it was not done, and the next client is served again', async () => {
    await insert(1);
    stopAt = { name: 'insert-thing', moment: 'before' };
    const lost = insert(2).catch((error: unknown) => error);
    await stopped;
    proxy.release();
    expect(await lost).toBeInstanceOf(Error);
    expect(await things()).toEqual([1]);
    stopAt = null;
    client = await connect();
    await insert(3);
    expect(await things()).toEqual([1, 3]);
  });

  it('stops after PostgreSQL has answered: it was done, and the client never learned', async () => {
    stopAt = { name: 'insert-thing', moment: 'after' };
    const lost = insert(2).catch((error: unknown) => error);
    await stopped;
    expect(await things()).toEqual([2]);
    proxy.release();
    expect(await lost).toBeInstanceOf(Error);
  });

  it('a transaction that is stopped before its commit leaves nothing', async () => {
    stopAt = { name: 'COMMIT insert-thing', moment: 'before' };
    await client.query('BEGIN');
    await insert(1);
    const lost = client.query('COMMIT').catch((error: unknown) => error);
    await stopped;
    proxy.release();
    expect(await lost).toBeInstanceOf(Error);
    await expect.poll(things).toEqual([]);
  });

  it('refuses encryption, which it could not read', async () => {
    const { user, password } = database.connection;
    const encrypted = new Client({ host: '127.0.0.1', port: proxy.port, user, password, database: database.name, ssl: true });
    await expect(encrypted.connect()).rejects.toThrow('does not support SSL');
  });
});
