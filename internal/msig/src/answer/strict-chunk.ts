import { isJsonObject } from '@openeaap/kernel';
import type { JsonObject, JsonValue } from '@openeaap/kernel';

/**
 * Servers leave out and repeat what the strict clients depend on: a role in the first delta of each
 * choice; an index on every piece of a tool call; its id, type and name in the first piece and
 * never again, not even as null. This mends such chunks and leaves all others alone.
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
  readonly index: number;
  id: string;
  name: string;
  hasArguments: boolean;
}

/** Beyond these the strict clients give up. */
const CHOICES_MAX = 128;
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
function mendPiece({ calls }: ChoiceState, piece: JsonObject, { newId, tooMany }: Means): JsonObject {
  const part = isJsonObject(piece['function']) ? piece['function'] : {};
  const id = typeof piece['id'] === 'string' ? piece['id'] : '';
  const name = typeof part['name'] === 'string' ? part['name'] : '';
  const known = findCall(calls, { index: piece['index'] ?? null, id, name });
  if (known === null) {
    if (calls.length >= TOOL_CALLS_MAX) throw tooMany(`more than ${TOOL_CALLS_MAX} tool calls at once`);
    const index = typeof piece['index'] === 'number' ? piece['index'] : calls.length;
    const call: CallState = { index, id: id === '' || calls.some((each) => each.id === id) ? `call_${newId()}` : id, name, hasArguments: false };
    calls.push(call);
    const args = toText(part['arguments']);
    call.hasArguments = args !== '';
    if (piece['index'] === index && piece['id'] === call.id && typeof piece['type'] === 'string' && part['name'] === name && part['arguments'] === args) return piece;
    return { ...piece, index, id: call.id, type: 'function', function: { ...part, name, arguments: args } };
  }
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

/** By index, else by id, else the latest; null where a new call begins. */
function findCall(calls: readonly CallState[], piece: { readonly index: JsonValue; readonly id: string; readonly name: string }): CallState | null {
  if (typeof piece.index === 'number') return calls.find((call) => call.index === piece.index) ?? null;
  if (piece.id !== '') return calls.find((call) => call.id === piece.id) ?? null;
  return piece.name === '' ? (calls.at(-1) ?? null) : null;
}

function toText(value: JsonValue | undefined): string {
  if (typeof value === 'string') return value;
  return isJsonObject(value) ? JSON.stringify(value) : '';
}
