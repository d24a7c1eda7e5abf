import { isJsonObject } from '@openeaap/kernel';
import type { JsonObject, JsonValue } from '@openeaap/kernel';
import { CHOICES_MAX } from '../request/fields.ts';

/**
 * Servers leave out and repeat what the strict clients depend on: a role in the first delta of each
 * choice; an index on every piece of a tool call; its id, type and name in the first piece and
 * never again, not even as null. This mends such chunks and leaves all others alone. What it says
 * of calls holds for functions: a call of another type gets its index, and is passed on as it came.
 */
export interface StrictChunks {
  /** The mended choices; null: they are fine as they are. */
  readonly mend: (choices: readonly JsonObject[]) => readonly JsonObject[] | null;
}

interface ChoiceState {
  hasRole: boolean;
  readonly calls: CallState[];
}

interface CallState {
  /** As the client sees it: no other call has it. */
  readonly index: number;
  /** As the server has it, which may have it on several; ours where it has none. */
  readonly wireIndex: number;
  /** Of the server; empty: it has not told one. */
  wireId: string;
  readonly isFunction: boolean;
  name: string;
  hasArguments: boolean;
}

/** Beyond these the strict clients give up. */
const TOOL_CALLS_MAX = 128;

export function createStrictChunks(newId: () => string, tooMany: (what: string) => Error): StrictChunks {
  const states = new Map<number, ChoiceState>();
  const stateOf = (index: number): ChoiceState => {
    const known = states.get(index);
    if (known !== undefined) return known;
    if (states.size >= CHOICES_MAX) throw tooMany(`more than ${CHOICES_MAX} choices`);
    const fresh: ChoiceState = { hasRole: false, calls: [] };
    states.set(index, fresh);
    return fresh;
  };

  const mendChoice = (choice: JsonObject): JsonObject | null => {
    const { delta } = choice;
    if (!isJsonObject(delta)) return null;
    const state = stateOf(typeof choice['index'] === 'number' ? choice['index'] : 0);
    const role = state.hasRole || typeof delta['role'] === 'string' ? null : 'assistant';
    state.hasRole = true;
    const pieces = Array.isArray(delta['tool_calls']) ? delta['tool_calls'].filter(isJsonObject) : null;
    const mended = pieces === null ? null : mendPieces(state, pieces, { newId, tooMany });
    if (role === null && mended === null) return null;
    return { ...choice, delta: { ...(role === null ? {} : { role }), ...delta, ...(mended === null ? {} : { tool_calls: mended }) } };
  };

  return {
    mend: (choices) => {
      const mended = choices.map(mendChoice);
      return mended.every((choice) => choice === null) ? null : choices.map((choice, at) => mended[at] ?? choice);
    },
  };
}

interface Means {
  readonly newId: () => string;
  readonly tooMany: (what: string) => Error;
}

function mendPieces(state: ChoiceState, pieces: readonly JsonObject[], means: Means): readonly JsonObject[] | null {
  const mended = pieces.map((piece) => mendPiece(state, piece, means));
  return mended.every((piece, at) => piece === pieces[at]) ? null : mended;
}

/** The piece itself where it is fine. */
function mendPiece({ calls }: ChoiceState, piece: JsonObject, means: Means): JsonObject {
  const read = readPiece(piece);
  const known = findCall(calls, read);
  if (known === null) return beginCall(calls, piece, { read, means });
  if (known.wireId === '') known.wireId = read.id;
  if (!known.isFunction) return withIndex(piece, known.index);
  const { part, name } = read;
  const args = toText(part['arguments']);
  // A name that comes in pieces comes before the arguments; the same name again is only repeated.
  const moreName = name !== '' && name !== known.name && !known.hasArguments ? name : null;
  known.name += moreName ?? '';
  known.hasArguments ||= args !== '';
  const isFine = piece['index'] === known.index && piece['id'] === undefined && piece['type'] === undefined && part['name'] === undefined && typeof part['arguments'] === 'string';
  if (isFine) return piece;
  const { id: _id, type: _type, function: _function, ...others } = piece;
  return { ...others, index: known.index, function: { ...(moreName === null ? {} : { name: moreName }), arguments: args } };
}

/** The first piece of a call. */
function beginCall(calls: CallState[], piece: JsonObject, { read, means }: { readonly read: Piece; readonly means: Means }): JsonObject {
  if (calls.length >= TOOL_CALLS_MAX) throw means.tooMany(`more than ${TOOL_CALLS_MAX} tool calls at once`);
  const { wireIndex, id: wireId, name, part, isFunction } = read;
  const isFree = wireIndex !== null && calls.every((call) => call.index !== wireIndex);
  const index = isFree ? wireIndex : Math.max(-1, ...calls.map((call) => call.index)) + 1;
  const id = wireId === '' || calls.some((call) => call.wireId === wireId) ? `call_${means.newId()}` : wireId;
  const args = toText(part['arguments']);
  calls.push({ index, wireIndex: wireIndex ?? index, wireId, isFunction, name, hasArguments: args !== '' });
  if (!isFunction) return withIndex(piece, index);
  if (piece['index'] === index && piece['id'] === id && typeof piece['type'] === 'string' && part['name'] === name && part['arguments'] === args) return piece;
  return { ...piece, index, id, type: 'function', function: { ...part, name, arguments: args } };
}

interface Piece {
  readonly wireIndex: number | null;
  readonly id: string;
  readonly name: string;
  readonly isFunction: boolean;
  /** Of its function, or of its tool with a grammar of its own. */
  readonly part: JsonObject;
}

function readPiece(piece: JsonObject): Piece {
  const { index, id, type, function: called, custom } = piece;
  const part = [called, custom].find(isJsonObject) ?? {};
  return {
    wireIndex: typeof index === 'number' ? index : null,
    id: typeof id === 'string' ? id : '',
    name: typeof part['name'] === 'string' ? part['name'] : '',
    isFunction: isJsonObject(called) || ((type ?? 'function') === 'function' && !isJsonObject(custom)),
    part,
  };
}

/**
 * By index, else by id, else the latest; null where a new call begins. Of those that share an index
 * the one with the same id, or the latest where the piece has none.
 */
function findCall(calls: readonly CallState[], { wireIndex, id, name }: Piece): CallState | null {
  const isSame = (call: CallState): boolean => id === '' || call.wireId === id || (wireIndex !== null && call.wireId === '');
  if (wireIndex !== null) return calls.findLast((call) => call.wireIndex === wireIndex && isSame(call)) ?? null;
  if (id !== '') return calls.find(isSame) ?? null;
  return name === '' ? (calls.at(-1) ?? null) : null;
}

function withIndex(piece: JsonObject, index: number): JsonObject {
  return piece['index'] === index ? piece : { ...piece, index };
}

function toText(value: JsonValue | undefined): string {
  if (typeof value === 'string') return value;
  return isJsonObject(value) ? JSON.stringify(value) : '';
}
