// npm run check: everything that needs no database: types of sources and tests, and lint.
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { checkNode, ensureInstalled, root } from './bootstrap.mjs';

const bin = (name) => path.join(root, 'node_modules', '.bin', name);

/** Returns the names of the checks that failed. */
export function runChecks() {
  /** @type {readonly (readonly [string, string, readonly string[]])[]} */
  const checks = [
    ['build', bin('tsc'), ['-b', 'tsconfig.build.json']],
    ['types of tests', bin('tsc'), ['-p', 'tsconfig.json']],
    ['lint', bin('oxlint'), ['--type-aware', '--quiet', '.']],
  ];
  return checks.flatMap(([name, program, args]) => {
    const started = Date.now();
    const { status } = spawnSync(program, args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] });
    console.log(`${status === 0 ? 'ok  ' : 'FAIL'} ${name} (${((Date.now() - started) / 1_000).toFixed(1)} s)`);
    return status === 0 ? [] : [name];
  });
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  checkNode();
  ensureInstalled();
  process.exit(runChecks().length === 0 ? 0 : 1);
}
