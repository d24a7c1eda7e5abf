import type { Queryable, Statement } from '../database.ts';
import { run } from '../database.ts';
import { rollUpModelUsage } from './roll-up-model-usage.ts';

const FORGET_COUNTERS: Statement = { name: 'forget-quota-counters', text: 'DELETE FROM quota_counters WHERE expires_at < now()' };
const FORGET_LIMITS: Statement = { name: 'forget-limit-counters', text: 'DELETE FROM limit_counters WHERE expires_at < now()' };
/** Nobody sends a batch again for so long. */
const FORGET_BATCHES: Statement = { name: 'forget-usage-batches', text: "DELETE FROM model_usage_batches WHERE written_at < now() - interval '1 day'" };

/** What counts no more: of policies, of the gateway's limits, the marks of written batches, and who asked in the old hours of the ledger. */
export async function forgetExpiredCounters(db: Queryable): Promise<void> {
  for (const statement of [FORGET_COUNTERS, FORGET_LIMITS, FORGET_BATCHES]) await run(db, statement, []);
  await rollUpModelUsage(db);
}
