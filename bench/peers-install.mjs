// The peers have a package of their own: they are installed only by who runs the benchmark, and never by the product.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const folder = path.dirname(fileURLToPath(import.meta.url));
const stamp = path.join(folder, 'node_modules', '.openeaap-installed');
const INSTALL_LIMIT_MS = 300_000;

/** `npm ci`, only when the lock file is not the one that was installed. Returns what went wrong, or null. */
export function installPeers() {
  const wanted = createHash('sha256').update(readFileSync(path.join(folder, 'package-lock.json'))).digest('hex');
  if (readText(stamp) === wanted) return null;
  console.error('Installing the peers into bench/node_modules (only when their lock file has changed)...');
  // No install scripts: one of the dependencies reports its installation to somebody else's server.
  const result = spawnSync('npm', ['ci', '--prefix', folder, '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd: folder,
    stdio: ['ignore', 2, 2],
    timeout: INSTALL_LIMIT_MS,
    shell: process.platform === 'win32',
  });
  if (result.status !== 0) return `"npm ci --prefix bench" failed (${result.error?.message ?? result.signal ?? `exit code ${result.status}`}). Is the npm registry reachable?`;
  writeFileSync(stamp, wanted);
  return null;
}

/** As installed, for the report; null: not there. */
export function versionOf(name) {
  const text = readText(path.join(folder, 'node_modules', name, 'package.json'));
  return text === null ? null : JSON.parse(text).version;
}

/** Versions of the product's own packages that matter here. */
export const productVersions = () => ({ openeaap: JSON.parse(readFileSync(path.join(folder, '..', 'package.json'), 'utf8')).version, pg: createRequire(new URL('../package.json', import.meta.url))('pg/package.json').version });

function readText(file) {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return null;
  }
}
