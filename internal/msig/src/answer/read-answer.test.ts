import { isJsonObject, PlatformError } from '@openeaap/kernel';
import type { JsonObject } from '@openeaap/kernel';
import { describe, expect, it } from 'vitest';
import { parseRequest } from '../request/parse-request.ts';
import { createAnswerRelay } from './answer-relay.ts';
import { createAnswerReader } from './read-answer.ts';

const CONTEXT = { backend: 'b', apiKey: '' };

/** mulberry32: the same numbers for the same seed. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

const WORDS = ['a', ' ', '世界', '🚀', 'é', '\\n', '"', '\n', 'data: ', '[DONE]', ',"usage":null', '\u2028', '{}'];

interface Sample {
  readonly text: string;
  readonly content: string;
}

/** A stream as servers may frame it: any line ends, comments, other fields, a space after the colon or none. */
function sampleStream(random: () => number): Sample {
  const pick = <T>(items: readonly T[]): T => items[Math.floor(random() * items.length)] as T;
  const end = pick(['\n', '\r\n', '\r']);
  const pieces = Array.from({ length: 1 + Math.floor(random() * 12) }, () => Array.from({ length: Math.floor(random() * 4) }, () => pick(WORDS)).join(''));
  const chunks = [
    ...pieces.map((content, at) => ({ id: 'c', object: 'chat.completion.chunk', choices: [{ index: 0, delta: { ...(at === 0 ? { role: 'assistant' } : {}), content }, finish_reason: null }], usage: null })),
    { id: 'c', object: 'chat.completion.chunk', choices: [{ index: 0, delta: {}, finish_reason: 'stop' }], usage: null },
  ];
  const noise = (): string => (random() < 0.3 ? pick([`: hb${end}${end}`, `event: message${end}`, `id: 7${end}`, `retry: 10${end}`, `:${end}`]) : '');
  const colon = pick(['data: ', 'data:']);
  const text = [...chunks.map((chunk) => JSON.stringify(chunk)), '[DONE]'].map((data) => `${noise()}${colon}${data}${end}${end}`).join('');
  return { text, content: pieces.join('') };
}

function cut(bytes: Buffer, random: () => number): readonly Buffer[] {
  const pieces: Buffer[] = [];
  for (let at = 0; at < bytes.length; ) {
    const size = 1 + Math.floor(random() ** 3 * 200);
    pieces.push(bytes.subarray(at, at + size));
    at += size;
  }
  return pieces;
}

/** What the client gets: chunks, or the error. A reader that answers with a promise must never be fed before it has resolved. */
async function relay(pieces: readonly Buffer[], random: () => number): Promise<{ readonly chunks: readonly JsonObject[]; readonly error: unknown }> {
  const chunks: JsonObject[] = [];
  let isHeld = false;
  const hold = async (): Promise<void> => {
    isHeld = true;
    await Promise.resolve();
    isHeld = false;
  };
  const onChunk = (json: string): Promise<void> | null => {
    if (isHeld) throw new Error('was written to while it waits');
    chunks.push(JSON.parse(json) as JsonObject);
    return random() < 0.2 ? hold() : null;
  };
  const answer = createAnswerRelay(parseRequest('chat', '{"messages":[{"role":"user","content":"x"}],"stream":true}'), { context: CONTEXT, newId: () => '1', onChunk });
  const reader = createAnswerReader(CONTEXT, answer, () => undefined);
  try {
    for (const piece of pieces) await reader.feed(piece);
    await reader.end();
    await answer.finish();
    return { chunks, error: null };
  } catch (error) {
    return { chunks, error };
  }
}

function contentOf(chunks: readonly JsonObject[]): string {
  const deltas = chunks.flatMap(({ choices }) => (Array.isArray(choices) ? choices.filter(isJsonObject).map(({ delta }) => delta) : []));
  return deltas.filter(isJsonObject).map(({ content }) => (typeof content === 'string' ? content : '')).join('');
}

describe('an answer as a stream', () => {
  it('says the same however it is framed and cut', async () => {
    for (let seed = 1; seed <= 300; seed += 1) {
      const random = seeded(seed);
      const { text, content } = sampleStream(random);
      const { chunks, error } = await relay(cut(Buffer.from(text), random), random);
      expect([seed, error, contentOf(chunks), chunks.at(-1)?.['choices']]).toEqual([seed, null, content, [{ index: 0, delta: {}, finish_reason: 'stop' }]]);
    }
  });

  it('that is broken anywhere ends, in an answer or an error of the platform, and never in both', async () => {
    let broken = 0;
    for (let seed = 1; seed <= 500; seed += 1) {
      const random = seeded(seed);
      const bytes = Buffer.from(sampleStream(random).text);
      for (let times = 0; times < 1 + random() * 3; times += 1) bytes[Math.floor(random() * bytes.length)] = Math.floor(random() * 256);
      const whole = random() < 0.3 ? bytes.subarray(0, Math.floor(random() * bytes.length)) : bytes;
      const { error } = await relay(cut(whole, random), random);
      if (error === null) continue;
      broken += 1;
      expect(error).toBeInstanceOf(PlatformError);
      expect((error as PlatformError).code).toMatch(/^model_/);
    }
    expect(broken).toBeGreaterThan(100);
  });

  it('is bounded: one event, and all of it', () => {
    const sink = { add: () => undefined, isFinished: () => false };
    const endless = createAnswerReader(CONTEXT, sink, () => undefined);
    expect(() => {
      for (let at = 0; at < 100; at += 1) void endless.feed(Buffer.from(at === 0 ? 'data: "' : 'x'.repeat(1_048_576)));
    }).toThrow('more than 4194304 bytes');
    const document = createAnswerReader(CONTEXT, { ...sink, documentBytesMax: 10 }, () => undefined);
    void document.feed(Buffer.from('{"a":1'));
    expect(() => document.feed(Buffer.from(',"b":2}'))).toThrow('more than 10 bytes');
  });
});

describe('an answer as a document', () => {
  it('may be cut anywhere, also in a character', async () => {
    const text = ' \n{"choices":[{"message":{"content":"世界🚀"}}]}';
    const seen: string[] = [];
    const reader = createAnswerReader(CONTEXT, { add: (_document, json) => void seen.push(json), isFinished: () => true }, () => undefined);
    for (const byte of Buffer.from(text)) await reader.feed(Buffer.from([byte]));
    await reader.end();
    expect(seen).toEqual([text.trimStart()]);
  });
});
