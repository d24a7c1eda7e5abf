// npm run bench -- semantic-cache: how often the semantic cache hits on questions that ask the same, and how often it hits on
// near ones that do not, with and without its guard. Through the product's own cache, on bench/data/question-pairs.jsonl.
//   -- --embeddings lexical,minilm   which vectors; minilm is a model from PyPI, run by Python
//   -- --examples 20                 how many of what the guard rejected are printed
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { ensureReady, root } from '../tools/bootstrap.mjs';
import { installPython } from './python-install.mjs';
import { reportCache } from './semantic/report-cache.mjs';

const THRESHOLDS = [0.85, 0.88, 0.9, 0.92, 0.95, 0.98];
/** Of the architecture document, section 12.2. */
const DOCUMENT_THRESHOLD = 0.92;

const { values } = parseArgs({
  options: { embeddings: { type: 'string', default: 'minilm,lexical' }, examples: { type: 'string', default: '15' }, 'no-build': { type: 'boolean', default: false } },
});
if (!values['no-build']) ensureReady();
const { askAmongAll, askPairs } = await import('./semantic/ask-cache.mjs');
const { embedAll } = await import('./semantic/embedding-client.mjs');

const pairs = readFileSync(new URL('data/question-pairs.jsonl', import.meta.url), 'utf8').trim().split('\n').map((line) => JSON.parse(line));
const result = { at: new Date().toISOString(), pairs: pairs.length, thresholds: THRESHOLDS, documentThreshold: DOCUMENT_THRESHOLD, embeddings: [] };
for (const name of values.embeddings.split(',')) {
  const opened = await openVectors(name);
  if (opened.failure !== undefined) {
    result.embeddings.push({ name, failure: opened.failure });
    continue;
  }
  result.embeddings.push({ name, label: opened.label, msEach: opened.msEach, runs: await runAll(opened.vectors), amongAll: await runAmongAll(opened.vectors) });
}
reportCache(result, pairs, { examples: toCount(values.examples) });
const target = path.join(root, 'bench', 'results', 'semantic-cache.json');
mkdirSync(path.dirname(target), { recursive: true });
// One line for each run: the results of all pairs are many.
writeFileSync(target, `${JSON.stringify(result).replaceAll('{"guard":', '\n{"guard":')}\n`);
console.log(`\nWritten to ${path.relative(root, target)}`);
process.exit(0);

function toCount(text) {
  const count = Number(text);
  if (Number.isInteger(count) && count >= 0) return count;
  console.error(`--examples takes a whole number, not "${text}".`);
  return process.exit(2);
}

async function openVectors(name) {
  if (name === 'lexical') return { label: 'built-in lexical vectors', vectors: null, msEach: null };
  if (name !== 'minilm') return { failure: `There are no vectors called "${name}"; there are minilm and lexical.` };
  const failure = installPython('embedding');
  if (failure !== null) return { failure };
  const { vectors, msEach } = await embedAll([...new Set(pairs.flatMap(({ a, b }) => [a, b]))]);
  return { label: 'all-MiniLM-L6-v2', vectors, msEach };
}

/** Each threshold with and without the guard: one result for each pair, in their order. */
async function runAll(vectors) {
  const runs = [];
  for (const guard of [false, true]) {
    for (const threshold of THRESHOLDS) {
      console.error(`  ${vectors === null ? 'lexical' : 'minilm'}, threshold ${threshold}, ${guard ? 'with' : 'without'} the guard`);
      runs.push({ guard, threshold, results: await askPairs(pairs, { threshold, guard, vectors }) });
    }
  }
  return runs;
}

async function runAmongAll(vectors) {
  const runs = [];
  for (const guard of [false, true]) runs.push({ guard, results: await askAmongAll(pairs, { threshold: DOCUMENT_THRESHOLD, guard, vectors }) });
  return runs;
}
