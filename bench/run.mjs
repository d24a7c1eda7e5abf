// npm run bench: what a durable, governed, audited step costs, as a ratio to what PostgreSQL itself needs for the same
// rows and to what other engines need for the same work, in turns on the same server. Nothing here is a test; noise on a
// shared machine is up to 1.5x. bench/README.md says what exactly is measured.
//   -- --quick                    a short look
//   -- --no-peers                 ours alone; nothing is installed
//   -- --peers langgraph,dbos     ours and these
//   -- --steps 20 --rounds 3      shape of a run, and how often everything is repeated
//   -- gateway                    the model gateway instead, beside other gateways (gateway.mjs)
//   -- semantic-cache             the semantic cache on labelled questions (semantic-cache.mjs)
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { ensureReady, root } from '../tools/bootstrap.mjs';
import { installPeers, productVersions, versionOf } from './peers-install.mjs';

/** On a slow or busy machine there are fewer rounds rather than a long wait; the tables say how many there were. */
const ROUNDS_LIMIT_MS = 8 * 60_000;

/** Benches of their own, with options of their own. */
const OTHERS = new Map([['gateway', './gateway.mjs'], ['semantic-cache', './semantic-cache.mjs']]);
const other = OTHERS.get(process.argv[2]);
if (other !== undefined) {
  process.argv.splice(2, 1);
  await import(other);
  process.exit();
}

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    steps: { type: 'string', default: '20' },
    rounds: { type: 'string' },
    peers: { type: 'string' },
    'no-peers': { type: 'boolean', default: false },
  },
});
const shape = toShape(values);
const peers = values['no-peers'] ? [] : values.peers?.split(',');
const say = (line) => console.error(`  ${line}`);

ensureReady();
const { chooseContenders } = await import('./contenders.mjs');
const wanted = chooseContenders(peers);
const peersProblem = wanted.some(({ group }) => group !== 'openeaap') ? installPeers() : null;
const { benchPluginStep } = await import('./plugin-step.mjs');
const { benchPolicy } = await import('./policy.mjs');
const { benchDurableSteps } = await import('./durable-steps.mjs');
const { killAll } = await import('./peer-process.mjs');
const { reportDurableSteps } = await import('./report.mjs');

const folder = mkdtempSync(path.join(os.tmpdir(), 'openeaap-bench-'));
const stopping = new AbortController();
let databases = null;
let cleaned = null;
const cleanUp = () => {
  cleaned ??= (async () => {
    killAll();
    await databases?.close().catch((error) => say(`could not clean up: ${error.message}`));
    rmSync(folder, { recursive: true, force: true });
  })();
  return cleaned;
};
for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => {
    stopping.abort();
    void cleanUp().finally(() => process.exit(130));
  });
}

const result = { at: new Date().toISOString(), machine: describeMachine(), loadBefore: os.loadavg(), versions: describeVersions(wanted) };
try {
  result.policy = benchPolicy();
  result.pluginStep = await benchPluginStep();
  result.durableSteps = await benchDurableSteps({
    folder,
    shape,
    peers,
    peersProblem,
    databaseUrl: process.env.BENCH_DATABASE_URL,
    onDatabases: (opened) => {
      databases = opened;
    },
    stopping: stopping.signal,
    say,
  });
} finally {
  await cleanUp();
}
result.loadAfter = os.loadavg();
console.log(`\n${result.machine}\n${Object.entries(result.versions).map(([name, version]) => `${name} ${version ?? 'NOT INSTALLED'}`).join(', ')}`);
reportDurableSteps(result.durableSteps);
const target = path.join(root, 'bench', 'results', 'latest.json');
mkdirSync(path.dirname(target), { recursive: true });
writeFileSync(target, `${JSON.stringify(result, null, 2)}\n`);
console.log(`\nLoad of the machine: ${result.loadBefore[0].toFixed(1)} before, ${result.loadAfter[0].toFixed(1)} after. Written to ${path.relative(root, target)}`);
process.exit(0);

/** `waves`: how often a load is run in a round, so that one run at once gives more than one run's numbers. */
function toShape({ quick, steps, rounds }) {
  const stepsPerRun = toCount('steps', steps);
  const wantedRounds = toCount('rounds', rounds ?? (quick ? '1' : '3'));
  // Who says how many rounds gets them, however long they take.
  const roundsLimitMs = rounds === undefined ? ROUNDS_LIMIT_MS : Number.POSITIVE_INFINITY;
  const loads = quick ? [{ concurrency: 1, waves: 3 }, { concurrency: 16, waves: 1 }] : [{ concurrency: 1, waves: 10 }, { concurrency: 16, waves: 2 }, { concurrency: 256, waves: 1 }];
  return { stepsPerRun, rounds: wantedRounds, roundsLimitMs, crashRuns: quick ? 8 : 20, loads };
}

function toCount(name, text) {
  const count = Number(text);
  if (Number.isInteger(count) && count > 0) return count;
  console.error(`--${name} takes a whole number above 0, not "${text}".`);
  process.exit(2);
}

function describeMachine() {
  const [cpu] = os.cpus();
  return `${os.cpus().length} cores (${cpu?.model.trim() ?? 'unknown'}), ${(os.totalmem() / 2 ** 30).toFixed(0)} GiB, ${os.type()} ${os.release()}, Node ${process.versions.node}`;
}

function describeVersions(contenders) {
  const names = [...new Set(contenders.flatMap(({ packages }) => packages))];
  return { ...productVersions(), ...Object.fromEntries(names.map((name) => [name, versionOf(name)])) };
}
