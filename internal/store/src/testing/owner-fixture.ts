import { createInterface } from 'node:readline';
import { Client } from 'pg';
import { toPlatformError } from '@openeaap/kernel';
import { openEmbeddedServer, type EmbeddedServer } from '../embedded/open-embedded-server.ts';
import type { OwnerCommand, OwnerReport } from './owner-process.ts';

/** The program of `startOwnerProcess`: opens a folder, says what came of it and takes commands from stdin. */
async function main([dataDir = '', binDir = '']: readonly string[]): Promise<void> {
  const begun = performance.now();
  let server: EmbeddedServer;
  try {
    server = await openEmbeddedServer({ dataDir, binDir: binDir === '' ? undefined : binDir });
  } catch (error) {
    const { code, message, details } = toPlatformError(error);
    report({ kind: 'failed', code, message, details });
    return;
  }
  report({ kind: 'opened', serverPid: server.pid, adopted: server.adopted, openMs: performance.now() - begun });
  void server.died.then((reason) => {
    report({ kind: 'died', message: reason.message });
    process.exit(3);
  });
  for await (const line of createInterface({ input: process.stdin })) {
    const command = line as OwnerCommand;
    if (command === 'insert') void insertForEver(server).catch(() => undefined);
    if (command === 'close') break;
  }
  await server.close();
  report({ kind: 'closed' });
  process.exit(0);
}

/** One row, one commit, one report: what is reported must be there after any crash. */
async function insertForEver(server: EmbeddedServer): Promise<void> {
  const client = new Client({ connectionString: server.url });
  client.on('error', () => undefined);
  await client.connect();
  await client.query('CREATE TABLE IF NOT EXISTS acknowledged (id bigint PRIMARY KEY)');
  for (let id = 1; ; id++) {
    await client.query('INSERT INTO acknowledged VALUES ($1)', [id]);
    report({ kind: 'inserted', id });
  }
}

function report(line: OwnerReport): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

await main(process.argv.slice(2));
