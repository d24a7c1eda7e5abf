// SIGKILL in the middle of runs. Each model and tool call appends a line to a file, which outlives the process that wrote
// it: a tool call that is there twice is a side effect that happened twice. Then a second process with the same settings,
// started at once, does what the engine's documentation says for recovery.
import { mkdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import path from 'node:path';

const POLL_MS = 1;
const KILL_JITTER_MS = 50;
const MIDDLE_LIMIT_MS = 60_000;
const RECOVER_LIMIT_MS = 60_000;
/** Shortest line of the sink is longer; only a guess of when to look at it properly. */
const LINE_BYTES_GUESS = 20;

/** What each is asked for, besides the contenders as they are. */
export const CRASH_CASES = [
  { key: 'openeaap', options: { soleOwner: true }, how: 'restarted as owner of its store' },
  { key: 'openeaap-destructive', options: { soleOwner: true }, how: 'restarted as owner of its store' },
  { key: 'openeaap', options: {}, how: 'taken over by another node' },
  { key: 'langgraph-sync', options: {}, how: 'caller invokes each thread again' },
  { key: 'langgraph-async', options: {}, how: 'caller invokes each thread again' },
  { key: 'dbos', options: {}, how: 'restarted as the same executor' },
  { key: 'mastra', options: {}, how: 'restarted, restartAllActiveWorkflowRuns()' },
  { key: 'restate', options: {}, how: 'service restarted at its address' },
];

export async function measureCrash(stage, { options, folder, runs, stepsPerRun }) {
  mkdirSync(folder, { recursive: true });
  const sink = path.join(folder, 'sink');
  rmSync(sink, { force: true });
  const ids = Array.from({ length: runs }, (_, n) => `crash-${n}`);
  await stage.start();
  try {
    const first = await stage.openWorker({ steps: stepsPerRun, options, sink });
    await first.call('begin', { count: runs, prefix: 'crash' }, MIDDLE_LIMIT_MS);
    await untilMiddle(sink, (runs * stepsPerRun) / 2);
    // Otherwise the kill would always follow upon a tool call, and hit engines that group their runs in one phase alone.
    await new Promise((resolve) => setTimeout(resolve, Math.random() * KILL_JITTER_MS));
    const killedAt = performance.timeOrigin + performance.now();
    await first.kill();
    const atKill = readSink(sink);
    const recovered = await recover(stage, { options, sink, ids, stepsPerRun });
    return describe({ atKill, after: readSink(sink), recovered, killedAt, firstPid: first.pid, runs, stepsPerRun });
  } finally {
    await stage.stop();
  }
}

/** Watches the sink from outside: the moment of the kill is not one that the engine chooses. */
async function untilMiddle(sink, acts) {
  for (const until = performance.now() + MIDDLE_LIMIT_MS; performance.now() < until; ) {
    const bytes = statSync(sink, { throwIfNoEntry: false })?.size ?? 0;
    if (bytes > acts * LINE_BYTES_GUESS && readSink(sink).filter((line) => line.kind === 'tool').length >= acts) return;
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  throw new Error(`The runs did not come to their middle within ${MIDDLE_LIMIT_MS / 1_000} s.`);
}

async function recover(stage, { options, sink, ids, stepsPerRun }) {
  const second = await stage.openWorker({ steps: stepsPerRun, options, sink });
  try {
    return await second.call('recover', { ids, sink }, RECOVER_LIMIT_MS);
  } finally {
    await second.close();
  }
}

function readSink(sink) {
  return readFileSync(sink, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const [kind, run, n, pid, at] = line.split(' ');
      return { kind, run, n: Number(n), pid: Number(pid), at: Number(at) };
    });
}

function describe({ atKill, after, recovered, killedAt, firstPid, runs, stepsPerRun }) {
  const count = (lines, kind) => {
    const times = new Map();
    for (const line of lines) if (line.kind === kind) times.set(`${line.run} ${line.n}`, (times.get(`${line.run} ${line.n}`) ?? 0) + 1);
    return times;
  };
  const acts = count(after, 'tool');
  const twice = [...acts].filter(([, times]) => times > 1);
  const firstAgain = after.find((line) => line.pid !== firstPid);
  return {
    runs,
    underWay: runs - atKill.filter((line) => line.kind === 'model' && line.n === stepsPerRun).length,
    actsAtKill: atKill.filter((line) => line.kind === 'tool').length,
    runsWithRepeatedEffect: new Set(twice.map(([key]) => key.split(' ')[0])).size,
    repeatedEffects: twice.reduce((sum, [, times]) => sum + times - 1, 0),
    repeatedModelCalls: [...count(after, 'model').values()].reduce((sum, times) => sum + times - 1, 0),
    effectsMissing: recovered.finished * stepsPerRun > acts.size ? recovered.finished * stepsPerRun - acts.size : 0,
    finished: recovered.finished,
    waitingForPerson: recovered.waiting,
    lost: runs - recovered.finished - recovered.waiting,
    againMs: firstAgain === undefined ? null : firstAgain.at - killedAt,
  };
}
