// The tables. A ratio to us is above 1 where we do more.
import { table } from './statistics.mjs';

const NONE = '-';

export function reportDurableSteps({ postgres, settings, shape, rounds, limits, contenders, crash }) {
  table(`Limits of this PostgreSQL ${postgres} (${settings})`, ['', 'commits/s', 'p50 ms'], [
    ['one commit of one row', limits.oneRow.perSecond.toFixed(0), limits.oneRow.p50Ms.toFixed(2)],
    ['the rows of one of our commits, one statement', limits.sameRows.perSecond.toFixed(0), limits.sameRows.p50Ms.toFixed(2)],
    ['the same, 64 commits in one transaction', limits.grouped.perSecond.toFixed(0), ''],
  ]);
  for (const { concurrency } of shape.loads) reportLoad(concurrency, { shape, rounds, limits, contenders });
  reportCosts(contenders);
  reportGrowth(contenders);
  reportCrash(crash, shape);
  reportFailures(contenders, crash);
}

function reportLoad(concurrency, { shape, rounds, limits, contenders }) {
  const loadOf = (contender) => contender.loads.find((load) => load.concurrency === concurrency);
  const ours = loadOf(contenders[0]);
  const rows = contenders.map((contender) => {
    const load = loadOf(contender);
    if (load?.stepsPerSecond === undefined) return [contender.label, 'FAILED'];
    return [
      contender.failure === null ? contender.label : `${contender.label} (then FAILED)`,
      load.stepsPerSecond.toFixed(0),
      ours?.stepsPerSecond === undefined || contender.ours ? NONE : `${(ours.stepsPerSecond / load.stepsPerSecond).toFixed(1)} x`,
      load.stepP50Ms.toFixed(2),
      load.stepP99Ms.toFixed(2),
      contender.ours ? (load.stepP50Ms / (2 * limits.sameRows.p50Ms)).toFixed(2) : NONE,
      contender.ours ? `${((200 * load.stepsPerSecond) / limits.grouped.perSecond).toFixed(0)} %` : NONE,
    ];
  });
  const head = ['', 'steps/s', 'ours / theirs', 'step p50 ms', 'p99 ms', 'p50 / 2 bare commits', 'of grouped limit'];
  table(`Durable steps, ${concurrency} ${concurrency === 1 ? 'run' : 'runs'} at once (${shape.stepsPerRun} steps each, ${rounds === 1 ? 'one round' : `medians of ${rounds} interleaved rounds`})`, head, rows);
}

function reportCosts(contenders) {
  const rows = contenders.map(({ label, costs }) => (costs === null ? [label, 'FAILED'] : [label, toText(costs.walBytes, 0), toText(costs.storedBytes, 0), toText(costs.rowWrites, 1)]));
  table('What a step writes (over all loads of a round)', ['', 'WAL bytes', 'stored bytes', 'row writes'], rows);
}

function reportGrowth(contenders) {
  const rows = contenders.map(({ label, growth }) => {
    if (growth === null) return [label, 'FAILED'];
    const { written, kept } = growth;
    return [label, toText(written.step10, 0), toText(written.step100, 0), toRatio(written), toText(kept.step10, 0), toText(kept.step100, 0), toRatio(kept)];
  });
  table('Growth of one run: bytes of step 10 and of step 100 (linear: the ratio is 1)', ['', 'WAL, step 10', 'WAL, step 100', 'ratio', 'kept, step 10', 'kept, step 100', 'ratio'], rows);
}

function reportCrash(crash, shape) {
  const rows = crash.map(({ label, how, result, failure }) => {
    if (result === null) return [label, how, failure === null ? NONE : 'FAILED'];
    const { runs, runsWithRepeatedEffect, repeatedEffects, underWay, repeatedModelCalls, finished, waitingForPerson, lost, againMs } = result;
    return [label, how, underWay, `${runsWithRepeatedEffect} of ${runs}`, repeatedEffects, repeatedModelCalls, finished, waitingForPerson, lost, againMs === null ? NONE : (againMs / 1_000).toFixed(1)];
  });
  const head = ['', 'how', 'under way', 'runs with an effect done twice', 'effects repeated', 'model calls repeated', 'finished', 'ask a person', 'lost', 'SIGKILL to first call again, s'];
  table(`SIGKILL in the middle of ${shape.crashRuns} runs of ${shape.stepsPerRun} steps`, head, rows);
}

function reportFailures(contenders, crash) {
  const failures = [...contenders, ...crash].filter(({ failure }) => failure !== null);
  for (const text of new Set(failures.map(({ label, failure }) => `FAILED ${label}: ${failure}`))) console.log(`\n${text}`);
}

const toText = (value, digits) => (value === null || value === undefined ? NONE : value.toFixed(digits));
const toRatio = ({ step10, step100 }) => (step10 === null || step10 <= 0 ? NONE : (step100 / step10).toFixed(1));
