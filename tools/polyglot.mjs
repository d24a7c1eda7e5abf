// The suites in other languages: what they need is installed beside their sources, once for each list of requirements.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { root } from './bootstrap.mjs';

/** Runs pytest in a virtual environment of its own. `{missing}`: there is no Python to make one with. */
export function pythonSuite(name, { home, environment, requirements, editable }) {
  console.log(`\n== ${name}`);
  const started = Date.now();
  const folder = path.join(root, home);
  const problem = ensureEnvironment(folder, environment, requirements, editable);
  if (problem !== null) return problem;
  const results = mkdtempSync(path.join(tmpdir(), 'openeaap-pytest-'));
  const xml = path.join(results, 'result.xml');
  const { status } = spawnSync(path.join(folder, environment, 'bin/python'), ['-m', 'pytest', '-p', 'no:cacheprovider', `--junitxml=${xml}`], { cwd: folder, stdio: ['ignore', 'inherit', 'inherit'] });
  const head = existsSync(xml) ? (/<testsuite [^>]*>/.exec(readFileSync(xml, 'utf8'))?.[0] ?? '') : '';
  rmSync(results, { recursive: true, force: true });
  const count = (word) => Number(new RegExp(` ${word}="(\\d+)"`).exec(head)?.[1] ?? 0);
  const failed = count('failures') + count('errors');
  const skipped = count('skipped');
  return { name, passed: count('tests') - failed - skipped, failed: failed === 0 && status !== 0 ? 1 : failed, skipped, seconds: (Date.now() - started) / 1_000 };
}

/** null: it is ready. */
function ensureEnvironment(folder, environment, requirements, editable) {
  const python = ['python3', 'python'].find((program) => spawnSync(program, ['-c', 'import sys, venv; sys.exit(sys.version_info < (3, 10))']).status === 0);
  if (python === undefined) return { missing: 'it needs Python 3.10 or later with the module venv. (Debian: apt-get install python3-venv)' };
  const venv = path.join(folder, environment);
  const inputs = [path.join(folder, requirements), ...editable.map((place) => path.join(folder, place, 'pyproject.toml'))];
  const hash = createHash('sha256');
  for (const file of inputs) hash.update(readFileSync(file));
  // Packages are installed by where they are: a copied folder is not the one that was installed.
  const wanted = hash.update(folder).digest('hex');
  const stamp = path.join(venv, 'openeaap-installed');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return null;
  console.log(`Installing ${environment} (only when its requirements have changed)...`);
  rmSync(venv, { recursive: true, force: true });
  const pip = [path.join(venv, 'bin/python'), '-m', 'pip', '--disable-pip-version-check', 'install', '--quiet', '-r', requirements, ...editable.flatMap((place) => ['-e', place])];
  for (const [program, ...args] of [[python, '-m', 'venv', venv], pip]) {
    const { status, error } = spawnSync(program, args, { cwd: folder, stdio: ['ignore', 'inherit', 'inherit'] });
    if (status !== 0) return { missing: `${path.basename(program)} ${args.slice(0, 3).join(' ')} failed${error === undefined ? '' : `: ${error.message}`}. Is the package registry reachable?` };
  }
  writeFileSync(stamp, wanted);
  return null;
}

/** Runs `go vet` and `go test`. `{missing}`: there is no Go. */
export function goSuite(name, home) {
  console.log(`\n== ${name}`);
  const started = Date.now();
  const cwd = path.join(root, home);
  if (spawnSync('go', ['version']).status !== 0) return { missing: 'it needs Go 1.23 or later (https://go.dev/dl).' };
  const vet = spawnSync('go', ['vet', './...'], { cwd, stdio: ['ignore', 'inherit', 'inherit'] });
  const { status, stdout } = spawnSync('go', ['test', '-json', './...'], { cwd, encoding: 'utf8', maxBuffer: 256e6 });
  const counts = { passed: 0, failed: vet.status === 0 ? 0 : 1, skipped: 0 };
  const output = new Map();
  for (const line of stdout.split('\n')) {
    if (!line.startsWith('{')) continue;
    const { Action: action, Test: test, Package: pack, Output: text } = JSON.parse(line);
    const key = `${pack} ${test ?? ''}`;
    if (action === 'output') output.set(key, (output.get(key) ?? '') + text);
    if (test === undefined) {
      if (action === 'fail') process.stdout.write(output.get(key) ?? '');
      continue;
    }
    if (action === 'pass') counts.passed += 1;
    if (action === 'skip') counts.skipped += 1;
    if (action === 'fail') {
      counts.failed += 1;
      process.stdout.write(output.get(key) ?? '');
    }
  }
  // A package that does not compile has no test that fails.
  const failed = counts.failed === 0 && status !== 0 ? 1 : counts.failed;
  return { name, ...counts, failed, seconds: (Date.now() - started) / 1_000 };
}

/** Runs a script whose tests are those of Node's own runner, as TAP. */
export function scriptSuite(name, script) {
  console.log(`\n== ${name}`);
  const started = Date.now();
  const { status, stdout } = spawnSync('sh', [path.join(root, script)], { encoding: 'utf8', maxBuffer: 64e6, stdio: ['ignore', 'pipe', 'inherit'], env: { ...process.env, TEST_REPORTER: 'tap' } });
  const count = (word) => Number(new RegExp(`^# ${word} (\\d+)$`, 'm').exec(stdout)?.[1] ?? 0);
  const counts = { passed: count('pass'), failed: count('fail'), skipped: count('skipped') + count('todo') };
  if (status !== 0) process.stdout.write(stdout);
  return { name, ...counts, failed: counts.failed === 0 && status !== 0 ? 1 : counts.failed, seconds: (Date.now() - started) / 1_000 };
}
