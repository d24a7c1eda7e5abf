import type { Pool, PoolClient, QueryResultRow } from 'pg';
import type { Statement } from './database.ts';
import { runPlanned, toStoreError } from './database.ts';

/**
 * One connection of a pool, kept by one user. A statement is planned once per connection, so whoever sends the same one
 * all the time must not be handed another connection each time. Statements are sent as they come, without waiting for
 * the answers of those before; the server does them in that order, one at a time, each in a transaction of its own.
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
  let taking: Promise<PoolClient> | null = null;

  /** Several statements may fail by one connection. */
  const dropped = new WeakSet<PoolClient>();
  const drop = (client: PoolClient): void => {
    if (held === client) held = null;
    if (dropped.has(client)) return;
    dropped.add(client);
    client.release(true);
  };

  return {
    run: async <Row extends QueryResultRow>(statement: Statement, values: readonly unknown[]) => {
      const client = held ?? (await (taking ??= take().finally(() => (taking = null))));
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
      // The next one to be handed it must not inherit the settings.
      if (client !== null) drop(client);
    },
  };

  async function take(): Promise<PoolClient> {
    const client = await pool.connect();
    // For as long as the connection lives: an error that nobody listens to ends the process, and there may be two.
    client.on('error', () => drop(client));
    client.once('end', () => drop(client));
    try {
      await client.query(settings);
      // An option of the client, which its pool would give to all of them. The client is never given back to the others.
      Object.assign(client, { pipeline: true });
      held = client;
    } catch (thrown) {
      drop(client);
      throw toStoreError(thrown);
    }
    return client;
  }
}
