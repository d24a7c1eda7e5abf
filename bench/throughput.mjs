// Steps per second, latency and bytes, contender by contender in each round, so that a noisy minute hits everybody alike.
import { median, quantile } from './statistics.mjs';

/** Enough for the compiler to have seen everybody's loop: what is measured is a server that runs, not one that begins. */
const WARM_RUNS = 128;
/** 256 runs of the slowest peer take a minute on a slow machine. */
const RUN_LIMIT_MS = 180_000;

/** One turn of one contender: a fresh process, warmed up, then each concurrency. Adds to `samples`. */
export async function takeTurn(stage, samples, { round, stepsPerRun, loads }) {
  await stage.start();
  try {
    const before = await readCounters(stage);
    const worker = await stage.openWorker({ steps: stepsPerRun });
    let runs = 0;
    try {
      const run = async (count, prefix) => {
        runs += count;
        return worker.call('run', { count, prefix: `r${round}-${prefix}`, steps: stepsPerRun }, RUN_LIMIT_MS);
      };
      await run(WARM_RUNS, 'warm');
      for (const load of loads) addSample(samples, load.concurrency, await measureLoad(stage, run, load, stepsPerRun));
    } finally {
      await worker.close();
    }
    await checkWork(stage, { runs, stepsPerRun, before });
    samples.costs.push(perStep(before, await readCounters(stage), runs * stepsPerRun));
  } finally {
    await stage.stop();
  }
}

export const createSamples = () => ({ byConcurrency: new Map(), costs: [] });

/** Taken while no worker runs: the server counts rows exactly only when the connections of who wrote them are closed. */
const readCounters = async (stage) => ({
  records: await stage.records(),
  walBytes: await stage.walBytes(),
  storedBytes: await stage.storedBytes(),
  rowWrites: await stage.rowWrites(),
});

const perStep = (before, after, steps) => Object.fromEntries(Object.entries(after).map(([name, value]) => [name, value === null ? null : (value - before[name]) / steps]));

async function measureLoad(stage, run, { concurrency, waves }, stepsPerRun) {
  const results = [];
  for (let wave = 0; wave < waves; wave += 1) results.push(await run(concurrency, `c${concurrency}-w${wave}`));
  return {
    stepsPerSecond: (concurrency * waves * stepsPerRun) / results.reduce((sum, result) => sum + result.seconds, 0),
    stepMs: results.flatMap((result) => result.stepMs),
  };
}

function addSample(samples, concurrency, sample) {
  const earlier = samples.byConcurrency.get(concurrency) ?? [];
  samples.byConcurrency.set(concurrency, [...earlier, sample]);
}

/** A peer that made fewer steps durable than it was asked for has not been measured but misused. */
async function checkWork(stage, { runs, stepsPerRun, before }) {
  const { label, perRun, minimum } = stage.contender;
  const made = (await stage.records()) - before.records;
  const wanted = runs * perRun(stepsPerRun);
  if (minimum ? made >= wanted : made === wanted) return;
  throw new Error(`${label} made ${made} durable records for ${runs} runs of ${stepsPerRun} steps, not ${wanted}.`);
}

/** Medians over the rounds; the latencies of all rounds together. */
export function summarise(samples, concurrency) {
  const taken = samples.byConcurrency.get(concurrency) ?? [];
  if (taken.length === 0) return { concurrency };
  const stepMs = taken.flatMap((sample) => sample.stepMs);
  return {
    concurrency,
    stepsPerSecond: median(taken.map((sample) => sample.stepsPerSecond)),
    stepsPerSecondByRound: taken.map((sample) => sample.stepsPerSecond),
    stepP50Ms: median(stepMs),
    stepP99Ms: quantile(stepMs, 0.99),
  };
}

/** Bytes and rows per step, over all loads of a turn; null: no turn was completed. */
export function summariseCosts({ costs }) {
  if (costs.length === 0) return null;
  const over = (name) => (costs.some((cost) => cost[name] === null) ? null : median(costs.map((cost) => cost[name])));
  return { walBytes: over('walBytes'), storedBytes: over('storedBytes'), rowWrites: over('rowWrites') };
}
