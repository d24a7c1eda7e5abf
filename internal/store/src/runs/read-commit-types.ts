import type { Queryable, Statement } from '../database.ts';
import { run } from '../database.ts';
import { COMMIT_TYPES } from './commit-rows.ts';

/** The number of each composite type in this database: whoever sends a binary array must name its type by it. */
export type TypeOids = ReadonlyMap<string, number>;

const READ_COMMIT_TYPES: Statement = {
  name: 'read-commit-types',
  text: 'SELECT name, name::regtype::oid::int8::text AS oid FROM unnest($1::text[]) AS name',
};

export async function readCommitTypes(db: Queryable): Promise<TypeOids> {
  const { rows } = await run<{ name: string; oid: string }>(db, READ_COMMIT_TYPES, [COMMIT_TYPES.map(({ name }) => name)]);
  return new Map(rows.map(({ name, oid }) => [name, Number(oid)]));
}
