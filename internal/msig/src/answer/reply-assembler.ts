import { isJsonObject, LIMITS } from '@openeaap/kernel';
import type { ChatReply, JsonObject, JsonValue } from '@openeaap/kernel';
import { invalidOutput } from '../backends/upstream-error.ts';
import type { UpstreamContext } from '../backends/upstream-error.ts';
import { modelOf } from './answer-relay.ts';
import { indexOf, objectsOf } from './completion-form.ts';

/**
 * Puts a reply together from the chunks of a stream as the gateway passes them on: whatever servers
 * leave out of them and repeat was mended before (see `strict-chunk`), so that each call has its index
 * on every piece, and its id and type in the first. Reasoning text is not part of the reply.
 */
export interface ReplyAssembler {
  /** Returns the new text in the chunk. Errors: `model_invalid_output`. */
  readonly add: (chunk: JsonObject) => string;
  /** Errors: `model_invalid_output` when there is neither text nor a call, or a call has no name. */
  readonly finish: () => AssembledReply;
}

export type AssembledReply = Pick<ChatReply, 'content' | 'toolCalls' | 'finishReason' | 'model'>;

interface PartialCall {
  readonly id: string;
  name: string;
  argumentsText: string;
}

export function createReplyAssembler(context: UpstreamContext): ReplyAssembler {
  const calls = new Map<number, PartialCall>();
  let content = '';
  let finishReason: string | null = null;
  let model = '';
  let bytes = 0;

  const take = (value: JsonValue | undefined): string => {
    if (typeof value !== 'string') return '';
    bytes += Buffer.byteLength(value);
    if (bytes > LIMITS.modelReplyBytes) throw invalidOutput(context, `produced more than ${LIMITS.modelReplyBytes} bytes.`, { limit_bytes: LIMITS.modelReplyBytes });
    return value;
  };

  const addPiece = (piece: JsonObject): void => {
    const index = indexOf(piece, 0);
    const call = calls.get(index) ?? { id: take(piece['id']), name: '', argumentsText: '' };
    calls.set(index, call);
    const part = isJsonObject(piece['function']) ? piece['function'] : {};
    call.name += take(part['name']);
    call.argumentsText += take(part['arguments']);
  };

  return {
    add: (chunk) => {
      model = modelOf(chunk) || model;
      const choice = objectsOf(chunk['choices']).find((each) => indexOf(each, 0) === 0);
      if (choice === undefined) return '';
      if (typeof choice['finish_reason'] === 'string') finishReason = choice['finish_reason'];
      const delta = isJsonObject(choice['delta']) ? choice['delta'] : {};
      const text = take(textOf(delta['content']));
      content += text;
      objectsOf(delta['tool_calls']).forEach(addPiece);
      return text;
    },
    finish: () => {
      const toolCalls = [...calls].toSorted(([a], [b]) => a - b).map(([, call]) => call);
      const reason = toFinishReason(finishReason, toolCalls);
      if (toolCalls.some((call) => call.name === '')) throw invalidOutput(context, 'asked for a tool call without a name.');
      if (content.trim() === '' && toolCalls.length === 0) throw invalidOutput(context, `gave an empty answer (finish reason: ${reason}).`, { finish_reason: reason });
      return { content, toolCalls, finishReason: reason, model };
    },
  };
}

/** Text as it is, or as a list of parts with `text`. */
function textOf(content: JsonValue | undefined): string {
  if (typeof content === 'string') return content;
  return objectsOf(content).map(({ text }) => (typeof text === 'string' ? text : '')).join('');
}

function toFinishReason(reason: string | null, calls: readonly unknown[]): ChatReply['finishReason'] {
  switch (reason) {
    case null:
    case 'stop':
      // Several servers say `stop` after tool calls.
      return calls.length > 0 ? 'tool_calls' : 'stop';
    case 'tool_calls':
    case 'function_call':
      return 'tool_calls';
    case 'length':
    case 'content_filter':
      return reason;
    default:
      return 'other';
  }
}
