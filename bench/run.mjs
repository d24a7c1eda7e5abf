// npm run bench: what a durable, governed, audited step costs, as a ratio to what PostgreSQL itself needs for the same
// rows, measured in the same minutes on the same server. Nothing here is a test; noise on a shared machine is up to 1.5x.
//   -- --steps 20 --rounds 5     shape of a run, and how often everything is repeated
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { ensureReady, root } from '../tools/bootstrap.mjs';

ensureReady();
const { values } = parseArgs({ options: { steps: { type: 'string', default: '20' }, rounds: { type: 'string', default: '5' } } });
const { benchSteps } = await import('./steps.mjs');
const { benchPolicy } = await import('./policy.mjs');

const folder = mkdtempSync(path.join(tmpdir(), 'openeaap-bench-'));
const result = { node: process.versions.node, cpus: cpus().length, at: new Date().toISOString(), steps: null, policy: null };
try {
  result.policy = benchPolicy();
  result.steps = await benchSteps({ dataDir: folder, stepsPerRun: Number(values.steps), rounds: Number(values.rounds) });
} finally {
  rmSync(folder, { recursive: true, force: true });
}
const target = path.join(root, 'bench', 'results', 'latest.json');
mkdirSync(path.dirname(target), { recursive: true });
writeFileSync(target, `${JSON.stringify(result, null, 2)}\n`);
console.log(`\nwritten to ${path.relative(root, target)}`);
process.exit(0);
