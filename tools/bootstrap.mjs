// What every entry script does first, with nothing but Node: check the version, install when the lock file has
// changed, build when sources have changed.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));

const MINIMUM_NODE = [20, 19];
const SOURCE_FOLDERS = ['api', 'internal', 'pkg', 'plugins', 'sdk/typescript', 'cmd', 'demo'];
const stampFolder = path.join(root, 'node_modules', '.openeaap');

export function checkNode() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major > MINIMUM_NODE[0] || (major === MINIMUM_NODE[0] && minor >= MINIMUM_NODE[1])) return;
  console.error(`OpenEAAP needs Node ${MINIMUM_NODE.join('.')} or newer; this is ${process.versions.node}. Install a current Node (https://nodejs.org) and try again.`);
  process.exit(1);
}

/** `npm ci`, only when the lock file is not the one that was installed. */
export function ensureInstalled() {
  const wanted = createHash('sha256').update(readFileSync(path.join(root, 'package-lock.json'))).digest('hex');
  if (readStamp('installed') === wanted) return;
  console.error('Installing packages (only when the lock file has changed)...');
  run('npm', ['ci', '--include=dev', '--no-audit', '--no-fund', '--loglevel=error'], 'The packages could not be installed. Is the npm registry reachable?');
  writeStamp('installed', wanted);
}

/** `tsc -b`, only when a source is newer or other than at the last build. */
export function ensureBuilt() {
  const wanted = describeSources();
  if (readStamp('built') === wanted && existsSync(path.join(root, 'cmd/openeaap-server/dist/main.js'))) return;
  console.error('Building (only when sources have changed)...');
  run(process.execPath, [path.join(root, 'node_modules/typescript/bin/tsc'), '-b', path.join(root, 'tsconfig.build.json')], 'The build failed.');
  writeStamp('built', wanted);
}

export function ensureReady() {
  checkNode();
  ensureInstalled();
  ensureBuilt();
}

/** Runs a program with our own terminal; ends this one when it fails. */
function run(program, args, failure) {
  // Standard output is for results: what tools say goes to standard error.
  const result = spawnSync(program, args, { cwd: root, stdio: ['ignore', 2, 2], shell: process.platform === 'win32' && program === 'npm' });
  if (result.status === 0) return;
  console.error(failure);
  process.exit(1);
}

/** Names, sizes and times of all sources and build settings: a few hundred stats, a few milliseconds. */
function describeSources() {
  const hash = createHash('sha256');
  for (const name of ['package-lock.json', 'tsconfig.base.json', 'tsconfig.build.json']) addFile(hash, path.join(root, name));
  for (const folder of SOURCE_FOLDERS) addFolder(hash, path.join(root, folder));
  return hash.digest('hex');
}

function addFolder(hash, folder) {
  for (const entry of readdirSync(folder, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1))) {
    // Virtual environments begin with a dot and hold tens of thousands of files.
    if (entry.name === 'node_modules' || entry.name === 'dist' || entry.name.startsWith('.')) continue;
    const full = path.join(folder, entry.name);
    if (entry.isDirectory()) addFolder(hash, full);
    else if (/\.ts$|^package\.json$|^tsconfig\.json$/.test(entry.name) && !entry.name.endsWith('.test.ts')) addFile(hash, full);
  }
}

function addFile(hash, file) {
  const { size, mtimeMs } = statSync(file);
  hash.update(`${path.relative(root, file)}\0${size}\0${mtimeMs}\n`);
}

function readStamp(name) {
  try {
    return readFileSync(path.join(stampFolder, name), 'utf8');
  } catch {
    return null;
  }
}

function writeStamp(name, text) {
  mkdirSync(stampFolder, { recursive: true });
  writeFileSync(path.join(stampFolder, name), text);
}

export function removeFolder(folder) {
  rmSync(folder, { recursive: true, force: true });
}
