// Does a step cost more the later it comes? One run is held before a model call while the store is looked at: what steps
// 6 to 15 added is called step 10, what steps 96 to 105 added is called step 100.
const WINDOW = 10;
const EARLY = 5;
const LATE = 95;
const STEPS = LATE + WINDOW + 5;
/** The least of these counts: the log is the whole server's, and what else is written (vacuum, heartbeats) only adds. */
const RUNS = 3;
const RUN_LIMIT_MS = 120_000;

/** On an empty store: after a checkpoint PostgreSQL logs each page that it touches as a whole, and here there are few. */
export async function measureGrowth(stage) {
  await stage.start();
  const worker = await stage.openWorker({ steps: STEPS });
  try {
    // Once before, so that what is written only the first time is not in the numbers.
    await worker.call('run', { count: 1, prefix: 'growth-warm', steps: STEPS }, RUN_LIMIT_MS);
    const looks = [];
    for (let n = 0; n < RUNS; n += 1) looks.push(await lookAtRun(stage, worker, `growth-${n}`));
    const per = (from, what) => (looks[0].get(from)[what] === null ? null : Math.min(...looks.map((seen) => seen.get(from + WINDOW)[what] - seen.get(from)[what])) / WINDOW);
    return {
      written: { step10: per(EARLY, 'wal'), step100: per(LATE, 'wal') },
      kept: { step10: per(EARLY, 'kept'), step100: per(LATE, 'kept') },
    };
  } finally {
    await worker.close();
    await stage.stop();
  }
}

async function lookAtRun(stage, worker, prefix) {
  const seen = new Map();
  worker.onMark(async (n) => {
    await stage.quiet();
    seen.set(n, { wal: await stage.walBytes(), kept: await stage.keptBytes() });
  });
  await worker.call('growth', { prefix, at: [EARLY, EARLY + WINDOW, LATE, LATE + WINDOW] }, RUN_LIMIT_MS);
  return seen;
}
