import { chmod, mkdtemp, readFile, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspectProcess, waitUntilGone } from '../embedded/process-state.ts';

export interface TestFolder {
  readonly path: string;
  /** Stops the server that a killed owner may have left in it, then deletes it. */
  remove(): Promise<void>;
}

const STOP_PATIENCE_MS = 10_000;

/** A state folder of its own for one test, which the server's account may enter also when the tests run as root. */
export async function createTestFolder(): Promise<TestFolder> {
  const path = await realpath(await mkdtemp(join(tmpdir(), 'openeaap-test-')));
  await chmod(path, 0o711);
  return {
    path,
    remove: async () => {
      await stopSurvivor(path);
      await rm(path, { recursive: true, force: true });
    },
  };
}

async function stopSurvivor(folder: string): Promise<void> {
  const data = join(folder, 'postgres', 'data');
  const text = await readFile(join(data, 'postmaster.pid'), 'utf8').catch(() => '');
  const [pid, , , , socketFolder] = text.split('\n');
  if (pid !== undefined && pid !== '' && (await inspectProcess(Number(pid), data)) === 'postmaster') {
    process.kill(Number(pid), 'SIGQUIT');
    await waitUntilGone(Number(pid), data, STOP_PATIENCE_MS);
  }
  if (socketFolder?.includes('openeaap-') === true) await rm(socketFolder, { recursive: true, force: true });
}
