import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { ROOT } from './harness/start-platform.ts';

/** Every runtime and every SDK of ours keeps the plugin protocol, as the kit judges that third parties run. */
const KIT = path.join(ROOT, 'pkg/adapter/conformance/bin/openeaap-conformance.mjs');
const inCi = process.env['CI'] === 'true';

interface Subject {
  readonly name: string;
  /** null: what it needs is not installed. */
  readonly command: () => readonly string[] | null;
  /** All checks, those included that need the tools and the agent of the protocol page. */
  readonly strict: boolean;
}

const at = (file: string): string => path.join(ROOT, file);
const ifThere = (program: string, ...args: readonly string[]): readonly string[] | null => (existsSync(at(program)) ? [at(program), ...args] : null);

const SUBJECTS: readonly Subject[] = [
  { name: 'the native runtime', strict: false, command: () => [process.execPath, at('cmd/worker-runtime/bin/openeaap-worker-runtime.mjs')] },
  { name: 'the TypeScript SDK', strict: true, command: () => [process.execPath, at('sdk/typescript/dist/testing/conformance-worker.js')] },
  { name: 'the Python SDK', strict: true, command: () => ifThere('sdk/python/.venv/bin/python', at('sdk/python/tests/fixtures/conformance_worker.py')) },
  { name: 'the Go SDK', strict: true, command: buildGoWorker },
  ...['lc03', 'lc1'].map((version): Subject => ({
    name: `the LangChain bridge (${version})`, strict: true,
    command: () => ifThere(`plugins/langchain-bridge/.venv-${version}/bin/openeaap-langchain-bridge`, '--agents', at('plugins/langchain-bridge/tests/fixtures/conformance_agents.py')),
  })),
];

function buildGoWorker(): readonly string[] | null {
  if (spawnSync('go', ['version']).status !== 0) return null;
  const worker = path.join(mkdtempSync(path.join(tmpdir(), 'oea-conformance-')), 'worker');
  const built = spawnSync('go', ['build', '-o', worker, './internal/conformanceworker'], { cwd: at('sdk/go'), encoding: 'utf8' });
  if (built.status !== 0) throw new Error(built.stderr);
  return [worker];
}

interface Judged {
  readonly code: number | null;
  readonly output: string;
}

function judge(command: readonly string[], strict: boolean): Promise<Judged> {
  const child = spawn(process.execPath, [KIT, ...(strict ? ['--strict'] : []), '--', ...command], { cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => { output += chunk.toString(); });
  return new Promise((resolve) => child.once('close', (code) => resolve({ code, output })));
}

describe('the plugin protocol is kept by', () => {
  it.concurrent.each(SUBJECTS)('$name', async ({ name, command, strict }) => {
    const found = command();
    if (found === null && !inCi) return void process.stderr.write(`SKIPPED: conformance of ${name}: run npm test, which installs what it needs.\n`);
    if (found === null) throw new Error(`What ${name} needs is not installed.`);
    const { code, output } = await judge(found, strict);
    expect({ code, output }).toEqual({ code: 0, output: expect.stringMatching(/\b0 broken\b/) });
  }, 170_000);
});
