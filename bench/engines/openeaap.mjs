// OpenEAAP: one node of it over one database, through the doors of its rooms. See ../steps.mjs.
import { createWorld, pg } from '../steps.mjs';

const POLL_MS = 50;
/** Connections of the pool: what the product's server takes. */
const POOL_CONNECTIONS = 20;

export async function open({ url, steps, hooks, options }) {
  const pool = new pg.Pool({ connectionString: url, max: POOL_CONNECTIONS });
  pool.on('error', () => undefined);
  const world = await createWorld(pool, { stepsPerRun: steps, effect: options.effect, soleOwner: options.soleOwner ?? false, hooks });
  return {
    start: world.start,
    // Claimed by itself. A call that may have happened, and must not happen twice, waits for a person.
    recover: async () => {
      for (;;) {
        const { rows } = await pool.query('SELECT status, count(*)::int AS n FROM runs GROUP BY status');
        const count = (...statuses) => rows.filter((row) => statuses.includes(row.status)).reduce((sum, row) => sum + row.n, 0);
        if (count('pending', 'running') === 0) return { finished: count('completed'), waiting: count('paused') };
        await new Promise((resolve) => setTimeout(resolve, POLL_MS));
      }
    },
    close: async () => {
      await world.close();
      await pool.end();
    },
  };
}
