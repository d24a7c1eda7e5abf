import { isJsonObject, LIMITS } from '@openeaap/kernel';
import type { ChatReply, ChatToolCall, JsonObject } from '@openeaap/kernel';
import type { TokenCounts } from '../backends/backend.ts';
import { invalidOutput } from '../backends/upstream-error.ts';
import type { UpstreamContext } from '../backends/upstream-error.ts';
import { readUsage } from './wire-usage.ts';

/**
 * Puts an answer together from the pieces of a stream, or from one whole message. Servers differ
 * in what they leave out and repeat; whatever an answer can be read from is accepted:
 * tool calls interleaved by index or without one, names and arguments cut anywhere, `null` for
 * what does not change, usage on any chunk. Reasoning text is not part of the answer.
 */
export interface ReplyAssembler {
  /** One parsed chunk or whole answer. Returns the new text in it. Errors: `model_invalid_output`. */
  readonly add: (chunk: JsonObject) => string;
  /** The server said why it stopped. */
  readonly isFinished: () => boolean;
  /** Usage as the server reported it so far; null when it has not. */
  readonly usage: () => TokenCounts | null;
  /** Errors: `model_invalid_output` when there is neither text nor a call, or a call has no name. */
  readonly finish: () => AssembledReply;
}

export type AssembledReply = Pick<ChatReply, 'content' | 'toolCalls' | 'finishReason' | 'model'>;

interface PartialCall {
  readonly index: number | null;
  id: string;
  name: string;
  argumentsText: string;
}

/** More calls than this in one answer is nonsense, whatever the orchestrator would allow. */
const TOOL_CALLS_MAX = 128;

export function createReplyAssembler(context: UpstreamContext, newId: () => string): ReplyAssembler {
  const calls: PartialCall[] = [];
  let content = '';
  let finishReason: string | null = null;
  let model = '';
  let usage: TokenCounts | null = null;
  let bytes = 0;

  const take = (text: string): string => {
    bytes += Buffer.byteLength(text);
    if (bytes > LIMITS.modelReplyBytes) throw invalidOutput(context, `produced more than ${LIMITS.modelReplyBytes} bytes.`, { limit_bytes: LIMITS.modelReplyBytes });
    return text;
  };

  const addCall = (piece: JsonObject): void => {
    const call = findCall(calls, piece);
    if (!calls.includes(call)) {
      if (calls.length >= TOOL_CALLS_MAX) throw invalidOutput(context, `asked for more than ${TOOL_CALLS_MAX} tool calls at once.`);
      calls.push(call);
    }
    if (call.id === '' && typeof piece['id'] === 'string') call.id = take(piece['id']);
    const part = piece['function'];
    if (!isJsonObject(part)) return;
    const name = part['name'];
    // Some servers repeat the whole name with every piece; once arguments have begun it cannot grow.
    if (typeof name === 'string' && call.argumentsText === '' && name !== call.name) call.name += take(name);
    const args = part['arguments'];
    if (typeof args === 'string') call.argumentsText += take(args);
    else if (isJsonObject(args)) call.argumentsText += take(JSON.stringify(args));
  };

  return {
    add: (chunk) => {
      usage = readUsage(chunk['usage']) ?? usage;
      if (typeof chunk['model'] === 'string' && chunk['model'] !== '') model = chunk['model'].slice(0, 200);
      const choice = firstChoice(chunk);
      if (choice === null) return '';
      if (typeof choice['finish_reason'] === 'string') finishReason = choice['finish_reason'];
      const message = isJsonObject(choice['delta']) ? choice['delta'] : choice['message'];
      if (!isJsonObject(message)) return '';
      const text = take(readText(message['content']));
      content += text;
      if (Array.isArray(message['tool_calls'])) message['tool_calls'].filter(isJsonObject).forEach(addCall);
      return text;
    },
    isFinished: () => finishReason !== null,
    usage: () => usage,
    finish: () => {
      if (calls.some((call) => call.name === '')) throw invalidOutput(context, 'asked for a tool call without a name.');
      if (content.trim() === '' && calls.length === 0) {
        throw invalidOutput(context, `gave an empty answer (finish reason: ${toFinishReason(finishReason, calls)}).`, { finish_reason: toFinishReason(finishReason, calls) });
      }
      return { content, toolCalls: toCalls(calls, newId), finishReason: toFinishReason(finishReason, calls), model };
    },
  };
}

function firstChoice(chunk: JsonObject): JsonObject | null {
  if (!Array.isArray(chunk['choices'])) return null;
  return chunk['choices'].filter(isJsonObject).find((choice) => (choice['index'] ?? 0) === 0) ?? null;
}

/** Text as it is, or as a list of parts with `text`. */
function readText(content: unknown): string {
  if (typeof content === 'string') return content;
  if (!Array.isArray(content)) return '';
  return content.map((part: unknown) => (isJsonObject(part) && typeof part['text'] === 'string' ? part['text'] : '')).join('');
}

/** The call that a piece belongs to: by index, else by id, else the latest; a new one where none fits. */
function findCall(calls: readonly PartialCall[], piece: JsonObject): PartialCall {
  const index = Number.isInteger(piece['index']) ? (piece['index'] as number) : null;
  const id = typeof piece['id'] === 'string' ? piece['id'] : '';
  const fresh: PartialCall = { index, id: '', name: '', argumentsText: '' };
  if (index !== null) return calls.find((call) => call.index === index) ?? fresh;
  if (id !== '') return calls.find((call) => call.id === id) ?? fresh;
  return startsCall(piece) ? fresh : (calls.at(-1) ?? fresh);
}

/** A piece with neither index nor id begins a call when it names a tool. */
function startsCall(piece: JsonObject): boolean {
  const part = piece['function'];
  return isJsonObject(part) && typeof part['name'] === 'string' && part['name'] !== '';
}

/** In the order of their index; every id there and unique, for the answers are matched by it. */
function toCalls(calls: readonly PartialCall[], newId: () => string): readonly ChatToolCall[] {
  const seen = new Set<string>();
  return calls.toSorted((a, b) => (a.index ?? 0) - (b.index ?? 0)).map(({ id, name, argumentsText }) => {
    const unique = id === '' || seen.has(id) ? `call_${newId()}` : id;
    seen.add(unique);
    return { id: unique, name, argumentsText };
  });
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
