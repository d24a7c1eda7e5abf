import { Pool } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { COMMIT_TYPES } from '../runs/commit-rows.ts';
import { readCommitTypes } from '../runs/read-commit-types.ts';
import type { TestDatabase } from '../testing/test-database.ts';
import { createTestDatabase } from '../testing/test-database.ts';
import type { CompositeType } from './composite-array.ts';
import { bool, int4, int8, jsonb, jsonbText, text, timestamptz, timestamptzText, toCompositeArray, uuid } from './composite-array.ts';

let database: TestDatabase;
let db: Pool;
beforeAll(async () => {
  database = await createTestDatabase();
  db = new Pool({ connectionString: database.url, max: 2 });
  await db.query('CREATE TYPE every_kind AS (i int4, big int8, flag bool, id uuid, words text, at timestamptz, exact timestamptz, data jsonb, made jsonb)');
});
afterAll(async () => {
  await db.end();
  await database.drop();
});

interface Row {
  readonly big: number | null;
  readonly flag: boolean | null;
  readonly id: string | null;
  readonly words: string | null;
  readonly at: Date | null;
  readonly exact: string | null;
  readonly data: object | null;
}

const EVERY_KIND: CompositeType<Row> = {
  name: 'every_kind',
  columns: [
    int4('i', (_row, place) => place),
    int8('big', (row) => row.big),
    bool('flag', (row) => row.flag),
    uuid('id', (row) => row.id),
    text('words', (row) => row.words),
    timestamptz('at', (row) => row.at),
    timestamptzText('exact', (row) => row.exact),
    jsonb('data', (row) => row.data),
    jsonbText('made', (row) => (row.data === null ? null : JSON.stringify({ keys: Object.keys(row.data).length }))),
  ],
};

const NOTHING: Row = { big: null, flag: null, id: null, words: null, at: null, exact: null, data: null };

async function roundTrip(rows: readonly Row[], places = rows.map((_row, index) => index)): Promise<readonly object[]> {
  const oid = Number((await db.query<{ oid: string }>(`SELECT 'every_kind'::regtype::oid::int8 AS oid`)).rows[0]?.oid);
  const { rows: read } = await db.query<object>({
    text: `SELECT i, big, flag, id, words, at, to_char(exact AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS exact, data, made FROM unnest($1::every_kind[])`,
    values: [toCompositeArray(EVERY_KIND, oid, rows, places)],
  });
  return read;
}

describe('rows as a binary array', () => {
  test('come back as they were, whatever is in them', async () => {
    const rows: readonly Row[] = [
      { big: 0, flag: true, id: '01a20de2-dc7f-7363-9b10-4d4752a71ce3', words: '', at: new Date(0), exact: '2026-11-24T14:08:21.689123Z', data: {} },
      { big: 9_007_199_254_740_991, flag: false, id: 'FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF', words: 'a"b\\c{d},NULL', at: new Date('1999-12-31T23:59:59.999Z'), exact: '1969-07-20T20:17:40.000001Z', data: { 'a"': ['\u{1F600}', 1.5, null] } },
      { big: -9_007_199_254_740_991, flag: null, id: '00000000-0000-0000-0000-000000000000', words: `ü中\u{1F600}${'x'.repeat(40)}é`, at: new Date('2286-11-20T17:46:39.999Z'), exact: '2026-11-24T14:08:21.689123Z', data: [1] },
      { ...NOTHING, words: '中'.repeat(100_000) },
      NOTHING,
    ];
    const read = await roundTrip(rows, [4, 3, 2, 1, -1]);
    const expected = rows.map((row, index) => ({ ...row, i: [4, 3, 2, 1, -1][index], big: row.big === null ? null : String(row.big), id: row.id?.toLowerCase() ?? null, made: row.data === null ? null : { keys: Object.keys(row.data).length } }));
    expect(read).toEqual(expected);
  });

  test('may be none', async () => {
    expect(await roundTrip([])).toEqual([]);
  });

  test('lose what PostgreSQL cannot hold, and nothing else: NUL and lone surrogates', async () => {
    const read = await roundTrip([{ ...NOTHING, words: 'a\0b\uD800c\u{1F600}\uDC00', data: { 'k\0': 'v\uDFFF\u{1F600}' } }]);
    expect(read).toMatchObject([{ words: 'abc\u{1F600}', data: { k: 'v\u{1F600}' } }]);
  });

  test.each(['', 'x', '01a20de2-dc7f-7363-9b10-4d4752a71ce', '01a20de2-dc7f-7363-9b10-4d4752a71ce33', '01a20de2-dc7f-7363-9b10-4d4752a71cg3'])('refuse %j, which is no UUID', (id) => {
    expect(() => toCompositeArray(EVERY_KIND, 1, [{ ...NOTHING, id }], [0])).toThrow(RangeError);
  });

  test.each([
    [{ big: 1.5 }, 'big is 1.5'],
    [{ big: Number.NaN }, 'big is NaN'],
    [{ big: 2 ** 53 }, 'big is 9007199254740992'],
    [{ at: new Date(Number.NaN) }, 'at is no time'],
    [{ exact: 'yesterday' }, 'exact is no time'],
  ])('refuse %j, and say which column it is', (changes, message) => {
    expect(() => toCompositeArray(EVERY_KIND, 1, [{ ...NOTHING, ...changes }], [0])).toThrow(message);
  });

  test.each([0.5, 2 ** 31, Number.NaN])('refuse %d where a whole number of 32 bits belongs', (place) => {
    expect(() => toCompositeArray(EVERY_KIND, 1, [NOTHING], [place])).toThrow('i is');
  });
});

describe('the types of commits', () => {
  test('have exactly the columns that are sent, in that order', async () => {
    const oids = await readCommitTypes(db);
    for (const type of COMMIT_TYPES) {
      const { rows } = await db.query(`SELECT a.attname AS name, t.typname AS "sqlType" FROM pg_type c JOIN pg_attribute a ON a.attrelid = c.typrelid JOIN pg_type t ON t.oid = a.atttypid WHERE c.oid = $1 ORDER BY a.attnum`, [oids.get(type.name)]);
      expect(rows, `columns of ${type.name}`).toEqual(type.columns.map(({ name, sqlType }) => ({ name, sqlType })));
    }
  });
});
