// npm run chaos: a steady load on several nodes over one PostgreSQL while nodes are killed with SIGKILL and the database
// is restarted every few seconds; then it counts what was lost, doubled or out of order. Exit code 1: something was.
//   -- --minutes 5 --runs 600 --nodes 2 --seed 1     runs are sent evenly over the time; a seed gives its schedule again
// OPENEAAP_TEST_PG_BIN=/usr/lib/postgresql/15/bin: with that PostgreSQL instead of the embedded one. See docs/durability.md.
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { ensureReady, root } from './bootstrap.mjs';

const { values } = parseArgs({ options: { minutes: { type: 'string', default: '5' }, runs: { type: 'string' }, nodes: { type: 'string', default: '2' }, seed: { type: 'string' } } });
const minutes = positive('--minutes', values.minutes);
const runs = Math.round(positive('--runs', values.runs ?? String(minutes * 120)));
const nodes = Math.round(positive('--nodes', values.nodes));
const seed = values.seed === undefined ? Date.now() % 1_000_000 : Math.round(positive('--seed', values.seed));

ensureReady();
// The harness is TypeScript, like the tests that share it; Vite is what runs those.
const { runnerImport } = await import('vite');
const load = async (file) => (await runnerImport(path.join(root, 'tests/chaos', file), { root, configFile: false, logLevel: 'error' })).module;
const { runChaos } = await load('run-chaos.ts');
const { describeChaos } = await load('chaos-report.ts');

// Ctrl-C takes the nodes and the database down as well.
const interrupt = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, () => interrupt.abort());

console.log(`${minutes} min, ${runs} runs, ${nodes} nodes, seed ${seed}`);
const result = await runChaos({
  seconds: minutes * 60,
  runs,
  nodes,
  seed,
  binDir: process.env.OPENEAAP_TEST_PG_BIN || undefined,
  onProgress: (line) => console.log(line),
  signal: interrupt.signal,
}).catch((error) => {
  console.error(interrupt.signal.aborted ? 'Interrupted; nothing was judged.' : error);
  process.exit(interrupt.signal.aborted ? 130 : 1);
});
console.log(`\n${describeChaos(result).join('\n')}`);
const target = path.join(root, 'chaos', 'results', `seed-${seed}.json`);
mkdirSync(path.dirname(target), { recursive: true });
writeFileSync(target, `${JSON.stringify({ at: new Date().toISOString(), ...result }, null, 2)}\n`);
console.log(`\nwritten to ${path.relative(root, target)}`);
process.exit(result.verdict.violations.length === 0 ? 0 : 1);

function positive(flag, text) {
  const number = Number(text);
  if (Number.isFinite(number) && number > 0) return number;
  console.error(`${flag} takes a number above 0, not "${text}".`);
  process.exit(2);
}
