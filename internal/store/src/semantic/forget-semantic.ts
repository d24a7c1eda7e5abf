import type { Queryable } from '../database.ts';
import { run } from '../database.ts';

/** Rows of one statement, so that none takes long. */
const FORGOTTEN_MAX = 1_000;

const FORGET_EXPIRED = {
  name: 'forget-expired-semantic',
  text: `
DELETE FROM semantic_cache
WHERE ctid = ANY (ARRAY(SELECT ctid FROM semantic_cache WHERE expires_at <= to_timestamp($1::float8 / 1000) ORDER BY expires_at LIMIT ${FORGOTTEN_MAX} FOR UPDATE SKIP LOCKED))`,
} as const;

/** What would expire first goes first. */
const FORGET_SURPLUS = {
  name: 'forget-surplus-semantic',
  text: `
DELETE FROM semantic_cache
WHERE ctid = ANY (ARRAY(SELECT ctid FROM semantic_cache ORDER BY expires_at DESC OFFSET $1 LIMIT ${FORGOTTEN_MAX}))`,
} as const;

/** What is over, and what is more than `maxEntries` of all tenants together. */
export async function forgetSemantic(db: Queryable, { nowMs, maxEntries }: { readonly nowMs: number; readonly maxEntries: number }): Promise<void> {
  await run(db, FORGET_EXPIRED, [nowMs]);
  await run(db, FORGET_SURPLUS, [maxEntries]);
}
