import { describe, expect, it } from 'vitest';
import type { JsonObject } from '@openeaap/kernel';
import { createStrictChunks } from './strict-chunk.ts';

/** The tool calls of each delta as the client gets them. */
function mendAll(...deltas: readonly (readonly JsonObject[])[]): readonly (readonly JsonObject[])[] {
  let ids = 0;
  const strict = createStrictChunks(() => String((ids += 1)), (what) => new Error(what));
  return deltas.map((pieces) => {
    const choices = [{ index: 0, delta: { role: 'assistant', tool_calls: pieces }, finish_reason: null }];
    const [choice] = (strict.mend(choices) ?? choices) as unknown as { readonly delta: { readonly tool_calls: readonly JsonObject[] } }[];
    return choice?.delta.tool_calls ?? [];
  });
}

const call = (index: number, id: string, name: string, args = ''): JsonObject => ({ index, id, type: 'function', function: { name, arguments: args } });
const more = (index: number, args: string): JsonObject => ({ index, function: { arguments: args } });

describe('calls in a stream', () => {
  it('are left alone when they are fine', () => {
    const deltas = [[call(0, 'a', 'f')], [more(0, '{"x":')], [call(1, 'b', 'g', '{')], [more(0, '1}'), more(1, '}')]];
    expect(mendAll(...deltas)).toEqual(deltas);
  });

  it('of tools with a grammar of their own get an index and nothing else', () => {
    const first = { id: 'a', type: 'custom', custom: { name: 'sql', input: '' } };
    const rest = { type: 'custom', custom: { input: 'select 1' } };
    expect(mendAll([{ index: 0, ...first }], [{ index: 0, custom: { input: 'select 1' } }])).toEqual([[{ index: 0, ...first }], [{ index: 0, custom: { input: 'select 1' } }]]);
    expect(mendAll([first], [rest], [call(1, 'b', 'f')], [{ index: 0, ...rest }])).toEqual([[{ ...first, index: 0 }], [{ ...rest, index: 0 }], [call(1, 'b', 'f')], [{ index: 0, ...rest }]]);
  });

  it('of types that nobody knows yet get an index and nothing else', () => {
    expect(mendAll([{ id: 'a', type: 'new', novel: { x: 1 } }], [{ index: 0, novel: { y: 2 } }])).toEqual([[{ id: 'a', type: 'new', novel: { x: 1 }, index: 0 }], [{ index: 0, novel: { y: 2 } }]]);
  });

  it('that share an index are told apart by their ids', () => {
    expect(mendAll([call(0, 'a', 'f', '{"x":1}')], [call(0, 'b', 'g', '{"y"')], [more(0, ':2}')], [{ index: 0, id: 'a', function: { arguments: ' ' } }], [call(0, 'c', 'f', '{}')])).toEqual([
      [call(0, 'a', 'f', '{"x":1}')], [call(1, 'b', 'g', '{"y"')], [more(1, ':2}')], [more(0, ' ')], [call(2, 'c', 'f', '{}')],
    ]);
    expect(mendAll([call(0, 'a', 'f', '{}'), call(0, 'b', 'g', '{}'), call(1, 'c', 'h', '{}')], [more(1, ' ')])).toEqual([[call(0, 'a', 'f', '{}'), call(1, 'b', 'g', '{}'), call(2, 'c', 'h', '{}')], [more(2, ' ')]]);
  });

  it('with an id that is repeated, or comes late, stay one', () => {
    expect(mendAll([call(0, 'a', 'f')], [call(0, 'a', 'f', '{}')])).toEqual([[call(0, 'a', 'f')], [more(0, '{}')]]);
    expect(mendAll([{ index: 0, function: { name: 'f' } }], [{ index: 0, id: 'a', function: { arguments: '{}' } }])).toEqual([[call(0, 'call_1', 'f')], [more(0, '{}')]]);
    // The second of two calls with the same id got one of ours.
    expect(mendAll([call(0, 'a', 'f')], [call(1, 'a', 'g')], [call(1, 'a', 'g', '{}')])).toEqual([[call(0, 'a', 'f')], [call(1, 'call_1', 'g')], [more(1, '{}')]]);
  });

  it('without an index get one that is free', () => {
    const bare = (id: string): JsonObject => ({ id, type: 'function', function: { name: 'f', arguments: '{}' } });
    expect(mendAll([call(1, 'a', 'f', '{}')], [bare('b')], [bare('c')], [{ function: { arguments: ' ' } }])).toEqual([[call(1, 'a', 'f', '{}')], [call(2, 'b', 'f', '{}')], [call(3, 'c', 'f', '{}')], [more(3, ' ')]]);
  });

  it('are 128 at most', () => {
    expect(() => mendAll(...Array.from({ length: 129 }, (_, n) => [call(0, `id${n}`, 'f')]))).toThrow('more than 128 tool calls');
  });
});
