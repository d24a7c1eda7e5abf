import { describe, expect, it } from 'vitest';
import { chunk, replyWith, STREAMED } from '../testing/cache-calls.ts';
import { allTextsOf, saidIn, seenTextOf } from './answer-text.ts';
import { chunksOf, decodeKept, encodeKept, keepAnswer, replyOf } from './kept-answer.ts';

const LIFE = { keptAtMs: 5, untilMs: 10 };

describe('a kept answer', () => {
  it('comes back as it was, a document with line feeds and a stream alike', () => {
    const whole = { ...replyWith('x'), document: '{\n "a": "日本\\n😀"\n}' };
    const document = keepAnswer(whole, [], LIFE);
    expect(replyOf(decodeKept(encodeKept(document)) ?? document)).toEqual(whole);
    const chunks = [chunk('日本'), chunk('b')];
    const stream = decodeKept(encodeKept(keepAnswer(STREAMED, chunks, LIFE)));
    expect(stream).toMatchObject({ isStream: true, ...LIFE });
    expect(stream === null ? [] : chunksOf(stream)).toEqual(chunks);
  });

  it('is a miss when it is damaged or of another format', () => {
    const good = encodeKept(keepAnswer(replyWith('x'), [], LIFE));
    expect(decodeKept(good)).not.toBeNull();
    for (let at = 0; at < good.length; at += 1) expect(decodeKept(good.subarray(0, at))).toBeNull();
    expect(decodeKept(Buffer.concat([good, Buffer.from('x')]))).toBeNull();
    for (const [from, to] of [['"format":1', '"format":2'], ['"usage":{', '"usage":[{'], ['"isStream":false', '"isStream":"no"']] as const) {
      expect(decodeKept(Buffer.from(good.toString().replace(from, to)))).toBeNull();
    }
  });

  it('tells what it says, also where a stream cuts it', () => {
    const stream = keepAnswer(STREAMED, [chunk('call 138'), chunk('0013'), chunk('8000', 'stop')], LIFE);
    expect(allTextsOf(stream)).toContain('call 13800138000');
    expect(seenTextOf(stream)).toBe('call 13800138000');
    expect(seenTextOf(keepAnswer(replyWith('two\nlines'), [], LIFE))).toBe('two\nlines');
  });

  it('tells everything that is looked through for data of persons, or that it cannot be', () => {
    const deep = (inner: string, levels: number): string => '{"a":'.repeat(levels) + inner + '}'.repeat(levels);
    expect(saidIn(deep('"alice@a.test"', 200))).toContain('alice@a.test');
    expect(() => saidIn(deep('"alice@a.test"', 300))).toThrow(RangeError);
    expect(saidIn('{"phone":13800138000,"bob@\\u0061.test":[true]}').split('\n')).toEqual(['phone', '13800138000', 'bob@a.test']);
    const answer = (document: string) => keepAnswer({ ...replyWith(''), document }, [], LIFE);
    expect(allTextsOf(answer('{"arguments":{"bob@a.test":1}}'))).toContain('bob@a.test');
    expect(allTextsOf(answer(deep('"alice@a.test"', 200)))).toContain('alice@a.test');
    expect(() => allTextsOf(answer(deep('"alice@a.test"', 300)))).toThrow(RangeError);
    expect(() => allTextsOf(answer('alice@a.test'))).toThrow(SyntaxError);
  });
});
