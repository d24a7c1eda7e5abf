import { spawn } from 'node:child_process';
import type { ServerAccount } from './server-account.ts';

/** Names no locale of the system, so it works where none is installed; and the log is in English. */
export const SERVER_ENVIRONMENT: Readonly<Record<string, string>> = { LC_ALL: 'C', TZ: 'UTC', PATH: '/usr/bin:/bin' };

const OUTPUT_LIMIT_BYTES = 64 * 1024;

export interface CommandResult {
  /** Null when a signal, or our time limit, ended the command. */
  readonly exitCode: number | null;
  /** stdout and stderr as they came, the last 64 KB. */
  readonly output: string;
}

/** Runs a short-lived program of PostgreSQL to its end. Rejects with the system's error when it cannot be started. */
export function runCommand(file: string, args: readonly string[], options: { readonly account: ServerAccount; readonly timeoutMs: number }): Promise<CommandResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, {
      cwd: '/',
      env: { ...SERVER_ENVIRONMENT },
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: options.timeoutMs,
      killSignal: 'SIGKILL',
      ...toSpawnIds(options.account),
    });
    let output = Buffer.alloc(0);
    const keep = (chunk: Buffer): void => {
      output = Buffer.concat([output, chunk]).subarray(-OUTPUT_LIMIT_BYTES);
    };
    child.stdout.on('data', keep);
    child.stderr.on('data', keep);
    child.once('error', reject);
    child.once('close', (exitCode) => resolve({ exitCode, output: output.toString('utf8') }));
  });
}

export function toSpawnIds(account: ServerAccount): { readonly uid?: number; readonly gid?: number } {
  return account.switched ? { uid: account.uid, gid: account.gid } : {};
}
