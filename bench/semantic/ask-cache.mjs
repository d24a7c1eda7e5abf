// Pairs of questions through the product's own cache: the first is asked, the second hits or misses.
import { createAnswerCache } from '../../internal/msig/dist/cache/create-answer-cache.js';
import { DEFAULT_CACHE_CONTROL } from '../../internal/msig/dist/cache/answer-cache.js';
import { parseRequest } from '../../internal/msig/dist/request/parse-request.js';

const HOUR_MS = 3_600_000;
const ENTRIES_MAX = 10_000;
const SYSTEM = 'You help a security operations center and an IT help desk.';

/** The semantic level alone, in the process; `vectors` null: the built-in lexical ones. */
function openCache({ threshold, guard, vectors }, observe) {
  return createAnswerCache({
    cache: { l1: { enabled: false, maxBytes: 1_048_576, ttlMs: HOUR_MS }, l2: { enabled: false, ttlMs: HOUR_MS }, maxEntryBytes: 1_048_576 },
    semantic: { enabled: true, backend: 'memory', similarityThreshold: threshold, embeddingBackend: vectors === null ? null : 'minilm', ttlMs: HOUR_MS, maxEntries: ENTRIES_MAX, shadow: 0, multiTurn: false, guard },
    now: Date.now,
    random: Math.random,
    // Made before: how fast the model is on this machine is not the question here.
    embed: vectors === null ? null : async (texts) => texts.map((text) => vectors.get(text)),
    mayStore: () => true,
    hashKey: 'bench',
    observe,
    log: (line) => console.error(`  ${line}`),
  });
}

/** Asks; a miss is answered with the question itself, so that a hit says whose answer it is. Returns `{ isHit, similarity, answer }`. */
async function ask(cache, { tenantId, question, write = true }) {
  const request = parseRequest('chat', JSON.stringify({ model: 'm', temperature: 0, messages: [{ role: 'system', content: SYSTEM }, { role: 'user', content: question }] }));
  const access = { tenantId, runId: '', stepId: '', agentId: '', userId: 'u', traceId: '' };
  const call = { request, access, control: { ...DEFAULT_CACHE_CONTROL, write }, identity: 'm', signal: new AbortController().signal, onChunk: () => null };
  const { reply, cache: outcome } = await cache.through(call, async () => toReply(question));
  return { isHit: outcome.state === 'hit' && outcome.level === 'l3', similarity: outcome.similarity, answer: JSON.parse(reply.document).choices[0].message.content };
}

function toReply(content) {
  const document = JSON.stringify({ id: 'c', object: 'chat.completion', created: 1, model: 'm', choices: [{ index: 0, message: { role: 'assistant', content }, finish_reason: 'stop' }], usage: { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 } });
  return { model: 'm', finishReason: 'stop', usage: { promptTokens: 1, completionTokens: 1 }, document };
}

/** Each pair by itself, as if nothing else had ever been asked. For each: `{ isHit, similarity, guarded }`. */
export async function askPairs(pairs, options) {
  let guarded = null;
  const cache = openCache(options, (event) => {
    if (event.kind === 'guarded') guarded = { reason: event.reason, similarity: event.similarity };
  });
  const results = [];
  for (const [at, { a, b }] of pairs.entries()) {
    const tenantId = `pair-${at}`;
    await ask(cache, { tenantId, question: a });
    await cache.settled();
    guarded = null;
    const { isHit, similarity } = await ask(cache, { tenantId, question: b, write: false });
    results.push({ isHit, similarity, guarded });
  }
  await cache.close();
  return results;
}

/** All first questions in one store, then each second one, which is not kept. For each: what answered, or null. */
export async function askAmongAll(pairs, options) {
  const cache = openCache(options, () => undefined);
  const kept = new Set();
  for (const { a } of pairs) {
    if (kept.has(a)) continue;
    kept.add(a);
    await ask(cache, { tenantId: 'all', question: a });
    // The line of what is to be kept is bounded.
    await cache.settled();
  }
  const results = [];
  for (const { b } of pairs) {
    const { isHit, similarity, answer } = await ask(cache, { tenantId: 'all', question: b, write: false });
    results.push(isHit ? { similarity, answer } : null);
  }
  await cache.close();
  return results;
}
