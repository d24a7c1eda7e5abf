import { describe, expect, it } from 'vitest';
import type { JsonObject, JsonValue } from '@openeaap/kernel';
import { createScanner } from '@openeaap/security';
import { parseRequest } from '../request/parse-request.ts';
import { createEgressGuard } from './create-egress-guard.ts';
import { decodeText, walkJson } from './walk-json.ts';

const ACCESS = { tenantId: 'acme', runId: 'r', stepId: 's', agentId: 'a', userId: 'u', traceId: '' };
const BACKEND = { name: 'cloud', endpoint: 'https://api.example.com/v1' };
const scanner = createScanner({ policyRules: [{ name: 'employee', regex: 'E-\\d{5}', action: 'hash' }], builtin: true });
const guard = createEgressGuard({ scanner: () => scanner, placeholderKey: 'a key of these tests' });

/** Mulberry32: the same numbers for the same seed. */
function createRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

interface Source {
  readonly below: (limit: number) => number;
  readonly pick: <T>(list: readonly T[]) => T;
}

function createSource(seed: number): Source {
  const random = createRandom(seed);
  const below = (limit: number): number => Math.floor(random() * limit);
  return { below, pick: (list) => list[below(list.length)] as (typeof list)[number] };
}

const FILLERS = [' ', '\n', ', ', ' ok ', '"', '\\', '\\"', '<', '>', '<PHONE_', '<b>', '`', '你好，', '🙂', '\u200B', 'é', '\t', '{', '}', '\\u003c', '\uD83D', ' if 1 < 2 ', '<EMAIL_1a2b3c4d>'];

const secretOf = (source: Source): string => {
  const digits = (n: number): string => Array.from({ length: n }, () => source.below(10)).join('');
  return source.pick([
    () => `1${3 + source.below(7)}${digits(9)}`,
    () => `+86 139-${digits(4)}-${digits(4)}`,
    () => `user${digits(3)}@corp.example`,
    () => `10.${source.below(256)}.${source.below(256)}.${source.below(256)}`,
    () => `E-${digits(5)}`,
    () => `ghp_${digits(36)}`,
    () => `-----BEGIN PRIVATE KEY-----\n${digits(20)}\n"x\\y"\n-----END PRIVATE KEY-----`,
  ])();
};

function textOf(source: Source, secrets: string[]): string {
  return Array.from({ length: 1 + source.below(8) }, () => {
    if (source.below(3) > 0) return source.pick(FILLERS);
    const secret = secrets.length > 0 && source.below(3) === 0 ? source.pick(secrets) : secretOf(source);
    secrets.push(secret);
    return ` ${secret} `;
  }).join('');
}

const valueOf = (source: Source, secrets: string[], depth = 0): JsonValue =>
  source.pick<() => JsonValue>([
    () => textOf(source, secrets),
    () => textOf(source, secrets),
    () => source.below(1_000),
    () => null,
    () => (depth > 2 ? true : [valueOf(source, secrets, depth + 1), valueOf(source, secrets, depth + 1)]),
    () => (depth > 2 ? 'x' : { [textOf(source, secrets)]: valueOf(source, secrets, depth + 1), password: 'plum' }),
    () => (depth > 1 ? 'y' : JSON.stringify(valueOf(source, secrets, depth + 1))),
  ])();

/** Keys, texts and what is JSON in them, without the placeholders. */
function listTexts(json: string): readonly string[] {
  const found: string[] = [];
  const visit = (place: { readonly start: number; readonly end: number }): void => {
    const text = decodeText(json, place);
    found.push(text.replaceAll(/<[A-Z_]{1,24}_[0-9a-f]{8}>/g, '§'));
    try {
      if (/^\s*[[{"]/.test(text)) found.push(...listTexts(JSON.stringify(JSON.parse(text))));
    } catch {
      // Not JSON: the text itself is all there is.
    }
  };
  walkJson(json, { text: visit, key: visit });
  return found;
}

/** A placeholder after `password:` is found again, and is nothing. */
const leftIn = (text: string): readonly string[] => scanner.scan(text).map(({ start, end }) => text.slice(start, end)).filter((found) => found !== '§');

const SEEDS = Array.from({ length: 250 }, (_, seed) => seed);

describe('what was masked and comes back is what it was', () => {
  it('in a document, whatever the texts and values; and nothing was found in what went out', () => {
    for (const seed of SEEDS) {
      const source = createSource(seed);
      const secrets: string[] = [];
      const body: JsonObject = { messages: [{ role: 'user', content: textOf(source, secrets) }, { role: 'user', content: textOf(source, secrets), extra: valueOf(source, secrets) }] };
      const text = JSON.stringify(body);
      const pass = guard.prepare(parseRequest('chat', text), ACCESS, BACKEND);
      const sent = pass.request.text;
      for (const each of listTexts(sent)) expect({ seed, each, found: leftIn(each) }).toEqual({ seed, each, found: [] });
      for (const secret of secrets) expect({ seed, leaks: sent.includes(JSON.stringify(secret).slice(1, -1)) }).toEqual({ seed, leaks: false });
      // An echo of the texts: what is put back into JSON in a text would have to be escaped, which only the members of the API for it are.
      const echo = JSON.stringify({ choices: (pass.request.body['messages'] as JsonObject[]).map(({ content }, index) => ({ index, message: { content } })) });
      const expected = JSON.stringify({ choices: (body['messages'] as JsonObject[]).map(({ content }, index) => ({ index, message: { content } })) });
      expect(JSON.parse(pass.restorer()?.document(echo) ?? echo)).toEqual(JSON.parse(expected));
    }
  });

  it('in arguments of calls, which stay JSON', () => {
    for (const seed of SEEDS) {
      const source = createSource(seed + 10_000);
      const secrets: string[] = [];
      const deep = JSON.stringify({ a: textOf(source, secrets), b: JSON.stringify([textOf(source, secrets), { [textOf(source, secrets)]: 1 }], undefined, 2) });
      const value = { a: textOf(source, secrets), b: [textOf(source, secrets)], [textOf(source, secrets)]: 1, deep };
      const call = { id: 'c', type: 'function', function: { name: 'f', arguments: JSON.stringify(value) } };
      const pass = guard.prepare(parseRequest('chat', JSON.stringify({ messages: [{ role: 'assistant', tool_calls: [call] }] })), ACCESS, BACKEND);
      const echo = JSON.stringify({ choices: [{ index: 0, message: (pass.request.body['messages'] as JsonObject[])[0] }] });
      const back = JSON.parse(pass.restorer()?.document(echo) ?? echo) as { choices: [{ message: { tool_calls: [typeof call] } }] };
      expect(JSON.parse(back.choices[0].message.tool_calls[0].function.arguments)).toEqual(value);
    }
  });

  it('in a stream, wherever it is cut', () => {
    for (const seed of SEEDS) {
      const source = createSource(seed + 20_000);
      const secrets: string[] = [];
      const texts = [textOf(source, secrets), textOf(source, secrets)];
      const pass = guard.prepare(parseRequest('chat', JSON.stringify({ messages: texts.map((content) => ({ role: 'user', content })) })), ACCESS, BACKEND);
      const masked = (pass.request.body['messages'] as { content: string }[]).map(({ content }) => content);
      const rest = [...masked];
      const chunks: string[] = [];
      while (rest.some((text) => text !== '')) {
        const index = source.below(2);
        const size = 1 + source.below(source.pick([2, 6, 30]));
        chunks.push(JSON.stringify({ choices: [{ index, delta: { content: rest[index]?.slice(0, size) ?? '' }, finish_reason: null }] }));
        rest[index] = rest[index]?.slice(size) ?? '';
      }
      const restorer = pass.restorer();
      const out = restorer === null ? chunks : [...chunks.flatMap((chunk) => restorer.chunk(chunk)), ...restorer.end()];
      const back = ['', ''];
      for (const json of out) {
        const [choice] = (JSON.parse(json) as { choices: [{ index: number; delta: { content: string } }] }).choices;
        back[choice.index] += choice.delta.content;
      }
      expect({ seed, back }).toEqual({ seed, back: texts });
    }
  });
});
