import { spawn } from 'node:child_process';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { PlatformError } from '@openeaap/kernel';
import type { TotalOptions } from './embedded-options.ts';
import type { ClusterPaths } from './init-cluster.ts';
import { removeStaleLockFile } from './lock-file.ts';
import { SERVER_ENVIRONMENT, toSpawnIds } from './run-command.ts';
import { giveToServer, type ServerAccount } from './server-account.ts';
import { openServerLog, readLogTail } from './server-log.ts';
import { toServerArguments } from './server-settings.ts';
import { makeSocketFolder, socketPath } from './socket-folder.ts';

export interface Postmaster {
  readonly pid: number;
  /** Resolves with a readable reason, "exit code 1" or "signal SIGKILL". Never rejects. */
  readonly exited: Promise<string>;
  exitReason(): string | undefined;
  /** What the server has logged since this start, its last lines. */
  readLog(): Promise<string>;
}

/**
 * Starts the server in a session of its own: neither the terminal's Ctrl-C nor our death reaches it.
 * It has no pipe to us that could break; its stderr is the log file.
 */
export async function startPostmaster(binDir: string, paths: ClusterPaths, account: ServerAccount, options: TotalOptions): Promise<Postmaster> {
  const socketFolder = await makeSocketFolder(paths.data, account);
  await removeStaleLockFile(join(paths.data, 'postmaster.pid'), paths.data);
  await removeStaleLockFile(`${socketPath(socketFolder)}.lock`, paths.data);
  const logFile = await openServerLog(paths.log);
  try {
    await giveToServer(paths.log, account);
    const { size: logStart } = await stat(paths.log);
    const child = spawn(join(binDir, 'postgres'), toServerArguments(options, paths.data, socketFolder), {
      cwd: '/',
      env: { ...SERVER_ENVIRONMENT },
      detached: true,
      stdio: ['ignore', logFile.fd, logFile.fd],
      ...toSpawnIds(account),
    });
    let reason: string | undefined;
    const exited = new Promise<string>((resolve) => {
      child.once('exit', (code, signal) => resolve((reason = signal === null ? `exit code ${code ?? 'unknown'}` : `signal ${signal}`)));
      child.once('error', (error) => resolve((reason = error.message)));
    });
    child.unref();
    if (child.pid === undefined) throw new PlatformError('unavailable', `The database server cannot be started: ${await exited}.`, { details: { path: binDir } });
    return { pid: child.pid, exited, exitReason: () => reason, readLog: () => readLogTail(paths.log, logStart) };
  } finally {
    await logFile.close();
  }
}
