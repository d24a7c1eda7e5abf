import type { Pool, QueryResult, QueryResultRow } from 'pg';
import { PlatformError } from '@openeaap/kernel';
import { toStorable } from '@openeaap/security';

/** One SQL statement with a name: PostgreSQL plans it once per connection. */
export interface Statement {
  readonly name: string;
  readonly text: string;
}

export type Queryable = Pick<Pool, 'query'>;

/** Connections with an old plan that one statement may meet: more than any pool of ours has. */
const STALE_PLAN_TRIES = 64;

/**
 * Runs one statement. Errors come out as PlatformError: `unavailable` when the database cannot be
 * reached or went away (the statement may or may not have been done), `internal` otherwise.
 *
 * A newer program may add a column under this one; then each connection refuses its plans of
 * statements that give all columns, before it does anything. The pool throws such a connection away,
 * and the statement is sent again by another. Inside of a transaction that is not possible, so there
 * statements are planned anew each time.
 */
export async function run<Row extends QueryResultRow>(db: Queryable, statement: Statement, values: readonly unknown[]): Promise<QueryResult<Row>> {
  const query = { ...('release' in db ? {} : { name: statement.name }), text: statement.text, values: [...values] };
  for (let tries = 1; ; tries += 1) {
    try {
      return await db.query<Row>(query);
    } catch (thrown) {
      if (tries === STALE_PLAN_TRIES || !isStalePlan(thrown)) throw toStoreError(thrown);
    }
  }
}

/**
 * The same on a connection that the caller holds, planned once for it: for statements that are sent all the time. One that
 * gives all columns of a table may meet a stale plan; then the caller takes another connection (`isStalePlan`).
 */
export async function runPlanned<Row extends QueryResultRow>(client: Queryable, statement: Statement, values: readonly unknown[]): Promise<QueryResult<Row>> {
  try {
    return await client.query<Row>({ name: statement.name, text: statement.text, values: [...values] });
  } catch (thrown) {
    throw toStoreError(thrown);
  }
}

/** PostgreSQL has no SQLSTATE of its own for it; `lc_messages` may translate the text, so the place in its source tells. */
export function isStalePlan(thrown: unknown): boolean {
  return sqlState(thrown) === '0A000' && typeof thrown === 'object' && thrown !== null && 'routine' in thrown && thrown.routine === 'RevalidateCachedQuery';
}

/** SQLSTATE of `openeaap_refuse()`: a fence did not hold, nothing was written. */
export const REFUSED = 'OEA01';

/** SQLSTATE classes that say the server or the way to it is the trouble, not the statement. */
const UNAVAILABLE_CLASSES = new Set(['08', '53', '57', '58', '25']);
/** Two transactions stood in each other's way; the same statement may be sent again. */
const RETRYABLE_STATES = new Set(['40001', '40P01', '55P03']);

export function toStoreError(thrown: unknown): PlatformError {
  if (thrown instanceof PlatformError) return thrown;
  const state = sqlState(thrown);
  if (state === undefined || UNAVAILABLE_CLASSES.has(state.slice(0, 2)) || RETRYABLE_STATES.has(state)) {
    return new PlatformError('unavailable', 'The database did not answer. The request can be sent again.', { cause: thrown });
  }
  return new PlatformError('internal', 'The database refused a statement.', { cause: thrown });
}

/** The SQLSTATE of a server's error; undefined for everything that did not come from the server. */
export function sqlState(thrown: unknown): string | undefined {
  if (typeof thrown !== 'object' || thrown === null || !('code' in thrown) || typeof thrown.code !== 'string') return undefined;
  return /^[0-9A-Z]{5}$/.test(thrown.code) && !/^E[A-Z]{4}$/.test(thrown.code) ? thrown.code : undefined;
}

/**
 * JSON text that PostgreSQL's jsonb takes. It refuses U+0000 and lone surrogates, which model and
 * tool output may hold, in keys as in values; both are left out.
 */
export function toJsonb(value: unknown): string {
  const text = JSON.stringify(value);
  if (!text.includes('\\u') || !/\\u(?:0000|d[89a-f])/i.test(text)) return text;
  return JSON.stringify(value, (_key, item: unknown) => {
    if (typeof item === 'string') return toStorable(item);
    if (typeof item !== 'object' || item === null || Array.isArray(item)) return item;
    return Object.fromEntries(Object.entries(item).map(([key, inner]) => [toStorable(key), inner]));
  });
}
