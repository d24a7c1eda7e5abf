// Peers and models from PyPI, each in a virtual environment of its own below bench/.venv, with every version pinned.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const folder = path.dirname(fileURLToPath(import.meta.url));
const INSTALL_LIMIT_MS = 600_000;

const environmentOf = (name) => path.join(folder, '.venv', name);

export const pythonOf = (name) => path.join(environmentOf(name), 'bin', 'python');

/** `python/NAME.txt` into its environment, only when it is not what was installed. Returns what went wrong, or null. */
export function installPython(name) {
  const list = path.join(folder, 'python', `${name}.txt`);
  const wanted = createHash('sha256').update(readFileSync(list)).digest('hex');
  const stamp = path.join(environmentOf(name), '.openeaap-installed');
  if (readText(stamp) === wanted) return null;
  console.error(`Installing ${name} into bench/.venv (only when its list has changed)...`);
  const steps = [
    ['python3', ['-m', 'venv', '--clear', environmentOf(name)]],
    // The lists are whole, so nothing has to be resolved, and nothing else comes in.
    [pythonOf(name), ['-m', 'pip', 'install', '--quiet', '--no-deps', '--disable-pip-version-check', '-r', list]],
  ];
  for (const [program, args] of steps) {
    const result = spawnSync(program, args, { stdio: ['ignore', 2, 2], timeout: INSTALL_LIMIT_MS });
    if (result.status !== 0) return `"${path.basename(program)} ${args.slice(0, 3).join(' ')}" failed for ${name} (${result.error?.message ?? result.signal ?? `exit code ${result.status}`}). Are Python's venv module and PyPI there?`;
  }
  writeFileSync(stamp, wanted);
  return null;
}

/** As pinned. */
export function pythonVersionOf(name, distribution = name) {
  return new RegExp(`^${distribution}==(.+)$`, 'm').exec(readFileSync(path.join(folder, 'python', `${name}.txt`), 'utf8'))?.[1] ?? null;
}

function readText(file) {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return null;
  }
}
