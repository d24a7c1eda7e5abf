import { status } from '@grpc/grpc-js';
import { ErrorCode } from '@openeaap/proto';
import type { ExecuteStepEvent, ExecuteStepResponse } from '@openeaap/proto';
import { shorten, statusText } from '../answer-text.ts';
import type { Check, Seen } from '../check.ts';
import { kept, warning } from '../check.ts';
import { broken } from '../conformance-error.ts';
import type { Answer, CallSettings } from '../connect-peer.ts';
import { expectFinalOutput, expectStatus, expectStepError } from '../expect-answer.ts';
import type { JsonValue } from '../json-value.ts';
import type { Subject } from '../subject.ts';
import { newMarker, thinkRequest, withToken } from '../subject.ts';

const section = 'A step';

export const streamChecks: readonly Check[] = [
  { name: 'stream.order', promise: 'A stream is deltas, then exactly one response, which is the last event.', section, needs: ['streaming', 'an agent'], run: expectOrder },
  { name: 'stream.text', promise: 'The deltas are the text as it is produced, in several pieces.', section, needs: ['streaming', 'the conformance agent'], run: expectText },
  { name: 'stream.error', promise: 'A think that fails ends its stream with a response that says so.', section, needs: ['streaming', 'the conformance agent'], run: expectErrorAtEnd },
  { name: 'stream.invalid', promise: 'A step of an unknown kind is refused in a stream as well.', section: 'How the file may change', needs: ['streaming'], run: expectInvalidKind },
  { name: 'stream.not_served', promise: 'Without streaming in the handshake ExecuteStepStream is UNIMPLEMENTED.', section, needs: ['no streaming'], run: expectUnimplemented },
];

interface Streamed {
  readonly events: readonly ExecuteStepEvent[];
  readonly end: Answer<null>;
}

async function streamThink(subject: Subject, input: JsonValue, settings: CallSettings = {}): Promise<Streamed> {
  const { request, token } = thinkRequest(subject, input);
  return withToken(subject, token, () => subject.peer().stream(request, settings));
}

const shapeOf = (events: readonly ExecuteStepEvent[]): string => (events.length === 0 ? 'no events' : shorten(events.map(({ event }) => event?.$case ?? 'an empty event').join(', ')));

/** The response at the end of a stream, as if it had come alone. */
function lastResponse({ events, end }: Streamed): Answer<ExecuteStepResponse> {
  if (!end.ok) return end;
  const last = events.findLast(({ event }) => event?.$case === 'response')?.event;
  if (last?.$case !== 'response') throw broken('a response at the end of the stream', shapeOf(events));
  return { ok: true, value: last.value };
}

async function expectOrder(subject: Subject): Promise<Seen> {
  for (const input of [{ do: 'stream', text: `some words about ${newMarker()}` }, { do: 'finish', output: newMarker() }]) {
    const { events, end } = await streamThink(subject, input);
    const expected = 'deltas, then one response as the last event, then the end of the stream';
    if (!end.ok) throw broken(expected, `${shapeOf(events)}, then ${statusText(end)}`);
    const right = events.at(-1)?.event?.$case === 'response' && events.slice(0, -1).every(({ event }) => event?.$case === 'delta');
    if (!right) throw broken(expected, shapeOf(events));
  }
  return kept('deltas, then the response');
}

async function expectText(subject: Subject): Promise<Seen> {
  const text = `一步一步来, step by step: ${newMarker()} and some more words so that there is something to send in pieces.`;
  const streamed = await streamThink(subject, { do: 'stream', text });
  expectFinalOutput(lastResponse(streamed), subject.agent, { exactly: text, mentions: text });
  const deltas = streamed.events.flatMap(({ event }) => (event?.$case === 'delta' ? [event.value] : []));
  const joined = deltas.join('');
  const expected = `deltas that ${subject.agent?.nature === 'model' ? 'contain' : 'are'} "${shorten(text)}"`;
  if (deltas.length === 0 && subject.agent?.nature === 'model') return warning('the model streamed, and no delta came of it');
  if (subject.agent?.nature === 'model' ? !joined.includes(text) : joined !== text) throw broken(expected, `"${shorten(joined)}"`);
  if (deltas.length < 2) return warning('the whole text in one delta');
  return kept(`${deltas.length} deltas`);
}

async function expectErrorAtEnd(subject: Subject): Promise<Seen> {
  const streamed = await streamThink(subject, { do: 'fail' });
  return kept(expectStepError(lastResponse(streamed), ErrorCode.ERROR_CODE_MODEL_UNAVAILABLE, true).message);
}

async function expectInvalidKind(subject: Subject): Promise<Seen> {
  const { request } = thinkRequest(subject, { do: 'finish', output: 1 }, { kind: 0 });
  expectStatus((await subject.peer().stream(request)).end, [status.INVALID_ARGUMENT]);
  return kept('INVALID_ARGUMENT');
}

async function expectUnimplemented(subject: Subject): Promise<Seen> {
  const { request } = thinkRequest(subject, { do: 'finish', output: 1 });
  expectStatus((await subject.peer().stream(request)).end, [status.UNIMPLEMENTED]);
  return kept('UNIMPLEMENTED');
}
