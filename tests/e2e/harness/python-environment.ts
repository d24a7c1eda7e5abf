import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';

/**
 * A virtual environment beside its `requirements.txt`, made anew when that has changed; the path of
 * its interpreter. null, with a warning, where there is no Python or no package registry: the tests
 * then skip. In CI that is an error, for a test that never runs keeps no promise.
 */
export function pythonEnvironment(folder: string): string | null {
  const problem = ensure(folder);
  if (problem === null) return path.join(folder, '.venv/bin/python');
  if (process.env['CI'] === 'true') throw new Error(problem);
  process.stderr.write(`SKIPPED: ${problem}\n`);
  return null;
}

/** null: it is ready. */
function ensure(folder: string): string | null {
  const python = ['python3', 'python'].find((program) => spawnSync(program, ['-c', 'import sys, venv; sys.exit(sys.version_info < (3, 10))']).status === 0);
  if (python === undefined) return 'the Python client needs Python 3.10 or later with the module venv (Debian: apt-get install python3-venv).';
  const venv = path.join(folder, '.venv');
  const requirements = path.join(folder, 'requirements.txt');
  // Packages are installed by where they are: a copied folder is not the one that was installed.
  const wanted = createHash('sha256').update(readFileSync(requirements)).update(folder).digest('hex');
  const stamp = path.join(venv, 'openeaap-installed');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return null;
  rmSync(venv, { recursive: true, force: true });
  const install = [path.join(venv, 'bin/python'), '-m', 'pip', '--disable-pip-version-check', 'install', '--quiet', '-r', requirements] as const;
  for (const [program, ...args] of [[python, '-m', 'venv', venv], install] as const) {
    const { status } = spawnSync(program, args, { stdio: ['ignore', 'inherit', 'inherit'] });
    if (status !== 0) return `${path.basename(program)} ${args.slice(0, 3).join(' ')} failed. Is the package registry reachable?`;
  }
  writeFileSync(stamp, wanted);
  return null;
}
