// Steps per second, latency and bytes, contender by contender in each round, so that a noisy minute hits everybody alike.
import { median, quantile } from './statistics.mjs';

const WARM_RUNS = 16;
/** 256 runs of the slowest peer take a minute on a slow machine. */
const RUN_LIMIT_MS = 180_000;

/** One turn of one contender: a fresh process, warmed up, then each concurrency. Adds to `samples`. */
export async function takeTurn(stage, samples, { round, stepsPerRun, loads }) {
  await stage.start();
  try {
    const before = { rows: await stage.rowWrites(), records: await stage.records() };
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
    const rows = await stage.rowWrites();
    if (rows !== null) samples.rowsPerStep.push((rows - before.rows) / (runs * stepsPerRun));
  } finally {
    await stage.stop();
  }
}

export const createSamples = () => ({ byConcurrency: new Map(), rowsPerStep: [] });

async function measureLoad(stage, run, { concurrency, waves }, stepsPerRun) {
  const before = { wal: await stage.walBytes(), stored: await stage.storedBytes() };
  const results = [];
  for (let wave = 0; wave < waves; wave += 1) results.push(await run(concurrency, `c${concurrency}-w${wave}`));
  await stage.quiet();
  const steps = concurrency * waves * stepsPerRun;
  const wal = await stage.walBytes();
  return {
    stepsPerSecond: steps / results.reduce((sum, result) => sum + result.seconds, 0),
    stepMs: results.flatMap((result) => result.stepMs),
    walBytesPerStep: wal === null ? null : (wal - before.wal) / steps,
    storedBytesPerStep: ((await stage.storedBytes()) - before.stored) / steps,
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
  if (taken.length === 0) return null;
  const over = (pick) => (taken.some((sample) => pick(sample) === null) ? null : median(taken.map(pick)));
  const stepMs = taken.flatMap((sample) => sample.stepMs);
  return {
    rounds: taken.length,
    stepsPerSecond: over((sample) => sample.stepsPerSecond),
    stepsPerSecondByRound: taken.map((sample) => sample.stepsPerSecond),
    stepP50Ms: median(stepMs),
    stepP99Ms: quantile(stepMs, 0.99),
    walBytesPerStep: over((sample) => sample.walBytesPerStep),
    storedBytesPerStep: over((sample) => sample.storedBytesPerStep),
    rowsPerStep: samples.rowsPerStep.length === 0 ? null : median(samples.rowsPerStep),
  };
}
