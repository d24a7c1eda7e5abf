import { status } from '@grpc/grpc-js';
import { ErrorCode } from '@openeaap/proto';
import type { ExecuteStepResponse, StepError } from '@openeaap/proto';
import type { Answer } from './connect-peer.ts';
import type { PluginExit } from './launch-plugin.ts';

/** Of any text that is shown; the rest is cut. */
const SHOWN_CHARS = 200;

/** An answer to a step in a few words. */
export function answerText(answer: Answer<ExecuteStepResponse>): string {
  if (!answer.ok) return statusText(answer);
  const { error, proposal, outputPayload } = answer.value;
  if (error !== undefined) return stepErrorText(error);
  if (proposal !== undefined) {
    if (proposal.calls.length > 0) return `a proposal of ${proposal.calls.map((call) => `${call.tool} ${shorten(call.args)}`).join(', ')}${proposal.output === undefined ? '' : ` and the output ${shorten(proposal.output)}`}`;
    return proposal.output === undefined ? 'a proposal without calls and output' : `the output ${shorten(proposal.output)}`;
  }
  return outputPayload === '' ? 'an empty response' : `output_payload ${shorten(outputPayload)}`;
}

export function statusText(answer: { readonly code: status; readonly details: string }): string {
  return `status ${status[answer.code] ?? answer.code}${answer.details === '' ? '' : ` (${shorten(answer.details)})`}`;
}

export function stepErrorText(error: StepError): string {
  return `StepError ${errorCodeName(error.code)}, ${error.retryable ? 'retryable' : 'not retryable'}, "${shorten(error.message)}"`;
}

export function errorCodeName(code: ErrorCode): string {
  return (ErrorCode[code] ?? String(code)).replace('ERROR_CODE_', '');
}

export function shorten(text: string): string {
  return text.length <= SHOWN_CHARS ? text : `${text.slice(0, SHOWN_CHARS)}… (${text.length} characters)`;
}

export function exitText({ code, signal, failure }: PluginExit): string {
  return failure ?? (signal === null ? `exit code ${code}` : signal);
}
