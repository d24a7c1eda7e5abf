import type { Queryable, Statement } from '../database.ts';
import { run } from '../database.ts';

const FORGET_COUNTERS: Statement = { name: 'forget-quota-counters', text: 'DELETE FROM quota_counters WHERE expires_at < now()' };

export async function forgetExpiredCounters(db: Queryable): Promise<void> {
  await run(db, FORGET_COUNTERS, []);
}
