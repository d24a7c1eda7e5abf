import { describe, expect, test } from 'vitest';
import { migrations } from './index.ts';

/** What breaks a program that does not know of it. Comments may speak of these things. */
const CONTRACTS = /\bDROP\s+(?:TABLE|COLUMN|CONSTRAINT|FUNCTION|INDEX)|\bRENAME\b|\bSET\s+NOT\s+NULL|\bALTER\s+COLUMN\s+\S+\s+TYPE|\bTRUNCATE\b/i;
/** A column that has no value for rows that an older program inserts. */
const FORCED_COLUMN = /\bADD\s+COLUMN\b(?![^,;]*\bDEFAULT\b)[^,;]*\bNOT\s+NULL\b/i;
const LOCKING_INDEX = /\bCREATE\s+(?:UNIQUE\s+)?INDEX\s+(?!CONCURRENTLY\b)/i;
/** From here on the rules for authors in CONTRIBUTING.md hold; the first ones were written before them. */
const FIRST_UNDER_RULES = 4;

const withoutComments = (sql: string): string => sql.replaceAll(/--.*$/gm, '');

describe.each(migrations.filter(({ number }) => number >= FIRST_UNDER_RULES))('migration $number ($name)', (migration) => {
  const sql = withoutComments(migration.sql);

  test('says which oldest program can live with it', () => {
    expect(migration.oldestProgram, 'oldestProgram').toBeGreaterThan(0);
    expect(migration.oldestProgram).toBeLessThanOrEqual(migration.number);
  });

  test('only adds, unless it needs a program that knows it', () => {
    if (migration.oldestProgram === migration.number) return;
    expect(CONTRACTS.exec(sql)?.[0]).toBeUndefined();
    expect(FORCED_COLUMN.exec(sql)?.[0]).toBeUndefined();
  });

  test('builds no index under a lock on a table that is in use', () => {
    const made = [...sql.matchAll(/CREATE\s+TABLE\s+(\w+)/gi)].map((match) => match[1]);
    const locking = sql.split(';').filter((statement) => LOCKING_INDEX.test(statement) && !made.includes(/\bON\s+(\w+)/i.exec(statement)?.[1]));
    expect(locking).toEqual([]);
  });

  test('is one statement that makes the index that it names, if it makes one concurrently', () => {
    expect(/CONCURRENTLY/i.test(sql)).toBe(migration.kind === 'index');
    if (migration.kind !== 'index') return;
    expect(sql).toMatch(new RegExp(`^\\s*CREATE (?:UNIQUE )?INDEX CONCURRENTLY ${migration.index} ON [^;]*;?\\s*$`));
  });
});

test('the rules find what they are there to find', () => {
  expect('ALTER TABLE runs DROP COLUMN x').toMatch(CONTRACTS);
  expect('ALTER TABLE runs RENAME COLUMN x TO y').toMatch(CONTRACTS);
  expect('ALTER TABLE runs ADD COLUMN x INT NOT NULL').toMatch(FORCED_COLUMN);
  expect('ALTER TABLE runs ADD COLUMN x INT NOT NULL DEFAULT 1').not.toMatch(FORCED_COLUMN);
  expect('CREATE INDEX x ON runs (id)').toMatch(LOCKING_INDEX);
  expect('CREATE UNIQUE INDEX CONCURRENTLY x ON runs (id)').not.toMatch(LOCKING_INDEX);
});
