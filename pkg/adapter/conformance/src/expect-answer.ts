import { isDeepStrictEqual } from 'node:util';
import { status } from '@grpc/grpc-js';
import type { ErrorCode, ExecuteStepResponse, ProposedCall, StepError } from '@openeaap/proto';
import { answerText, errorCodeName, shorten, statusText } from './answer-text.ts';
import { broken } from './conformance-error.ts';
import type { Answer } from './connect-peer.ts';
import type { JsonValue } from './json-value.ts';
import type { TestedAgent } from './subject.ts';

/** The value of a call that has to end with status OK. */
export function valueOf<T>(answer: Answer<T>, expected: string): T {
  if (answer.ok) return answer.value;
  throw broken(expected, statusText(answer));
}

/** The response of a step that has to succeed. */
export function responseOf(answer: Answer<ExecuteStepResponse>, expected: string): ExecuteStepResponse {
  const response = valueOf(answer, expected);
  if (response.error !== undefined) throw broken(expected, answerText(answer));
  return response;
}

/** The result of a tool step that has to succeed. */
export function outputOf(answer: Answer<ExecuteStepResponse>, expected: string): unknown {
  return parseJson(responseOf(answer, expected).outputPayload, 'JSON text in output_payload');
}

export function expectToolOutput(answer: Answer<ExecuteStepResponse>, wanted: JsonValue): void {
  const expected = `output_payload ${shorten(JSON.stringify(wanted))}`;
  if (!isDeepStrictEqual(outputOf(answer, expected), wanted)) throw broken(expected, answerText(answer));
}

/** A count in the result of a fixture tool. */
export function numberIn(answer: Answer<ExecuteStepResponse>, field: string): number {
  const expected = `a result {"${field}": N}`;
  const output = outputOf(answer, expected);
  const value: unknown = typeof output === 'object' && output !== null ? Reflect.get(output, field) : undefined;
  if (typeof value === 'number' && Number.isSafeInteger(value)) return value;
  throw broken(expected, answerText(answer));
}

/** Status OK and a StepError of that code. `retryable` null: either is right. */
export function expectStepError(answer: Answer<ExecuteStepResponse>, code: ErrorCode, retryable: boolean | null): StepError {
  const expected = `a response with StepError ${errorCodeName(code)}${retryable === null ? '' : retryable ? ', retryable' : ', not retryable'}`;
  const { error } = valueOf(answer, expected);
  if (error === undefined || error.code !== code || (retryable !== null && error.retryable !== retryable)) throw broken(expected, answerText(answer));
  return error;
}

export function expectStatus(answer: Answer<unknown>, codes: readonly status[]): void {
  const expected = `status ${codes.map((code) => status[code]).join(' or ')}`;
  if (answer.ok) throw broken(expected, 'status OK');
  if (!codes.includes(answer.code)) throw broken(expected, statusText(answer));
}

/** The one call that a think has to propose. */
export function onlyCallOf(answer: Answer<ExecuteStepResponse>, tool: string): ProposedCall {
  const expected = `a proposal of one call of ${tool}`;
  const { proposal } = responseOf(answer, expected);
  const call = proposal?.calls[0];
  if (call === undefined || proposal?.calls.length !== 1 || call.tool !== tool) throw broken(expected, answerText(answer));
  return call;
}

export interface WantedOutput {
  /** What a program answers to the letter. */
  readonly exactly: JsonValue;
  /** What has to be found in the text of a model's answer. */
  readonly mentions: string;
}

/** The output with which a think has to end the run: exact for a program, its heart for a model. */
export function expectFinalOutput(answer: Answer<ExecuteStepResponse>, agent: TestedAgent | null, wanted: WantedOutput): void {
  const expected = agent?.nature === 'model' ? `an output that contains "${shorten(wanted.mentions)}"` : `the output ${shorten(JSON.stringify(wanted.exactly))}`;
  const { proposal } = responseOf(answer, expected);
  if (proposal?.output === undefined || proposal.calls.length > 0) throw broken(expected, answerText(answer));
  const output = parseJson(proposal.output, 'JSON text in proposal.output');
  const right = agent?.nature === 'model' ? textsIn(output).includes(wanted.mentions) : isDeepStrictEqual(output, wanted.exactly);
  if (!right) throw broken(expected, answerText(answer));
}

/** All texts and numbers of a value in a row: an agent may wrap what its model said. */
function textsIn(value: unknown): string {
  if (typeof value !== 'object' || value === null) return String(value);
  return Object.values(value).map(textsIn).join('\n');
}

export function parseJson(text: string, expected: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw broken(expected, text === '' ? 'an empty text' : shorten(text));
  }
}
