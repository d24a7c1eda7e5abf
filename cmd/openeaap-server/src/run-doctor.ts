import pg from 'pg';
import { systemClock } from '@openeaap/kernel';
import { findRunningServer, migrations } from '@openeaap/store';
import type { ServerConfig } from './config.ts';
import type { Check } from './diagnosis/check.ts';
import { problem } from './diagnosis/check.ts';
import { diagnose } from './diagnosis/diagnose.ts';

const CONNECT_TIMEOUT_MS = 5_000;
const STATEMENT_TIMEOUT_MS = 10_000;

/** `openeaap-server doctor`: asks the database itself, for when no server answers. Changes and starts nothing. */
export async function runDoctor(config: ServerConfig, print: (text: string) => void): Promise<number> {
  const checks = await check(config);
  const isWell = checks.every(({ status }) => status !== 'problem');
  print(config.json ? JSON.stringify({ ok: isWell, checks }, null, 2) : checks.map(toLine).join('\n'));
  return isWell ? 0 : 1;
}

async function check(config: ServerConfig): Promise<readonly Check[]> {
  const running = config.databaseUrl === null ? await findRunningServer(config.dataDir) : null;
  if (config.databaseUrl === null && running === null) {
    return [problem('postgresql', `no embedded database runs on ${config.dataDir}, and DATABASE_URL is not set`, 'Start the platform, or name the right state folder with --data-dir, or set DATABASE_URL.')];
  }
  const db = new pg.Pool({
    ...(running === null ? { connectionString: config.databaseUrl ?? '' } : running.connection),
    max: 1,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    statement_timeout: STATEMENT_TIMEOUT_MS,
    query_timeout: STATEMENT_TIMEOUT_MS,
    application_name: 'openeaap doctor',
  });
  // A session that breaks is told to whoever asks next.
  db.on('error', () => undefined);
  db.on('connect', (client) => client.on('error', () => undefined));
  try {
    return await diagnose({ db, migrations, clock: systemClock, dataDir: config.dataDir, isEmbedded: running !== null });
  } finally {
    await db.end();
  }
}

const NAME_WIDTH = 18;
const STATUS_WIDTH = 7;

function toLine({ name, status, summary, cure }: Check): string {
  return `${status.padEnd(STATUS_WIDTH)} ${name.padEnd(NAME_WIDTH)} ${summary}${cure === null ? '' : `\n${' '.repeat(STATUS_WIDTH + 1)}cure: ${cure}`}`;
}
