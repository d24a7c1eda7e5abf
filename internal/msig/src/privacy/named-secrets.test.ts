import { describe, expect, it } from 'vitest';
import type { JsonValue } from '@openeaap/kernel';
import { createMasker, createScanner } from '@openeaap/security';
import { parseRequest } from '../request/parse-request.ts';
import { createEgressGuard } from './create-egress-guard.ts';
import type { EgressPass } from './egress-guard.ts';

const ACCESS = { tenantId: 'acme', runId: 'r', stepId: 's', agentId: 'a', userId: 'u', traceId: '' };
const RULES = [{ name: 'aws_ak', regex: 'AKIA[0-9A-Z]{16}', action: 'redact' }] as const;
const scanner = createScanner({ policyRules: RULES, builtin: true });
const guard = createEgressGuard({ scanner: () => scanner, placeholderKey: 'a key of these tests' });
const masker = createMasker({ policyRules: RULES, builtin: true, hashKey: 'a key of these tests' });

const sent = (text: string): EgressPass => guard.prepare(parseRequest('chat', text), ACCESS, { name: 'cloud', endpoint: 'https://api.example.com/v1' });
const USER = { role: 'user', content: 'x' };

/** Of each value: a word in what is a secret begins with `s`, in what is none with `k`. The audit and the guard must agree. */
const VALUES: readonly (readonly [string, JsonValue])[] = [
  ['a text', { password: 's1', city: 'k1' }],
  ['a number', { token: 4_711, pin: 'k1' }],
  ['a list', { secret: ['s1', 's2'], city: ['k1'] }],
  ['lists in lists', { token: [['s1'], [[['s2']]]] }],
  ['an object', { password: { plain: 's1', hints: ['s2', { deep: { er: 's3' } }] }, after: 'k1' }],
  ['words that the API has too', { password: { type: 's_one', role: 's_two', id: 's3', status: 's_four', name: 's5' } }],
  ['members of a schema', { password: { schema: { properties: { a: 's1' } }, parameters: { b: 's2' } } }],
  ['JSON in a text', { password: '{"a":["s1"],"b":{"c":"s2"}}' }],
  ['JSON in a list', { password: ['{"a":"s1"}', '["s2"]'] }],
  ['the value of a name', [{ name: 'DB_PASSWORD', value: 's1' }, { name: 'CITY', value: 'k1' }]],
  ['the value before its name', [{ value: 's1', key: 'api_key', note: 'k1' }]],
  ['a list as the value of a name', { name: 'DB_PASSWORD', value: ['s1', ['s2']], note: 'k1' }],
  ['an object as the value of a name', { value: { type: 's_one', plain: 's1', more: [{ deep: 's2' }] }, name: 'DB_PASSWORD', note: 'k1' }],
  ['a named value in a named value', { value: { name: 'city', value: 's1', note: 's2' }, name: 'token' }],
  ['named values side by side', { a: { value: 'k1', name: 'city' }, b: { value: { a: 's1' }, name: 'token' }, c: { value: ['k2'], name: 'colour' } }],
];

describe('what stands under the name of a secret', () => {
  const places: readonly (readonly [string, (value: JsonValue) => string])[] = [
    ['metadata', (value) => JSON.stringify({ messages: [USER], metadata: value })],
    ['a message', (value) => JSON.stringify({ messages: [{ ...USER, about: value }] })],
    ['a result', (value) => JSON.stringify({ messages: [{ role: 'tool', tool_call_id: 'c', content: JSON.stringify(value) }] })],
    ['arguments', (value) => JSON.stringify({ messages: [{ role: 'assistant', tool_calls: [{ id: 'c', type: 'function', function: { name: 'f', arguments: JSON.stringify({ x: value }) } }] }] })],
    ['the description of a tool', (value) => JSON.stringify({ messages: [USER], tools: [{ type: 'function', function: { name: 'f', parameters: {}, description: JSON.stringify(value) } }] })],
    ['a member called schema', (value) => JSON.stringify({ messages: [USER], extra: { schema: value, json: value } })],
  ];
  describe.each(VALUES)('as %s', (_name, value) => {
    const isKept = (text: string): boolean => [...JSON.stringify(value).matchAll(/\bk\d\b/g)].every(([word]) => text.includes(word));
    const SECRET = /\bs_?(?:\d|one|two|four)\b|4711/;

    it.each(places)('is hidden in %s, and nothing else is', (_place, toBody) => {
      const { text, body } = sent(toBody(value)).request;
      expect(text).not.toMatch(SECRET);
      expect(isKept(text)).toBe(true);
      expect(JSON.parse(text)).toEqual(body);
    });

    it('is masked in the audit, and nothing else is', () => {
      const text = JSON.stringify(masker.maskJson(value));
      expect(text).not.toMatch(SECRET);
      expect(isKept(text)).toBe(true);
    });
  });

  it('is hidden in each member of a name that is there twice', () => {
    for (const named of ['{"value":"s1","value":["s2",7],"name":"token"}', '{"name":"token","value":"s1","name":"city","value":"s2"}', '{"password":{"a":"s1"},"password":"s2"}']) {
      expect(sent(`{"messages":[{"role":"user","content":"x","env":${named}}]}`).request.text).not.toMatch(/\b(?:s[12]|7)\b/);
      expect(sent(JSON.stringify({ messages: [{ role: 'tool', tool_call_id: 'c', content: named }] })).request.text).not.toMatch(/\b(?:s[12]|7)\b/);
    }
  });

  it('is gone for good when the policy redacts any of it', () => {
    const key = ['AKIA', 'IOSFODNN7EXAMPLE'].join('');
    for (const value of [{ password: key }, { password: `pre ${key}` }, { token: [`{"a":"\\u0041${key.slice(1)}"}`] }, [{ name: 'TOKEN', value: key }], [{ value: [key], name: 'TOKEN' }]]) {
      const pass = sent(JSON.stringify({ messages: [{ role: 'tool', tool_call_id: 'c', content: JSON.stringify(value) }] }));
      expect(pass.request.text).toContain('[redacted]');
      expect(pass.request.text).not.toMatch(/AKIA|SECRET_/);
      expect(pass.restorer()).toBeNull();
      expect(pass.fact.found).toEqual({ aws_ak: 1 });
    }
  });

  it('is nothing in a schema, whose names are those of parameters', () => {
    const schema = { type: 'object', properties: { password: { type: 'string', description: 'of the user' }, token: { anyOf: [{ type: 'string' }, { type: 'null' }] } }, required: ['password'] };
    const body = {
      messages: [USER],
      tools: [{ type: 'function', function: { name: 'f', parameters: schema } }],
      response_format: { type: 'json_schema', json_schema: { name: 'x', schema } },
      structured_outputs: { json: schema },
      guided_json: schema,
    };
    expect(sent(JSON.stringify(body)).fact.decision).toBe('clean');
    const response = { input: 'x', tools: [{ type: 'function', name: 'f', parameters: schema }], text: { format: { type: 'json_schema', name: 'x', schema } } };
    expect(guard.prepare(parseRequest('responses', JSON.stringify(response)), ACCESS, { name: 'cloud', endpoint: 'https://api.example.com/v1' }).fact.decision).toBe('clean');
  });

  it('is bounded like all that is found', () => {
    const many = (secret: string): string => JSON.stringify({ messages: [USER], metadata: { [secret]: Array.from({ length: 20_001 }, () => 7) } });
    expect(() => sent(many('password'))).toThrow(/cannot be looked through/);
    const nested = Array.from({ length: 90 }).reduce<JsonValue>((value) => ({ value: [value], name: 'token' }), Array.from({ length: 15_000 }, () => 7));
    expect(sent(JSON.stringify({ messages: [USER], metadata: { value: nested, name: 'token' } })).fact.found['secret']).toBeGreaterThanOrEqual(15_000);
  });
});
