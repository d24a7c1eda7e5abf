import { BinaryWriter } from '@bufbuild/protobuf/wire';
import { status } from '@grpc/grpc-js';

import { shorten, statusText } from '../answer-text.ts';
import type { Check, Seen } from '../check.ts';
import { inapplicable, kept, warning } from '../check.ts';
import { broken } from '../conformance-error.ts';
import type { Answer } from '../connect-peer.ts';
import { toHandshakeBytes } from '../connect-peer.ts';
import { expectStatus, valueOf } from '../expect-answer.ts';
import type { Subject } from '../subject.ts';
import { callTool, think, toolRequest } from '../subject.ts';

const section = 'A step';

/** Of gRPC, where max_message_bytes is 0. */
const DEFAULT_RECEIVES_BYTES = 4_194_304;
/** A plugin that says it receives more than this is believed. */
const TRIED_BYTES_MAX = 67_108_864;
/** Room for what surrounds the filling of a message. */
const ROOM_BYTES = 1_024;
/** Of this many bytes over the limit nobody can say that they are the frame's. */
const OVER_BYTES = 65_536;
const FILLING_FIELD = 15_100;

export const transportChecks: readonly Check[] = [
  { name: 'size.up_to_limit', promise: 'Messages of up to max_message_bytes (0: 4 MiB) are received.', section, needs: [], run: expectReceived },
  { name: 'size.over_limit', promise: 'A larger message is refused with RESOURCE_EXHAUSTED, and the plugin lives on.', section, needs: [], run: expectRefused },
  { name: 'token.required', promise: 'With OPENEAAP_PLUGIN_TOKEN set, a call without the token gets UNAUTHENTICATED.', section: 'How a plugin is started', needs: ['a token'], run: (subject) => expectUnauthenticated(subject, null) },
  { name: 'token.compared', promise: 'A call with another token gets UNAUTHENTICATED.', section: 'How a plugin is started', needs: ['a token'], run: (subject) => expectUnauthenticated(subject, 'another-token') },
];

/** Come last: they judge everything that came back until then. */
export const lastChecks: readonly Check[] = [
  { name: 'secret.not_returned', promise: 'Credentials are never returned: in no result, proposal, message or status.', section, needs: [], run: expectNothingReturned },
  { name: 'secret.not_logged', promise: 'Credentials are never logged.', section, needs: ['launch'], run: expectNothingLogged },
  { name: 'launch.stdout', promise: 'Nothing but the line that it listens goes to standard output.', section: 'How a plugin is started', needs: ['launch'], run: expectQuietStdout },
];

/** A handshake with filling, which the plugin has to receive whole before it can ignore it. */
function probe(subject: Subject, bytes: number): Promise<Answer<unknown>> {
  const filling = new BinaryWriter().uint32((FILLING_FIELD << 3) | 2).bytes(new Uint8Array(bytes)).finish();
  return subject.peer().handshakeWith(Buffer.concat([toHandshakeBytes([1]), filling]), { deadlineMs: subject.timing.bigMessageMs });
}

const limitOf = (subject: Subject): number => (subject.offer.maxMessageBytes === 0 ? DEFAULT_RECEIVES_BYTES : subject.offer.maxMessageBytes);

async function expectReceived(subject: Subject): Promise<Seen> {
  const bytes = Math.max(0, Math.min(limitOf(subject), TRIED_BYTES_MAX) - ROOM_BYTES);
  valueOf(await probe(subject, bytes), `a message of ${bytes} bytes to be received`);
  return kept(`${bytes} bytes`);
}

async function expectRefused(subject: Subject): Promise<Seen> {
  const limit = limitOf(subject);
  if (limit > TRIED_BYTES_MAX) return inapplicable(`the plugin receives ${limit} bytes; more than ${TRIED_BYTES_MAX} is not tried`);
  const answer = await probe(subject, limit + OVER_BYTES);
  if (!answer.ok) expectStatus(answer, [status.RESOURCE_EXHAUSTED]);
  valueOf(await subject.peer().handshake([1], { deadlineMs: subject.timing.bigMessageMs }), 'an answer to Handshake after a message that was too large');
  return answer.ok ? warning(`it receives ${limit + OVER_BYTES} bytes and says ${limit}`) : kept('RESOURCE_EXHAUSTED, and it lives on');
}

async function expectUnauthenticated(subject: Subject, token: string | null): Promise<Seen> {
  const peer = subject.peer();
  const expected = 'status UNAUTHENTICATED';
  const calls: readonly (readonly [string, Answer<unknown>])[] = [
    ['Handshake', await peer.handshake([1], { token })],
    ['HealthCheck', await peer.health({ token })],
    ['ExecuteStep', await peer.step(toolRequest(subject, 'conformance_no_such_tool', {}), { token })],
  ];
  for (const [method, answer] of calls) {
    if (answer.ok) throw broken(`${expected} for ${method}`, 'status OK');
    if (answer.code !== status.UNAUTHENTICATED) throw broken(`${expected} for ${method}`, statusText(answer));
  }
  return kept('Handshake, HealthCheck and ExecuteStep are refused');
}

async function expectNothingReturned(subject: Subject): Promise<Seen> {
  // Errors are where requests are quoted, so these are provoked once more with credentials in them.
  const ephemeralCredentials = { OPENEAAP_MODEL_TOKEN: subject.watch.handOut('OPENEAAP_MODEL_TOKEN'), CONFORMANCE_SECRET: subject.watch.handOut('CONFORMANCE_SECRET') };
  await callTool(subject, 'conformance_no_such_tool', '{"not json', { request: { ephemeralCredentials } });
  await subject.peer().step({ ...toolRequest(subject, '', {}), kind: 0, ephemeralCredentials });
  if (subject.agent !== null) await think(subject, { do: 'nothing that anybody knows' }, { request: { inputPayload: '{"do":' } });
  const leaks = subject.watch.leaks();
  if (leaks.length > 0) throw broken('no credential in anything that comes back', leaks.join('; '));
  return kept('none in all responses of this run');
}

async function expectNothingLogged({ launcher, watch }: Subject): Promise<Seen> {
  const outputs = launcher?.outputs() ?? [];
  const all = outputs.map(({ stdout, stderr }) => `${stdout}\n${stderr}`).join('\n');
  const tokens = outputs.some(({ token }) => token !== null && all.includes(token)) ? ['OPENEAAP_PLUGIN_TOKEN'] : [];
  const seen = [...watch.findIn(all), ...tokens];
  if (seen.length > 0) throw broken('no credential in the output of the process', seen.join(', '));
  return kept(`none in ${Buffer.byteLength(all)} bytes of output`);
}

/** One line that says where it listens, and nothing else, whatever was asked of it. */
async function expectQuietStdout({ launcher }: Subject): Promise<Seen> {
  const more = (launcher?.outputs() ?? []).map(({ stdout }) => stdout.split('\n').slice(1).join('\n').trim()).find((rest) => rest !== '');
  if (more !== undefined) throw broken('one line on standard output and everything else on standard error', `also: ${shorten(more)}`);
  return kept('one line');
}
