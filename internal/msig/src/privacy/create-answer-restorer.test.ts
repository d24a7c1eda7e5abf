import { describe, expect, it } from 'vitest';
import type { JsonObject } from '@openeaap/kernel';
import { createAnswerRestorer } from './create-answer-restorer.ts';
import type { AnswerRestorer } from './egress-guard.ts';
import { createTextRestorer, HELD_CHARS_MAX } from './restore-text.ts';

const KEY = '-----BEGIN KEY-----\n"a\\b"\n-----END KEY-----';
const ORIGINALS = new Map([['1a2b3c4d', '13800138000'], ['00ff00ff', KEY], ['abcdef01', 'bob@corp.example']]);
const texts = createTextRestorer({ originals: ORIGINALS, kinds: new Set(['PHONE', 'PRIVATE_KEY', 'EMAIL']) });
const restorer = (body: JsonObject = {}): AnswerRestorer => createAnswerRestorer(texts, { body });

const PHONE = '<PHONE_1a2b3c4d>';
const EMAIL = '<EMAIL_abcdef01>';

const chat = (delta: JsonObject, rest: JsonObject = {}, index = 0): string =>
  JSON.stringify({ id: 'c1', object: 'chat.completion.chunk', created: 1, model: 'm', choices: [{ index, delta, logprobs: null, finish_reason: null, ...rest }] });
const cut = (text: string, size: number): readonly string[] => Array.from({ length: Math.ceil(text.length / size) }, (_, n) => text.slice(n * size, (n + 1) * size));
/** JSON in a text of JSON, so many times; and what is at its bottom. */
const nest = (text: string, depth: number, blanks?: number): string => JSON.stringify(depth === 1 ? { said: 'a "b" c', key: text, to: PHONE } : { url: 'http://x/{"a"}', body: nest(text, depth - 1, blanks), list: ['"', text] }, undefined, blanks);
const bottom = (json: string): unknown => {
  const value = JSON.parse(json) as { readonly body?: string; readonly list?: unknown };
  if (value.list !== undefined) expect(value.list).toEqual(['"', KEY]);
  return value.body === undefined ? value : bottom(value.body);
};
const BOTTOM = { said: 'a "b" c', key: KEY, to: '13800138000' };
const feed = (to: AnswerRestorer, chunks: readonly string[]): readonly JsonObject[] => [...chunks.flatMap((chunk) => to.chunk(chunk)), ...to.end()].map((json) => JSON.parse(json) as JsonObject);

interface ChatChunk {
  readonly choices: readonly { readonly index: number; readonly text?: string; readonly finish_reason: string | null; readonly delta?: Readonly<Record<string, string>> & { readonly tool_calls?: readonly { readonly index: number; readonly function: { readonly arguments: string } }[] } }[];
}
const gather = (chunks: readonly JsonObject[], read: (choice: ChatChunk['choices'][number]) => string | undefined): string =>
  (chunks as unknown as ChatChunk[]).flatMap((chunk) => chunk.choices.map((choice) => read(choice) ?? '')).join('');

describe('an answer in one piece', () => {
  it('has the originals back, and every other character as it was', () => {
    const json = `{ "n":12345678901234567890, "a":"call ${PHONE} or \\u003cphone_1A2B3C4D\\u003e, caf\\u00e9", "b":"caf\\u00e9 <x>", "${EMAIL}":1.0 }`;
    expect(restorer().document(json)).toBe('{ "n":12345678901234567890, "a":"call 13800138000 or 13800138000, café", "b":"caf\\u00e9 <x>", "bob@corp.example":1.0 }');
  });

  it('passes as it is without a placeholder, and when it is no JSON', () => {
    for (const text of ['{ "a": "x" }', '<html>', `{"a": "${PHONE}`, '', `${'['.repeat(9_000)}"${PHONE}"`, '{"a":"\\q<"}']) expect(restorer().document(text)).toBe(text);
  });

  it.each([
    ['another case', '<phone_1A2b3C4d>'],
    ['blanks inside', '< PHONE_1a2b3c4d >'],
    ['Markdown\'s backslash', '<PHONE\\_1a2b3c4d>'],
    ['backticks around it', '`<PHONE_1a2b3c4d>`'],
  ])('knows a placeholder with %s', (_name, written) => {
    expect(restorer().document(JSON.stringify({ a: `to ${written}.` }))).toBe(JSON.stringify({ a: `to ${written.startsWith('`') ? '`13800138000`' : '13800138000'}.` }));
  });

  it.each(['<PHONE_deadbeef>', '<PHONE_1a2b3c4>', '<PHONE_1a2b3c4d', 'PHONE_1a2b3c4d', '<OTHER_1a2b3c4d>', '<PHONE_1a2b3c4dd>'])('leaves %s as it is', (written) => {
    const json = JSON.stringify({ a: written });
    expect(restorer().document(json)).toBe(json);
  });

  it('escapes what is put into arguments, and into an answer that is to be JSON', () => {
    const message = { content: '{"key":"<PRIVATE_KEY_00ff00ff>"}', tool_calls: [{ function: { name: 'f', arguments: `{"key":"<PRIVATE_KEY_00ff00ff>","to":\\u003cPHONE_1a2b3c4d\\u003e}` } }] };
    const parse = (body: JsonObject): typeof message => (JSON.parse(restorer(body).document(JSON.stringify({ choices: [{ message }] }))) as { choices: [{ message: typeof message }] }).choices[0].message;
    const free = parse({});
    expect(JSON.parse(free.tool_calls[0]?.function.arguments ?? '')).toEqual({ key: KEY, to: 13_800_138_000 });
    expect(free.content).toBe(`{"key":"${KEY}"}`);
    for (const body of [{ response_format: { type: 'json_object' } }, { text: { format: { type: 'json_schema' } } }]) expect(JSON.parse(parse(body).content)).toEqual({ key: KEY });
  });
});

describe('JSON in texts of JSON', () => {
  const argumentsOf = (args: string): string => JSON.stringify({ choices: [{ message: { tool_calls: [{ function: { name: 'f', arguments: args } }] } }] });

  it.each([1, 2, 3, 4])('has originals that are escaped as often as the text around them, %i deep', (depth) => {
    for (const blanks of [undefined, 2]) {
      const args = nest('<PRIVATE_KEY_00ff00ff>', depth, blanks);
      const document = JSON.parse(restorer().document(argumentsOf(args))) as { choices: [{ message: { tool_calls: [{ function: { arguments: string } }] } }] };
      expect(bottom(document.choices[0].message.tool_calls[0].function.arguments)).toEqual(BOTTOM);
      for (const size of [1, 2, 3, 7, 50, 5_000]) {
        const seen = feed(restorer(), cut(args, size).map((text) => chat({ tool_calls: [{ index: 0, function: { arguments: text } }] })));
        expect(bottom(gather(seen, (each) => each.delta?.tool_calls?.map((part) => part.function.arguments).join('')))).toEqual(BOTTOM);
      }
    }
  });

  it('knows placeholders whose brackets are escaped there', () => {
    // As some languages write JSON: each level escapes the backslash of the one below.
    const marshal = (value: unknown): string => JSON.stringify(value).replaceAll('<', '\\u003c').replaceAll('>', '\\u003e');
    const args = marshal({ body: marshal({ body: marshal({ key: '<PRIVATE_KEY_00ff00ff>' }) }) });
    const seen = feed(restorer(), cut(args, 3).map((text) => chat({ tool_calls: [{ index: 0, function: { arguments: text } }] })));
    expect(bottom(gather(seen, (each) => each.delta?.tool_calls?.map((part) => part.function.arguments).join('')))).toEqual({ key: KEY });
  });

  it.each([
    ['a quotation', 'he said "<PRIVATE_KEY_00ff00ff>" and left', `he said "${KEY}" and left`],
    ['half of one', 'a " and <PRIVATE_KEY_00ff00ff>', `a " and ${KEY}`],
    ['a quotation at the beginning', '"<PRIVATE_KEY_00ff00ff>" he said', `"${KEY}" he said`],
    ['a tag of a log', '[info] "<PRIVATE_KEY_00ff00ff>"', `[info] "${KEY}"`],
    ['a backslash before the end', ['C:\\', '<PRIVATE_KEY_00ff00ff>'], ['C:\\', KEY]],
  ])('is not seen in %s', (_name, value, expected) => {
    const args = JSON.stringify({ a: value, b: '<PRIVATE_KEY_00ff00ff>' });
    const seen = feed(restorer(), cut(args, 3).map((text) => chat({ tool_calls: [{ index: 0, function: { arguments: text } }] })));
    expect(JSON.parse(gather(seen, (each) => each.delta?.tool_calls?.map((part) => part.function.arguments).join('')))).toEqual({ a: expected, b: KEY });
  });
});

describe('a streamed answer', () => {
  const answer = `Call ${PHONE} or write to <EMAIL_ABCDEF01>, if 1 < 2 and <b>not</b> <PHON or <PHONE_deadbeef>.`;
  const restored = 'Call 13800138000 or write to bob@corp.example, if 1 < 2 and <b>not</b> <PHON or <PHONE_deadbeef>.';

  it.each([1, 2, 3, 5, 7, 11, 16, 40, 400])('has the originals back when it is cut every %i characters', (size) => {
    for (const field of ['content', 'reasoning_content', 'reasoning', 'refusal']) {
      expect(gather(feed(restorer(), cut(answer, size).map((text) => chat({ [field]: text }))), (choice) => choice.delta?.[field])).toBe(restored);
    }
    const completions = cut(answer, size).map((text) => JSON.stringify({ id: 'c', choices: [{ index: 0, text, finish_reason: null }] }));
    expect(gather(feed(restorer(), completions), (choice) => choice.text)).toBe(restored);
    const events = cut(answer, size).map((delta, n) => JSON.stringify({ type: 'response.output_text.delta', item_id: 'i', output_index: 0, content_index: 0, delta, sequence_number: n }));
    expect(feed(restorer(), events).map((event) => event['delta'] as string).join('')).toBe(restored);
  });

  it.each([1, 3, 8, 200])('has arguments that are JSON again, cut every %i characters and mixed among calls and choices', (size) => {
    const args = '{"key":"<PRIVATE_KEY_00ff00ff>","esc":"\\u003cPHONE_1a2b3c4d\\u003e","path":"C:\\\\u0030","to":"<PHONE\\\\_1a2b3c4d>"}';
    const pieces = cut(args, size);
    const chunks = pieces.flatMap((text) => [
      chat({ tool_calls: [{ index: 0, function: { arguments: text } }, { index: 1, function: { arguments: text } }] }),
      chat({ tool_calls: [{ index: 0, function: { arguments: text } }] }, {}, 1),
      chat({ content: text }),
    ]);
    const seen = feed(restorer(), chunks);
    for (const [choice, call] of [[0, 0], [0, 1], [1, 0]]) {
      const text = gather(seen, (each) => (each.index === choice ? each.delta?.tool_calls?.filter(({ index }) => index === call).map((part) => part.function.arguments).join('') : ''));
      expect(JSON.parse(text)).toEqual({ key: KEY, esc: '13800138000', path: 'C:\\u0030', to: '13800138000' });
    }
  });

  it('passes byte for byte what holds no placeholder, at once', () => {
    const to = restorer();
    for (const json of [' {"choices":[{"index":0,"delta":{"content":"caf\\u00e9"}}], "n":1.0}', chat({ content: 'if a < b' }), chat({ content: '<div>' }), '{"choices":[],"usage":{"total_tokens":1}}', '[DONE]', '{"error":{"message":"<x>"}}', 'null']) {
      expect(to.chunk(json)).toEqual([json]);
    }
    expect(to.end()).toEqual([]);
  });

  it('holds back no more than may become a placeholder, and passes on the rest of the chunk', () => {
    const to = restorer();
    expect(to.chunk(chat({ role: 'assistant', content: 'abc <PHO' }))).toEqual([chat({ role: 'assistant', content: 'abc ' })]);
    expect(to.chunk(chat({ content: 'TO' }))).toEqual([chat({ content: '<PHOTO' })]);
    expect(to.chunk(chat({ content: '<PHONE_1a2b3c4'.repeat(100) }))).toEqual([chat({ content: '<PHONE_1a2b3c4'.repeat(99) })]);
    expect('<PHONE_1a2b3c4'.length).toBeLessThan(HELD_CHARS_MAX);
  });

  it('passes on what it holds before the chunk that ends the choice, with usage null where it is asked for', () => {
    const to = restorer();
    to.chunk(JSON.stringify({ id: 'c1', object: 'chat.completion.chunk', created: 1, model: 'm', choices: [{ index: 1, delta: { content: 'x <PHON' }, finish_reason: null }], usage: null }));
    to.chunk(chat({ content: 'y <EM' }, {}, 2));
    const last = chat({}, { finish_reason: 'stop' }, 1);
    expect(to.chunk(last).map((json) => JSON.parse(json) as unknown)).toEqual([
      { id: 'c1', object: 'chat.completion.chunk', created: 1, model: 'm', usage: null, choices: [{ index: 1, delta: { content: '<PHON' }, logprobs: null, finish_reason: null }] },
      JSON.parse(last),
    ]);
    expect(to.end().map((json) => JSON.parse(json) as unknown)).toEqual([JSON.parse(chat({ content: '<EM' }, {}, 2))]);
    expect(to.end()).toEqual([]);
  });

  it('keeps nothing back in the chunk that ends the choice', () => {
    const to = restorer();
    to.chunk(chat({ content: 'x <PHON' }));
    expect(to.chunk(chat({ content: 'E_1a2b3c4d> <PHONE_' }, { finish_reason: 'length' }))).toEqual([chat({ content: '13800138000 <PHONE_' }, { finish_reason: 'length' })]);
  });

  it('restores the whole texts of a response, after what is held of its pieces', () => {
    const to = restorer();
    const about = { item_id: 'i1', output_index: 0, content_index: 0 };
    const piece = { type: 'response.output_text.delta', ...about, delta: 'to <PHO', sequence_number: 4 };
    const call = { type: 'response.function_call_arguments.delta', item_id: 'f1', output_index: 1, delta: '{"k":"<PRIVATE_KEY_', sequence_number: 5 };
    expect(to.chunk(JSON.stringify(piece))).toEqual([JSON.stringify({ ...piece, delta: 'to ' })]);
    expect(to.chunk(JSON.stringify(call))).toEqual([JSON.stringify({ ...call, delta: '{"k":"' })]);
    expect(to.chunk(JSON.stringify({ type: 'response.output_text.done', ...about, text: `to ${PHONE}`, sequence_number: 6 }))).toEqual([
      JSON.stringify({ ...piece, delta: '<PHO' }),
      JSON.stringify({ type: 'response.output_text.done', ...about, text: 'to 13800138000', sequence_number: 6 }),
    ]);
    expect(to.chunk(JSON.stringify({ ...call, delta: '00ff00ff>"}' }))).toEqual([JSON.stringify({ ...call, delta: `${JSON.stringify(KEY).slice(1, -1)}"}` })]);
    const done = { type: 'response.completed', response: { output: [{ type: 'function_call', arguments: '{"k":"<PRIVATE_KEY_00ff00ff>"}' }, { content: [{ text: PHONE }] }] } };
    const [completed] = to.chunk(JSON.stringify(done)).map((json) => JSON.parse(json) as typeof done);
    expect(completed?.response.output).toEqual([{ type: 'function_call', arguments: JSON.stringify({ k: KEY }) }, { content: [{ text: '13800138000' }] }]);
  });

  it('goes on when a chunk is odd', () => {
    const to = restorer();
    to.chunk(chat({ content: 'x <PHO' }));
    const deep = `{"choices":[{"index":0,"delta":{"content":"NE"}}],"x":${'['.repeat(300)}${']'.repeat(300)}}`;
    for (const odd of ['{"choices": <', 'nonsense', '[1]', '{"choices":7}', '{"choices":[7,null]}', '{"choices":[{"delta":7}]}', '{"choices":[{"delta":{"tool_calls":[null,{"function":"<"}]}}]}', deep]) expect(to.chunk(odd)).toEqual([odd]);
    expect(to.chunk(chat({ content: 'NE_1a2b3c4d>' }))).toEqual([chat({ content: '13800138000' })]);
  });

  it('holds texts of at most 1,024 choices and calls', () => {
    const to = restorer();
    for (let index = 0; index < 1_100; index += 1) to.chunk(chat({ content: 'x <PHO' }, {}, index));
    expect(to.end()).toHaveLength(1_024);
  });
});
