// Deletes the state folder. The lock of the embedded database says whether a platform owns it: it is taken first.
import { existsSync, readFileSync, realpathSync } from 'node:fs';
import path from 'node:path';
import { removeFolder } from './bootstrap.mjs';

/** Ends the program when a platform owns the folder, or when it is no state folder. Needs the built store. */
export async function wipeState(dataDir) {
  if (!existsSync(dataDir)) return;
  if (!['connection.json', 'postgres', 'audit-signing.pem'].some((name) => existsSync(path.join(dataDir, name)))) fail(`${dataDir} does not look like a state folder of OpenEAAP; it is left alone.`);
  const home = realPathOf(path.join(dataDir, 'postgres'));
  if (home !== null && existsSync(path.join(home, 'data'))) await stopDatabase(dataDir, home);
  if (home !== null) removeFolder(home);
  removeFolder(dataDir);
}

/** Adopts a database that outlived its platform, or starts it, and stops it cleanly; a living owner makes this a conflict. */
async function stopDatabase(dataDir, home) {
  const { openEmbeddedServer } = await import('@openeaap/store');
  try {
    const server = await openEmbeddedServer({ dataDir });
    await server.close();
  } catch (error) {
    if (error?.code === 'conflict' && error?.details?.pid !== undefined) fail(error.message);
    // A database that cannot be opened (broken, of another version) may be deleted, unless its server lives.
    if (isAlive(Number(readFirstLine(path.join(home, 'data', 'postmaster.pid'))))) fail(`The database of ${dataDir} is running and could not be stopped: ${error?.message ?? 'unknown error'}`);
  }
}

function isAlive(pid) {
  if (!Number.isInteger(pid) || pid <= 1) return false;
  try {
    process.kill(pid, 0);
    return true;
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

/** Root's database may lie elsewhere, behind a link. */
function realPathOf(link) {
  try {
    return realpathSync(link);
  } catch {
    return null;
  }
}

function fail(message) {
  console.error(message);
  process.exit(1);
}
