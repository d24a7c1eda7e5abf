import { createHash, randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { status } from '@grpc/grpc-js';
import { ErrorCode } from '@openeaap/proto';
import { answerText, shorten } from '../answer-text.ts';
import type { Check, Seen } from '../check.ts';
import { inapplicable, kept } from '../check.ts';
import { broken } from '../conformance-error.ts';
import { expectStatus, expectStepError, expectToolOutput, numberIn, outputOf, responseOf } from '../expect-answer.ts';
import type { JsonValue } from '../json-value.ts';
import type { Subject } from '../subject.ts';
import { callTool, newMarker, toolRequest } from '../subject.ts';

const section = 'A step';

/** Calls at once, unless the plugin wants fewer. */
const PARALLEL_CALLS = 20;
/** Levels of nesting: far more than any tool has, far less than parsers refuse. */
const JSON_DEPTH = 50;
/** A result of this size is cut in the journal, but it has to arrive. */
const BIG_BYTES = 1_048_576;
/** A step that is cancelled may not have begun yet; then there is nothing to be seen. */
const CANCEL_TRIES = 4;
const POLL_MS = 25;

export const toolChecks: readonly Check[] = [
  { name: 'tool.echo', promise: 'A tool step makes the call and returns the result as JSON text.', section, needs: ['tool echo'], run: expectEcho },
  { name: 'tool.unicode', promise: 'Text of all scripts arrives and returns as it was.', section, needs: ['tool echo'], run: expectUnicode },
  { name: 'tool.json', promise: 'Nested JSON, odd names and numbers of all kinds arrive and return as they were.', section, needs: ['tool echo'], run: expectJson },
  { name: 'tool.big_result', promise: 'A result of 1 MiB arrives.', section, needs: ['tool big'], run: expectBigResult },
  { name: 'tool.fails', promise: 'A tool that fails for certain says TOOL_FAILED, not retryable, with its message.', section, needs: ['tool fail'], run: expectToolFailure },
  { name: 'tool.parallel', promise: 'Steps at the same time do not get each other\'s arguments or results.', section, needs: ['tool echo'], run: expectParallel },
  { name: 'tool.no_queue', promise: 'A slow step holds up no other.', section, needs: ['tool echo', 'tool sleep'], run: expectNoQueue },
  { name: 'tool.idempotent', promise: 'A call with a known idempotency_key has no second effect, and another key is another call.', section, needs: ['tool count'], run: expectIdempotence },
  { name: 'tool.dry_run', promise: 'With dry_run nothing in the world changes.', section, needs: ['tool count'], run: expectDryRun },
  { name: 'tool.secret', promise: 'The secrets that a tool names arrive with the step.', section, needs: ['tool secret'], run: expectSecret },
  { name: 'tool.cancel', promise: 'A cancelled step stops what it does.', section, needs: ['tool echo', 'tool sleep', 'tool sleeps_seen'], run: expectCancel },
  { name: 'tool.deadline', promise: 'The deadline of the call is the timeout of the step: after it the step stops.', section, needs: ['tool sleep', 'tool sleeps_seen'], run: expectDeadline },
];

async function expectEcho(subject: Subject): Promise<Seen> {
  const args = { marker: newMarker(), list: [1, 2, 3], empty: {} };
  expectToolOutput(await callTool(subject, 'conformance_echo', args), { echo: args });
  expectToolOutput(await callTool(subject, 'conformance_echo', {}), { echo: {} });
  return kept('arguments come back as {"echo": ...}');
}

async function expectUnicode(subject: Subject): Promise<Seen> {
  const args = { chinese: '查询 IP 地址的威胁信誉分', arabic: 'مرحبا', emoji: '👩‍👩‍👧‍👦🇨🇳', beyond: '𝔘𐍈', combining: 'e\u0301 \u00e9', controls: '\u0000\u0001\t\n\u2028\u2029\ufeff', quotes: '"\\/<>&\'', 'ключ 键': 'имя' };
  expectToolOutput(await callTool(subject, 'conformance_echo', args), { echo: args });
  return kept('eight scripts and kinds of characters');
}

async function expectJson(subject: Subject): Promise<Seen> {
  let deep: JsonValue = 'bottom';
  for (let level = 0; level < JSON_DEPTH; level += 1) deep = level % 2 === 0 ? { in: deep } : [deep];
  const args = { deep, '': 'no name', constructor: 1, numbers: [0, -1, 0.1, 1e21, 1.5e-9, 9_007_199_254_740_991, -9_007_199_254_740_991], none: null, no: false, empty: ['', [], {}] };
  expectToolOutput(await callTool(subject, 'conformance_echo', args), { echo: args });
  return kept(`${JSON_DEPTH} levels, and integers up to 2^53 - 1`);
}

async function expectBigResult(subject: Subject): Promise<Seen> {
  const expected = `{"text": "x" repeated ${BIG_BYTES} times}`;
  const answer = await callTool(subject, 'conformance_big', { bytes: BIG_BYTES });
  const { text } = outputOf(answer, expected) as { readonly text?: unknown };
  if (text !== 'x'.repeat(BIG_BYTES)) throw broken(expected, typeof text === 'string' ? `a text of ${text.length} characters` : answerText(answer));
  return kept('1 MiB');
}

async function expectToolFailure(subject: Subject): Promise<Seen> {
  const message = `it does not work: ${newMarker()}`;
  const error = expectStepError(await callTool(subject, 'conformance_fail', { message }), ErrorCode.ERROR_CODE_TOOL_FAILED, false);
  if (error.message !== message) throw broken(`the message "${message}"`, `"${shorten(error.message)}"`);
  return kept('TOOL_FAILED, not retryable');
}

async function expectParallel(subject: Subject): Promise<Seen> {
  const wanted = subject.offer.maxConcurrentSteps;
  const calls = wanted === 0 ? PARALLEL_CALLS : Math.min(PARALLEL_CALLS, wanted);
  const markers = Array.from({ length: calls }, newMarker);
  const answers = await Promise.all(markers.map((marker) => callTool(subject, 'conformance_echo', { marker })));
  for (const [index, answer] of answers.entries()) expectToolOutput(answer, { echo: { marker: markers[index] ?? '' } });
  return kept(`${calls} at once`);
}

async function expectNoQueue(subject: Subject): Promise<Seen> {
  if (subject.offer.maxConcurrentSteps === 1) return inapplicable('the plugin wants one step at a time');
  const stop = new AbortController();
  let slow = true;
  const step = callTool(subject, 'conformance_sleep', { ms: subject.timing.busyMs }, { call: { signal: stop.signal } }).finally(() => (slow = false));
  try {
    const marker = newMarker();
    const answer = await callTool(subject, 'conformance_echo', { marker }, { call: { deadlineMs: subject.timing.busyMs } });
    const expected = `an echo while a step of ${subject.timing.busyMs} ms is under way`;
    if (!answer.ok || !slow) throw broken(expected, answer.ok ? 'one after that step' : answerText(answer));
    expectToolOutput(answer, { echo: { marker } });
  } finally {
    stop.abort();
    await step;
  }
  return kept('an echo overtakes a sleep');
}

async function expectIdempotence(subject: Subject): Promise<Seen> {
  const key = randomUUID();
  const other = randomUUID();
  const count = (idempotencyKey: string) => callTool(subject, 'conformance_count', {}, { request: { idempotencyKey } });
  const steps: readonly (readonly [string, number])[] = [[key, 1], [key, 2], [other, 1], [key, 3]];
  for (const [idempotencyKey, calls] of steps) expectToolOutput(await count(idempotencyKey), { calls, effects: 1 });
  return kept('3 calls with one key, 1 effect');
}

async function expectDryRun(subject: Subject): Promise<Seen> {
  const idempotencyKey = randomUUID();
  const dry = await callTool(subject, 'conformance_count', {}, { request: { idempotencyKey, constraints: { dryRun: true } } });
  if (!dry.ok) throw broken('a response that says what would be done, or a StepError', answerText(dry));
  const real = await callTool(subject, 'conformance_count', {}, { request: { idempotencyKey } });
  if (numberIn(real, 'calls') !== 1 || numberIn(real, 'effects') !== 1) throw broken('{"calls":1,"effects":1} for the first real call after a dry one', answerText(real));
  return kept(dry.value.error === undefined ? 'answered, and nothing counted' : `refused: ${answerText(dry)}`);
}

async function expectSecret(subject: Subject): Promise<Seen> {
  for (let round = 0; round < 2; round += 1) {
    const secret = subject.watch.handOut('CONFORMANCE_SECRET');
    const sha256 = createHash('sha256').update(secret).digest('hex');
    const answer = await callTool(subject, 'conformance_secret', {}, { request: { ephemeralCredentials: { CONFORMANCE_SECRET: secret } } });
    const output = outputOf(answer, `{"sha256": "${sha256}"}`) as { readonly sha256?: unknown };
    if (output.sha256 !== sha256) throw broken(`{"sha256": "${sha256}"}, the hash of this step's secret`, answerText(answer));
  }
  return kept('the hashes of two secrets in a row are right');
}

async function expectCancel(subject: Subject): Promise<Seen> {
  for (let attempt = 1; ; attempt += 1) {
    const before = await sleepsSeen(subject);
    const stop = new AbortController();
    const step = callTool(subject, 'conformance_sleep', { ms: subject.timing.longSleepMs }, { call: { signal: stop.signal, deadlineMs: subject.timing.longSleepMs } });
    // On one connection what was sent first is received first: after this the step is there.
    for (let turn = 0; turn < attempt; turn += 1) responseOf(await callTool(subject, 'conformance_echo', {}), 'an echo');
    stop.abort();
    expectStatus(await step, [status.CANCELLED]);
    const seen = await waitForSleeps(subject, before);
    if (seen !== null) return kept(`seen to stop after ${seen} ms`);
    if (attempt === CANCEL_TRIES) throw broken(`a cancelled conformance_sleep to stop within ${subject.timing.stopSeenMs} ms (conformance_sleeps_seen counts it)`, 'the count did not change');
  }
}

async function expectDeadline(subject: Subject): Promise<Seen> {
  const before = await sleepsSeen(subject);
  const request = toolRequest(subject, 'conformance_sleep', { ms: subject.timing.longSleepMs });
  expectStatus(await subject.peer().step(request, { deadlineMs: subject.timing.shortDeadlineMs }), [status.DEADLINE_EXCEEDED]);
  const seen = await waitForSleeps(subject, before);
  if (seen === null) throw broken(`a conformance_sleep to stop within ${subject.timing.stopSeenMs} ms after its deadline (conformance_sleeps_seen counts it)`, 'the count did not change');
  return kept(`seen to stop ${seen} ms after the deadline`);
}

export async function sleepsSeen(subject: Subject): Promise<number> {
  return numberIn(await callTool(subject, 'conformance_sleeps_seen', {}), 'cancelled');
}

/** Milliseconds until one more was counted; null: none was. */
export async function waitForSleeps(subject: Subject, before: number): Promise<number | null> {
  const since = Date.now();
  while (Date.now() - since < subject.timing.stopSeenMs) {
    if ((await sleepsSeen(subject)) > before) return Date.now() - since;
    await sleep(POLL_MS);
  }
  return null;
}
