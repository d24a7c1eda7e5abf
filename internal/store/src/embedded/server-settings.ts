import type { TotalOptions } from './embedded-options.ts';

/** The socket is `.s.PGSQL.5432` in a private folder; no TCP port is ever opened, so it can be the same everywhere. */
export const SERVER_PORT = 5432;

/**
 * The settings go on the command line: they follow the version of the program and not the day
 * on which the data folder was made, and a hand-edited `postgresql.conf` cannot turn durability off.
 */
export function toServerArguments(options: TotalOptions, dataFolder: string, socketFolder: string): readonly string[] {
  const settings: Readonly<Record<string, string>> = {
    ...MODEST_SETTINGS,
    ...options.extraSettings,
    ...(options.durability === 'full' ? DURABLE_SETTINGS : THROW_AWAY_SETTINGS),
    listen_addresses: '',
    port: String(SERVER_PORT),
    unix_socket_directories: socketFolder,
    unix_socket_permissions: '0700',
  };
  return ['-D', dataFolder, ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])];
}

const DURABLE_SETTINGS = { fsync: 'on', synchronous_commit: 'on', full_page_writes: 'on' } as const;
const THROW_AWAY_SETTINGS = { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off' } as const;

const MODEST_SETTINGS = {
  max_connections: '60',
  shared_buffers: '64MB',
  // Bounds the disk and the time of a crash recovery.
  max_wal_size: '512MB',
  min_wal_size: '64MB',
  // `minimal` would save WAL only for bulk loads into new tables, and would forbid pg_basebackup of a live server.
  wal_level: 'replica',
  max_wal_senders: '4',
  // Parallel queries need /dev/shm, which is 64 MB in a container, and fail there in the middle of a query.
  max_parallel_workers_per_gather: '0',
  max_parallel_maintenance_workers: '0',
  jit: 'off',
  // A query of a program that was killed ends, and lets go of its locks, within this time.
  client_connection_check_interval: '1s',
  timezone: 'UTC',
  log_timezone: 'UTC',
  lc_messages: 'C',
  // The log goes to the file that is the server's stderr; `server-log.ts` bounds its size.
  logging_collector: 'off',
  log_destination: 'stderr',
  log_line_prefix: '%m [%p] ',
  log_checkpoints: 'off',
  // DETAIL lines and statements can hold values of rows; what the program does wrong it logs itself.
  log_error_verbosity: 'terse',
  log_min_error_statement: 'panic',
  password_encryption: 'scram-sha-256',
} as const;
