// Where a contender works: its database (or its server), and processes of its engine on it.
import path from 'node:path';
import { startWorker } from './peer-process.mjs';
import { createRestate } from './restate-server.mjs';

/** First start on an empty store: migrations, and for a server its provisioning. */
const OPEN_LIMIT_MS = 90_000;

/** `name` is that of the database, and of the folder of a store of its own. */
export async function createStage(contender, { databases, folder, name }) {
  const database = contender.ownStore ? null : await databases.create(name);
  const server = contender.ownStore ? await createRestate(path.join(folder, name)) : null;
  const readNumber = async (text) => {
    const rows = server === null ? (await database.query(text)).rows : await server.query(text);
    return Number(Object.values(rows[0])[0]);
  };
  return {
    contender,
    /** Not for a Restate server: nothing else of it runs while others are measured. */
    start: async () => server?.start(),
    stop: async () => server?.stop(),
    openWorker: async ({ steps, options = {}, sink }) => {
      const worker = startWorker();
      try {
        await worker.call('open', { file: contender.file, url: database?.url, server: server?.addresses, steps, options: { ...contender.options, ...options }, sink }, OPEN_LIMIT_MS);
        return worker;
      } catch (error) {
        await worker.kill();
        throw error;
      }
    },
    /** Durable records of steps so far. */
    records: () => readNumber(contender.records),
    rowWrites: async () => (database === null ? null : database.rowWrites()),
    walBytes: async () => (database === null ? null : database.walBytes()),
    storedBytes: async () => (database === null ? server.storedBytes() : database.storedBytes()),
    /** What is kept, as finely as it can be seen. */
    keptBytes: async () => (database === null ? server.storedBytes() : database.liveBytes()),
    quiet: async () => database?.quiet(),
    close: async () => {
      await server?.stop();
      if (database === null) return;
      await database.close();
      await databases.drop(name);
    },
  };
}
