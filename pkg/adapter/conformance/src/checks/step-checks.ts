import { BinaryWriter } from '@bufbuild/protobuf/wire';
import { status } from '@grpc/grpc-js';
import { ErrorCode, ExecuteStepRequest, ToolEffect } from '@openeaap/proto';
import type { Check, Seen } from '../check.ts';
import { kept } from '../check.ts';
import { toHandshakeBytes } from '../connect-peer.ts';
import { expectStatus, expectStepError, expectToolOutput, valueOf } from '../expect-answer.ts';
import type { Subject } from '../subject.ts';
import { callTool, newMarker, think, toolRequest } from '../subject.ts';

const section = 'A step';

/** A field number that no version of the protocol is going to have soon. */
const UNKNOWN_FIELD = 15_000;
const UNKNOWN_KIND = 99;

export const stepChecks: readonly Check[] = [
  { name: 'step.unknown_kind', promise: 'A step of a kind that it does not know is refused with INVALID_ARGUMENT.', section: 'How the file may change', needs: [], run: expectUnknownKind },
  { name: 'step.unknown_tool', promise: 'A call of a tool that is not there is a StepError INVALID_INPUT.', section, needs: [], run: expectUnknownTool },
  { name: 'step.unknown_agent', promise: 'A think of an agent that is not there is a StepError INVALID_INPUT.', section, needs: [], run: expectUnknownAgent },
  { name: 'step.malformed_payload', promise: 'Arguments that are no JSON are a StepError INVALID_INPUT.', section, needs: ['a reading tool'], run: (subject) => expectInvalid(subject, ['{"text":', '{text: 1}', 'nonsense']) },
  { name: 'step.payload_no_object', promise: 'Arguments that are JSON but no object are a StepError INVALID_INPUT.', section, needs: ['a reading tool'], run: (subject) => expectInvalid(subject, ['[1,2]', '"text"', '7', 'null', 'true']) },
  { name: 'step.malformed_input', promise: 'An input of a run that is no JSON is a StepError INVALID_INPUT.', section, needs: ['an agent'], run: expectMalformedInput },
  { name: 'step.missing_fields', promise: 'What is not set in a request has a meaning: no constraints, nobody in particular, no trace.', section: 'How the file may change', needs: ['tool echo'], run: expectMissingFields },
  { name: 'step.unknown_fields', promise: 'Fields that it does not know are ignored.', section: 'How the file may change', needs: [], run: expectUnknownFields },
  { name: 'step.trace_context', promise: 'The trace context is accepted, also one that it can make nothing of.', section, needs: ['tool echo'], run: expectTraceContext },
];

/** By the tool that harms least: the fixture, else one that only reads. */
export function readingToolOf(subject: Subject): string | null {
  const { tools } = subject.offer;
  const found = tools.find(({ name }) => name === 'conformance_echo') ?? tools.find(({ effect }) => effect === ToolEffect.TOOL_EFFECT_READ);
  return found?.name ?? null;
}

async function expectUnknownKind(subject: Subject): Promise<Seen> {
  for (const kind of [0, UNKNOWN_KIND]) expectStatus(await subject.peer().step({ ...toolRequest(subject, 'conformance_echo', {}), kind }), [status.INVALID_ARGUMENT]);
  return kept(`kinds 0 and ${UNKNOWN_KIND} are refused`);
}

async function expectUnknownTool(subject: Subject): Promise<Seen> {
  const { message } = expectStepError(await callTool(subject, 'conformance_no_such_tool', {}), ErrorCode.ERROR_CODE_INVALID_INPUT, false);
  expectStepError(await callTool(subject, '', {}), ErrorCode.ERROR_CODE_INVALID_INPUT, false);
  return kept(message);
}

async function expectUnknownAgent(subject: Subject): Promise<Seen> {
  const agent = { name: 'conformance', entrypoint: 'conformance_no_such_agent', reasoning: 'react' };
  return kept(expectStepError(await think(subject, { do: 'finish', output: 1 }, { request: { agent } }), ErrorCode.ERROR_CODE_INVALID_INPUT, false).message);
}

async function expectInvalid(subject: Subject, payloads: readonly string[]): Promise<Seen> {
  const tool = readingToolOf(subject) ?? '';
  for (const payload of payloads) expectStepError(await callTool(subject, tool, payload, { request: { constraints: { dryRun: true } } }), ErrorCode.ERROR_CODE_INVALID_INPUT, false);
  return kept(`${payloads.length} payloads for ${tool} are refused`);
}

async function expectMalformedInput(subject: Subject): Promise<Seen> {
  return kept(expectStepError(await think(subject, null, { request: { inputPayload: '{"do":' } }), ErrorCode.ERROR_CODE_INVALID_INPUT, false).message);
}

async function expectMissingFields(subject: Subject): Promise<Seen> {
  const marker = newMarker();
  const bare = ExecuteStepRequest.fromPartial({ kind: 2, tool: 'conformance_echo', inputPayload: JSON.stringify({ marker }) });
  expectToolOutput(await subject.peer().step(bare), { echo: { marker } });
  return kept('a request with kind, tool and arguments alone is answered');
}

async function expectUnknownFields(subject: Subject): Promise<Seen> {
  const { protocolVersion } = valueOf(await subject.peer().handshakeWith(Buffer.concat([toHandshakeBytes([1]), unknownFields()])), 'an answer to a Handshake with fields that nobody knows');
  if (!subject.offer.tools.some(({ name }) => name === 'conformance_echo')) return kept(`Handshake, answered with version ${protocolVersion}`);
  const marker = newMarker();
  const step = Buffer.from(ExecuteStepRequest.encode(toolRequest(subject, 'conformance_echo', { marker })).finish());
  expectToolOutput(await subject.peer().stepWith(Buffer.concat([step, unknownFields()])), { echo: { marker } });
  return kept('Handshake and ExecuteStep');
}

/** One of each wire type that is in use. */
function unknownFields(): Buffer {
  const writer = new BinaryWriter();
  writer.uint32((UNKNOWN_FIELD << 3) | 0).uint64(12_345);
  writer.uint32(((UNKNOWN_FIELD + 1) << 3) | 1).fixed64(12_345);
  writer.uint32(((UNKNOWN_FIELD + 2) << 3) | 2).string('what a later version says');
  writer.uint32(((UNKNOWN_FIELD + 3) << 3) | 5).fixed32(12_345);
  return Buffer.from(writer.finish());
}

async function expectTraceContext(subject: Subject): Promise<Seen> {
  const contexts = [
    { traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01', tracestate: 'vendor=1,other=2' },
    { traceparent: 'nonsense', tracestate: '=,=', baggage: 'k=v' },
    {},
  ];
  for (const traceContext of contexts) {
    const marker = newMarker();
    expectToolOutput(await callTool(subject, 'conformance_echo', { marker }, { request: { traceContext } }), { echo: { marker } });
  }
  return kept('valid, nonsense and none');
}
