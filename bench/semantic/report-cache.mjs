// The tables of semantic-cache.mjs. Rates with 95 % intervals after Wilson, since most of them are near 0 or 1.
import { table } from '../statistics.mjs';

const Z = 1.959964;

export function reportCache(result, pairs, { examples }) {
  const same = pairs.filter((pair) => pair.same).length;
  console.log(`\n${pairs.length} pairs: ${same} ask the same, ${pairs.length - same} do not`);
  for (const embedding of result.embeddings) {
    if (embedding.failure !== undefined) {
      console.log(`\nFAILED ${embedding.name}: ${embedding.failure}`);
      continue;
    }
    if (embedding.msEach !== null) console.log(`\n${embedding.label}: ${embedding.msEach.toFixed(1)} ms a text here, in batches`);
    reportThresholds(embedding, pairs);
    reportLanguages(embedding, pairs, result.documentThreshold);
    reportFamilies(embedding, pairs, result.documentThreshold);
    reportAmongAll(embedding, pairs, result.documentThreshold);
    reportGuard(embedding, pairs, { threshold: result.documentThreshold, examples });
  }
}

const runOf = ({ runs }, threshold, guard) => runs.find((run) => run.threshold === threshold && run.guard === guard);

/** Hits among the pairs that `wanted` picks. */
function rateOf(run, pairs, wanted) {
  const chosen = run.results.filter((_, at) => wanted(pairs[at]));
  return { hits: chosen.filter(({ isHit }) => isHit).length, of: chosen.length };
}

function reportThresholds(embedding, pairs) {
  const thresholds = [...new Set(embedding.runs.map(({ threshold }) => threshold))];
  const rows = thresholds.map((threshold) => [
    threshold.toFixed(2),
    ...[false, true].flatMap((guard) => {
      const run = runOf(embedding, threshold, guard);
      return [toRate(rateOf(run, pairs, ({ same }) => same)), toRate(rateOf(run, pairs, ({ same }) => !same))];
    }),
  ]);
  table(`${embedding.label}: hits by threshold`, ['threshold', 'same: hit', 'other: false hit', 'same: hit, guard', 'other: false hit, guard'], rows);
}

function reportLanguages(embedding, pairs, threshold) {
  const rows = ['en', 'zh'].flatMap((lang) =>
    ['hand', 'template'].map((origin) => [
      `${lang}, ${origin === 'hand' ? 'by hand' : 'by template'}`,
      ...[false, true].flatMap((guard) => {
        const run = runOf(embedding, threshold, guard);
        const here = (pair) => pair.lang === lang && pair.origin === origin;
        return [toRate(rateOf(run, pairs, (pair) => pair.same && here(pair))), toRate(rateOf(run, pairs, (pair) => !pair.same && here(pair)))];
      }),
    ]),
  );
  table(`${embedding.label}: by language and origin, at ${threshold}`, ['', 'same: hit', 'other: false hit', 'same: hit, guard', 'other: false hit, guard'], rows);
}

function reportFamilies(embedding, pairs, threshold) {
  for (const same of [true, false]) {
    const families = [...new Set(pairs.filter((pair) => pair.same === same).map(({ family }) => family))];
    const rows = families.map((family) => {
      const wanted = (pair) => pair.same === same && pair.family === family;
      return [family, ...[false, true].map((guard) => toRate(rateOf(runOf(embedding, threshold, guard), pairs, wanted)))];
    });
    table(`${embedding.label}: ${same ? 'hits where the same is asked' : 'false hits where it is not'}, by what differs, at ${threshold}`, ['', 'without the guard', 'with it'], rows);
  }
}

/** A hit is right when the question that was answered asks the same as this one: in a pair, or over several of them. */
function reportAmongAll(embedding, pairs, threshold) {
  const classOf = toClasses(pairs);
  const runs = embedding.amongAll.map(({ guard, results }) => {
    const hits = results.flatMap((result, at) => (result === null ? [] : [{ ...result, asked: pairs[at].b }]));
    return { guard, hits, wrong: hits.filter(({ answer, asked }) => classOf(answer) !== classOf(asked)) };
  });
  const rows = runs.map(({ guard, hits, wrong }) => [guard ? 'with the guard' : 'without', hits.length, toRate({ hits: wrong.length, of: hits.length })]);
  table(`${embedding.label}: all first questions in one store, each second one asked, at ${threshold}`, ['', 'hits', 'of them wrong'], rows);
  const texts = runs.filter(({ guard }) => guard).flatMap(({ wrong }) => wrong.map(({ similarity, asked, answer }) => `  ${similarity.toFixed(3)}  asked: ${asked}  |  answered: ${answer}`));
  for (const text of new Set(texts)) console.log(text);
}

function toClasses(pairs) {
  const parent = new Map();
  const find = (text) => {
    const up = parent.get(text) ?? text;
    return up === text ? text : find(up);
  };
  for (const { a, b, same } of pairs) if (same && find(a) !== find(b)) parent.set(find(b), find(a));
  return find;
}

function reportGuard(embedding, pairs, { threshold, examples }) {
  const run = runOf(embedding, threshold, true);
  const guarded = run.results.flatMap(({ guarded: seen }, at) => (seen === null ? [] : [{ ...seen, pair: pairs[at] }]));
  const reasons = [...new Set(guarded.map(({ reason }) => reason))];
  const count = (reason, same) => guarded.filter((each) => each.reason === reason && each.pair.same === same).length;
  table(`${embedding.label}: what the guard rejected, at ${threshold}`, ['reason', 'another question', 'the same after all'], reasons.map((reason) => [reason, count(reason, false), count(reason, true)]).sort((x, y) => y[1] - x[1]));
  // The nearest of each reason first: those are the ones that no threshold would have caught.
  const show = (same) => {
    const ranked = guarded.filter(({ pair }) => pair.same === same).sort((x, y) => y.similarity - x.similarity);
    const seen = new Map();
    const turns = ranked.map((each) => {
      const turn = (seen.get(each.reason) ?? 0) + 1;
      seen.set(each.reason, turn);
      return { each, turn };
    });
    for (const { each } of turns.sort((x, y) => x.turn - y.turn).slice(0, examples)) console.log(`  ${each.similarity.toFixed(3)}  ${each.reason.padEnd(13)}  ${each.pair.a}  |  ${each.pair.b}`);
  };
  console.log('\n  Rightly rejected, for example (similarity, reason):');
  show(false);
  console.log('\n  Rejected although the same is asked:');
  show(true);
  const missed = run.results.flatMap(({ isHit, similarity }, at) => (isHit && !pairs[at].same ? [{ similarity, ...pairs[at] }] : []));
  console.log(`\n  False hits that the guard let through: ${missed.length}`);
  for (const { similarity, family, a, b } of missed.slice(0, examples)) console.log(`  ${similarity.toFixed(3)}  ${family.padEnd(13)}  ${a}  |  ${b}`);
}

function toRate({ hits, of }) {
  if (of === 0) return '-';
  const [low, high] = wilson(hits, of);
  return `${percent(hits / of)} % (${percent(low)}-${percent(high)}), ${hits}/${of}`;
}

const percent = (share) => (100 * share).toFixed(1);

/** E. B. Wilson 1927, without continuity correction. */
export function wilson(hits, of) {
  const share = hits / of;
  const divisor = 1 + Z ** 2 / of;
  const middle = (share + Z ** 2 / (2 * of)) / divisor;
  const half = (Z * Math.sqrt((share * (1 - share)) / of + Z ** 2 / (4 * of ** 2))) / divisor;
  return [Math.max(0, middle - half), Math.min(1, middle + half)];
}
