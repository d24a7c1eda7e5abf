import type { Pool, PoolClient, QueryResultRow } from 'pg';
import type { Statement } from './database.ts';
import { runPlanned, toStoreError } from './database.ts';

/**
 * One connection of a pool, kept by one user who sends one statement at a time. A statement is planned once
 * per connection, so whoever sends the same one all the time must not be handed another connection each time.
 * The statements must name the columns that they give: a plan that a migration has made stale is not made again.
 * One that broke is thrown away and the next statement takes a fresh one.
 */
export interface HeldConnection {
  /** Sent in the same turn of the event loop once there is a connection. Errors as in `run`. */
  readonly run: <Row extends QueryResultRow>(statement: Statement, values: readonly unknown[]) => Promise<readonly Row[]>;
  /** Gives the connection back; the next `run` takes one again. */
  readonly release: () => void;
}

/** `settings` are made once for each connection that is taken, e.g. `SET enable_seqscan = off`. */
export function createHeldConnection(pool: Pool, settings: string): HeldConnection {
  let held: PoolClient | null = null;

  const drop = (client: PoolClient): void => {
    if (held !== client) return;
    held = null;
    client.release(true);
  };

  return {
    run: async <Row extends QueryResultRow>(statement: Statement, values: readonly unknown[]) => {
      const client = held ?? (await take());
      try {
        return (await runPlanned<Row>(client, statement, values)).rows;
      } catch (thrown) {
        // A statement that was refused leaves the connection whole; anything else may have broken it.
        if (toStoreError(thrown).code === 'unavailable') drop(client);
        throw thrown;
      }
    },
    release: () => {
      const client = held;
      held = null;
      // The next one to be handed it must not inherit the settings.
      client?.release(true);
    },
  };

  async function take(): Promise<PoolClient> {
    const client = await pool.connect();
    held = client;
    // For as long as the connection lives: an error that nobody listens to ends the process, and there may be two.
    client.on('error', () => drop(client));
    client.once('end', () => drop(client));
    try {
      await client.query(settings);
    } catch (thrown) {
      drop(client);
      throw toStoreError(thrown);
    }
    return client;
  }
}
