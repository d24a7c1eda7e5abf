import type { Readable, Writable } from 'node:stream';
import type { Clock } from '@openeaap/kernel';
import type { Environment } from './config.ts';

/** Everything that the command line touches outside itself. */
export interface CliIo {
  readonly stdout: Writable;
  readonly stderr: Writable;
  readonly stdin: Readable;
  readonly stdoutIsTty: boolean;
  /** Then Ctrl-C reaches child processes too, without our doing. */
  readonly stdinIsTty: boolean;
  /** Columns of the terminal; null when stdout is none. */
  readonly columns: number | null;
  readonly cwd: string;
  readonly environment: Environment;
  readonly fetch: typeof fetch;
  readonly clock: Clock;
  readonly newId: () => string;
  /** Aborted by Ctrl-C and SIGTERM; its reason is the name of the signal. */
  readonly signal: AbortSignal;
  /** Version of this package. */
  readonly version: string;
  /** Of Node, without the `v`. */
  readonly nodeVersion: string;
  /** The folder of the compiled program, as a `file:` URL ending in `/`; the server's entry is found from it. */
  readonly programFolder: URL;
}
