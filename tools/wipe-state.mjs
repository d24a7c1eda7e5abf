// Deletes the state folder, after stopping an embedded database that may have outlived its platform.
import { existsSync, readFileSync, realpathSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { removeFolder } from './bootstrap.mjs';

const STOP_TRIES = 100;
const STOP_WAIT_MS = 100;

export async function wipeState(dataDir) {
  if (!existsSync(dataDir)) return;
  if (!existsSync(path.join(dataDir, 'connection.json')) && !existsSync(path.join(dataDir, 'postgres'))) {
    console.error(`${dataDir} does not look like a state folder of OpenEAAP; it is left alone.`);
    process.exit(1);
  }
  if (await isServed(dataDir)) {
    console.error(`A platform is running on ${dataDir}. Stop it (Ctrl-C) before --fresh.`);
    process.exit(1);
  }
  await stopDatabase(path.join(realPathOf(path.join(dataDir, 'postgres')) ?? dataDir, 'data'));
  // Root's database may lie elsewhere, behind a link.
  const home = realPathOf(path.join(dataDir, 'postgres'));
  if (home !== null) removeFolder(home);
  removeFolder(dataDir);
}

function realPathOf(link) {
  try {
    return realpathSync(link);
  } catch {
    return null;
  }
}

async function isServed(dataDir) {
  try {
    const { url } = JSON.parse(readFileSync(path.join(dataDir, 'connection.json'), 'utf8'));
    const response = await fetch(`${url}/healthz`, { signal: AbortSignal.timeout(1_000) });
    return response.ok;
  } catch {
    return false;
  }
}

async function stopDatabase(cluster) {
  const pid = Number(readFirstLine(path.join(cluster, 'postmaster.pid')));
  if (!Number.isInteger(pid) || pid <= 1 || !isOurPostmaster(pid, cluster)) return;
  process.kill(pid, 'SIGINT');
  for (let tries = 0; tries < STOP_TRIES && isOurPostmaster(pid, cluster); tries += 1) await sleep(STOP_WAIT_MS);
}

/** The pid may belong to somebody else by now: it is ours only if its command line names the folder. */
function isOurPostmaster(pid, cluster) {
  try {
    process.kill(pid, 0);
    return process.platform !== 'linux' || readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(path.resolve(cluster));
  } catch {
    return false;
  }
}

function readFirstLine(file) {
  try {
    return readFileSync(file, 'utf8').split('\n')[0];
  } catch {
    return '';
  }
}
