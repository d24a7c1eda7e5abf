// Ours and the peers, on one server, in turns. A contender that fails is reported with its reason in every table; it never
// ends the benchmark and is never left out silently.
import path from 'node:path';
import { chooseContenders } from './contenders.mjs';
import { CRASH_CASES, measureCrash } from './crash.mjs';
import { openDatabases } from './database.mjs';
import { measureGrowth } from './growth.mjs';
import { createStage } from './stage.mjs';
import { median } from './statistics.mjs';
import { benchLimits, migrate } from './steps.mjs';
import { createSamples, summarise, summariseCosts, takeTurn } from './throughput.mjs';

/** Nothing is begun after this: a machine that is far too slow must not keep anybody waiting. */
const TOTAL_LIMIT_MS = 15 * 60_000;

/** @returns what was measured, for the tables and the JSON. */
export async function benchDurableSteps({ folder, shape, peers, peersProblem, databaseUrl, onDatabases, stopping, say }) {
  const databases = await openDatabases({ dataDir: folder, databaseUrl });
  onDatabases(databases);
  const entries = chooseContenders(peers).map((contender) => ({ contender, stage: null, samples: createSamples(), growth: null, crash: [], failure: null }));
  for (const entry of entries) if (entry.contender.group !== 'openeaap') entry.failure = peersProblem;
  const attempt = createAttempt({ until: performance.now() + TOTAL_LIMIT_MS, stopping, say });

  const limits = await openLimits(databases);
  for (const entry of entries) await attempt(entry, 'preparing', () => prepare(entry, { databases, folder, shape }));
  const rounds = await takeRounds(entries, { shape, limits, attempt, stopping, say });
  for (const entry of entries) {
    await attempt(entry, 'growth', async () => {
      entry.growth = await onEmptyStage(entry.contender, { databases, folder, name: toName('growth', entry.contender.key) }, measureGrowth);
    });
  }
  const crash = await crashAll(entries, { databases, folder, shape, attempt });
  for (const { stage } of entries) await stage?.close().catch((error) => say(`could not clean up: ${error.message}`));
  const result = { postgres: databases.version, settings: databases.settings, shape, rounds, limits: limits.summarise(), contenders: entries.map((entry) => describe(entry, shape)), crash };
  await limits.close();
  return result;
}

/** Runs one part of one contender. After a failure its other parts are not tried. */
function createAttempt({ until, stopping, say }) {
  return async (entry, what, work) => {
    if (entry.failure !== null || stopping.aborted) return;
    if (performance.now() > until) {
      entry.failure = `${what}: not begun, the benchmark was out of time`;
      return;
    }
    const started = performance.now();
    try {
      await work();
      say(`${entry.contender.label}: ${what} (${((performance.now() - started) / 1_000).toFixed(1)} s)`);
    } catch (error) {
      entry.failure = `${what}: ${error.message.slice(0, 1_000)}`;
      say(`${entry.contender.label}: FAILED ${entry.failure}`);
    }
  };
}

/** Everybody once, and again. Returns how many rounds there were. */
async function takeRounds(entries, { shape, limits, attempt, stopping, say }) {
  const started = performance.now();
  for (let round = 1; round <= shape.rounds && !stopping.aborted; round += 1) {
    await limits.measure();
    for (const entry of entries) await attempt(entry, `round ${round}`, () => takeTurn(entry.stage, entry.samples, { round, ...shape }));
    const spentMs = performance.now() - started;
    if (round === shape.rounds || spentMs + spentMs / round <= shape.roundsLimitMs) continue;
    say(`this machine is slow: ${round} of ${shape.rounds} rounds (--rounds ${shape.rounds} takes them all)`);
    return round;
  }
  return shape.rounds;
}

/** Migrations are made here, so that no round counts their rows. */
async function prepare(entry, { databases, folder, shape }) {
  entry.stage = await createStage(entry.contender, { databases, folder, name: toName('bench', entry.contender.key) });
  await entry.stage.start();
  const worker = await entry.stage.openWorker({ steps: shape.stepsPerRun });
  await worker.close();
  await entry.stage.stop();
}

async function crashAll(entries, { databases, folder, shape, attempt }) {
  const rows = [];
  for (const [index, { key, options, how }] of CRASH_CASES.entries()) {
    const entry = entries.find(({ contender }) => contender.key === key);
    if (entry === undefined) continue;
    // What fails here has still been measured before: the failure is this row's alone.
    const row = { contender: entry.contender, failure: entry.failure };
    let result = null;
    await attempt(row, `SIGKILL, ${how}`, async () => {
      const name = toName(`crash${index}`, key);
      const crashShape = { options, folder: path.join(folder, `sink${index}`), runs: shape.crashRuns, stepsPerRun: shape.stepsPerRun };
      result = await onEmptyStage(entry.contender, { databases, folder, name }, (stage) => measureCrash(stage, crashShape));
    });
    rows.push({ key, label: entry.contender.label, how, result, failure: row.failure });
  }
  return rows;
}

async function onEmptyStage(contender, where, work) {
  const stage = await createStage(contender, where);
  try {
    return await work(stage);
  } finally {
    await stage.close();
  }
}

/** What PostgreSQL needs for our rows alone, measured again in each round. */
async function openLimits(databases) {
  const database = await databases.create('bench_limits');
  await migrate(database.pool);
  const rounds = [];
  const over = (pick) => median(rounds.map(pick));
  const of = (name) => ({ perSecond: over((round) => round[name].perSecond), p50Ms: over((round) => round[name].p50Ms ?? 0) });
  return {
    measure: async () => {
      rounds.push(await benchLimits(database.pool, 1));
    },
    summarise: () => ({ oneRow: of('oneRow'), sameRows: of('sameRows'), grouped: { perSecond: over((round) => round.grouped.perSecond) } }),
    close: () => database.close(),
  };
}

function describe({ contender, samples, growth, failure }, shape) {
  const loads = shape.loads.map(({ concurrency }) => summarise(samples, concurrency));
  return { key: contender.key, label: contender.label, ours: contender.group === 'openeaap', packages: contender.packages, loads, costs: summariseCosts(samples), growth, failure };
}

const toName = (prefix, key) => `${prefix}_${key.replaceAll('-', '_')}`;
