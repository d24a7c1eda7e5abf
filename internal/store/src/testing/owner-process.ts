import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { once } from 'node:events';
import type { ErrorCode, ErrorDetails } from '@openeaap/kernel';
import { readTestBinDir } from './test-binaries.ts';

export type OwnerCommand = 'insert' | 'close';

export type OwnerReport =
  | { readonly kind: 'opened'; readonly serverPid: number; readonly adopted: boolean; readonly openMs: number }
  | { readonly kind: 'failed'; readonly code: ErrorCode; readonly message: string; readonly details: ErrorDetails }
  | { readonly kind: 'inserted'; readonly id: number }
  | { readonly kind: 'died'; readonly message: string }
  | { readonly kind: 'closed' };

export interface OwnerProcess {
  readonly pid: number;
  /** Every report so far. */
  readonly reports: readonly OwnerReport[];
  /** Whether the folder was opened or not. */
  readonly outcome: Promise<Extract<OwnerReport, { kind: 'opened' | 'failed' }>>;
  send(command: OwnerCommand): void;
  /** The first report of this kind for which `accept` holds; rejects when the process ends before. */
  waitFor<K extends OwnerReport['kind']>(kind: K, accept?: (report: Extract<OwnerReport, { kind: K }>) => boolean): Promise<Extract<OwnerReport, { kind: K }>>;
  /** SIGKILL; resolves when the process is gone. */
  kill(): Promise<void>;
}

/** Starts another process that opens the state folder: what must survive `kill -9` cannot be tested inside the test's own. With `uid` as another user, which root may. */
export function startOwnerProcess(program: string, dataDir: string, options: { readonly uid?: number } = {}): OwnerProcess {
  const { uid } = options;
  const child = spawn(process.execPath, [program, dataDir, readTestBinDir() ?? ''], { stdio: ['pipe', 'pipe', 'inherit'], ...(uid === undefined ? {} : { uid, gid: uid }) });
  const reports: OwnerReport[] = [];
  const watchers = new Set<() => void>();
  let ended = false;
  // `once` is called at once: an exit before anybody waits is not missed.
  const exited = once(child, 'close');
  child.once('close', () => {
    ended = true;
    for (const look of watchers) look();
  });
  createInterface({ input: child.stdout }).on('line', (line) => {
    reports.push(JSON.parse(line) as OwnerReport);
    for (const look of watchers) look();
  });
  child.stdin.on('error', () => undefined);

  const waitUntil = <T extends OwnerReport>(pick: (report: OwnerReport) => report is T): Promise<T> =>
    new Promise((resolve, reject) => {
      const look = (): void => {
        const found = reports.find(pick);
        if (found === undefined && !ended) return;
        watchers.delete(look);
        if (found === undefined) reject(new Error(`The process ended before the report; it said ${JSON.stringify(reports.slice(-3))}.`));
        else resolve(found);
      };
      watchers.add(look);
      look();
    });
  const outcome = waitUntil((report): report is Extract<OwnerReport, { kind: 'opened' | 'failed' }> => report.kind === 'opened' || report.kind === 'failed');
  outcome.catch(() => undefined);

  return {
    pid: child.pid ?? -1,
    reports,
    outcome,
    send: (command) => child.stdin.write(`${command}\n`),
    waitFor: <K extends OwnerReport['kind']>(kind: K, accept: (report: Extract<OwnerReport, { kind: K }>) => boolean = () => true) =>
      waitUntil((report): report is Extract<OwnerReport, { kind: K }> => report.kind === kind && accept(report as Extract<OwnerReport, { kind: K }>)),
    kill: async () => {
      child.kill('SIGKILL');
      await exited;
    },
  };
}
