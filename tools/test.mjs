// npm test: sets up what it needs and runs everything; ends with one line "N passed, N failed, N skipped".
//   -- unit | db | e2e | python | go | langchain | examples   only that part
// A missing optional component is skipped loudly; with CI=true it is a failure.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { ensureReady, root } from './bootstrap.mjs';
import { runChecks } from './check.mjs';
import { goSuite, pythonSuite, scriptSuite } from './polyglot.mjs';

const only = process.argv.slice(2).find((arg) => !arg.startsWith('-'));
const inCi = process.env.CI === 'true';
/** Colours are for a terminal; in a log they only hide the words. */
const plain = process.stdout.isTTY ? {} : { NO_COLOR: '1', FORCE_COLOR: '0' };

ensureReady();
const suites = [];
if (only === undefined) suites.push(checkSuite());
if (only === undefined || only === 'unit') suites.push(vitestSuite('unit', 'unit'));
if (only === undefined || only === 'db') suites.push(vitestSuite('db on embedded PostgreSQL', 'db'), externalDatabaseSuite());
// Before the end-to-end tests, which start workers in these languages from what is installed here.
if (only === undefined || only === 'python') suites.push(orSkipped('Python SDK', pythonSuite('Python SDK', { home: 'sdk/python', environment: '.venv', requirements: 'requirements-test.txt', editable: ['.'] })));
if (only === undefined || only === 'go') suites.push(orSkipped('Go SDK', goSuite('Go SDK', 'sdk/go')));
if (only === undefined || only === 'langchain') {
  for (const version of ['lc03', 'lc1']) {
    const name = `LangChain bridge (${version})`;
    suites.push(orSkipped(name, pythonSuite(name, { home: 'plugins/langchain-bridge', environment: `.venv-${version}`, requirements: `requirements-${version}.txt`, editable: ['../../sdk/python', '.'] })));
  }
}
if (only === undefined || only === 'examples') {
  suites.push(orSkipped('example LlamaIndex', pythonSuite('example LlamaIndex', { home: 'examples/llamaindex', environment: '.venv', requirements: 'requirements.txt', editable: ['../../sdk/python'] })));
  suites.push(scriptSuite('example Vercel AI SDK', 'examples/vercel-ai-sdk/test.sh'));
}
if (only === undefined || only === 'e2e') suites.push(vitestSuite('end to end', 'e2e'));
report(suites);

function checkSuite() {
  const started = Date.now();
  const failed = runChecks();
  return { name: 'checks', passed: 3 - failed.length, failed: failed.length, skipped: 0, seconds: (Date.now() - started) / 1_000 };
}

/** A suite whose language is not installed is skipped loudly; in CI that is a failure. */
function orSkipped(name, result) {
  if (result.missing === undefined) return result;
  console.log(`\nSKIPPED: ${name}: ${result.missing}`);
  return { name, passed: 0, failed: inCi ? 1 : 0, skipped: inCi ? 0 : 1, seconds: 0 };
}

/** The same database tests on the PostgreSQL that the system's packages bring. */
function externalDatabaseSuite() {
  const binDir = findSystemPostgres();
  if (binDir !== null) return vitestSuite(`db on PostgreSQL ${path.basename(path.dirname(binDir))}`, 'db', { OPENEAAP_TEST_PG_BIN: binDir });
  console.log('\nSKIPPED: the database tests on a system PostgreSQL. Install one to run them (Debian: apt-get install postgresql).');
  return { name: 'db on a system PostgreSQL', passed: 0, failed: inCi ? 1 : 0, skipped: inCi ? 0 : 1, seconds: 0 };
}

function findSystemPostgres() {
  const base = '/usr/lib/postgresql';
  if (!existsSync(base)) return null;
  const versions = readdirSync(base).filter((name) => Number(name) >= 15).sort((a, b) => Number(a) - Number(b));
  return versions.map((version) => path.join(base, version, 'bin')).find((dir) => existsSync(path.join(dir, 'initdb'))) ?? null;
}

function vitestSuite(name, project, env = {}) {
  console.log(`\n== ${name}`);
  const folder = mkdtempSync(path.join(tmpdir(), 'openeaap-test-'));
  const outputFile = path.join(folder, 'result.json');
  const started = Date.now();
  const args = ['run', '--project', project, '--reporter=dot', '--reporter=json', `--outputFile.json=${outputFile}`];
  const { status } = spawnSync(path.join(root, 'node_modules/.bin/vitest'), args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'], env: { ...process.env, ...plain, ...env } });
  const counts = readCounts(outputFile);
  rmSync(folder, { recursive: true, force: true });
  // A run that broke off, or a file that did not load, is a failure even if no single test is.
  const failed = counts.failed === 0 && status !== 0 ? 1 : counts.failed;
  return { name, ...counts, failed, seconds: (Date.now() - started) / 1_000 };
}

function readCounts(file) {
  try {
    const result = JSON.parse(readFileSync(file, 'utf8'));
    return { passed: result.numPassedTests, failed: result.numFailedTests, skipped: result.numPendingTests + result.numTodoTests };
  } catch {
    return { passed: 0, failed: 1, skipped: 0 };
  }
}

function report(all) {
  console.log('');
  for (const suite of all) {
    console.log(`${suite.name.padEnd(32)} ${String(suite.passed).padStart(5)} passed ${String(suite.failed).padStart(4)} failed ${String(suite.skipped).padStart(4)} skipped ${suite.seconds.toFixed(1).padStart(7)} s`);
  }
  const sum = (key) => all.reduce((total, suite) => total + suite[key], 0);
  console.log(`\n${sum('passed')} passed, ${sum('failed')} failed, ${sum('skipped')} skipped`);
  process.exit(sum('failed') === 0 ? 0 : 1);
}
