import { describe, expect, it } from 'vitest';
import type { JsonObject, JsonValue } from '@openeaap/kernel';
import { PlatformError } from '@openeaap/kernel';
import type { Scanner } from '@openeaap/security';
import { createScanner } from '@openeaap/security';
import type { Access } from '../access.ts';
import type { RequestKind } from '../request/model-request.ts';
import { parseRequest } from '../request/parse-request.ts';
import { createEgressGuard, toDeniedFact } from './create-egress-guard.ts';
import type { EgressPass } from './egress-guard.ts';
import { toEgressAudit } from './to-egress-audit.ts';

const ACCESS: Access = { tenantId: 'acme', runId: 'r1', stepId: 's1', agentId: 'a1', userId: 'alice', traceId: '0'.repeat(32) };
const BACKEND = { name: 'cloud', endpoint: 'https://api.example.com/v1' };
const POLICY = [
  { name: 'phone_number', regex: '\\b\\d{11}\\b', action: 'mask' },
  { name: 'aws_ak', regex: '(AKIA|ASIA)[0-9A-Z]{16}', action: 'redact' },
  { name: 'project', regex: '(?i)bluebird', action: 'hash' },
] as const;
const scanner = createScanner({ policyRules: POLICY, builtin: true });
const guard = createEgressGuard({ scanner: () => scanner, placeholderKey: 'a key of these tests' });

const prepare = (text: string, kind: RequestKind = 'chat', access: Access = ACCESS): EgressPass => guard.prepare(parseRequest(kind, text), access, BACKEND);
const chat = (content: JsonValue, rest: JsonObject = {}): EgressPass => prepare(JSON.stringify({ model: 'm', messages: [{ role: 'user', content }], ...rest }));
const contentOf = (pass: EgressPass, at = 0): string => (pass.request.body['messages'] as { content: string }[])[at]?.content ?? '';
const denial = (work: () => unknown): PlatformError => {
  try {
    work();
  } catch (thrown) {
    if (thrown instanceof PlatformError) return thrown;
    throw thrown;
  }
  throw new Error('it was not denied');
};

const PHONE = '13800138000';
const PHONE_TOKEN = /<PHONE_NUMBER_[0-9a-f]{8}>/;

describe('what leaves the house', () => {
  it('goes out byte for byte when nothing was found', () => {
    const text = '{ "model":"m",\n "messages" : [ {"role":"user","content":"caf\\u00e9 \\/ ok"} ], "seed":12345678901234567890, "x":1.0 , "x": null}';
    const pass = prepare(text);
    expect(pass.request.text).toBe(text);
    expect(pass.restorer()).toBeNull();
    expect(pass.fact).toMatchObject({ decision: 'clean', found: {}, bytes: Buffer.byteLength(text), backend: 'cloud', host: 'api.example.com', kind: 'chat', reason: null });
  });

  it('is changed only where something was found', () => {
    const pass = prepare(`{ "messages":[{"role":"user","content":"call \\u0031${PHONE.slice(1)}\\nnow"}], "seed":12345678901234567890,"x":1.0 }`);
    expect(pass.request.text).toMatch(/^\{ "messages":\[\{"role":"user","content":"call <PHONE_NUMBER_[0-9a-f]{8}>\\nnow"\}\], "seed":12345678901234567890,"x":1\.0 \}$/);
    expect(JSON.parse(pass.request.text)).toEqual(pass.request.body);
    expect(pass.fact).toMatchObject({ decision: 'masked', found: { phone_number: 1 } });
  });

  it('has equal placeholders for equal values, in all turns, for one tenant', () => {
    const turns = (n: number): EgressPass =>
      prepare(JSON.stringify({ messages: Array.from({ length: n }, () => ({ role: 'user', content: `call ${PHONE} or bob@corp.example` })) }));
    const [one] = [turns(1)].map((pass) => contentOf(pass));
    const three = turns(3);
    expect([contentOf(three, 0), contentOf(three, 1), contentOf(three, 2)]).toEqual([one, one, one]);
    expect(one).toMatch(/^call <PHONE_NUMBER_[0-9a-f]{8}> or <EMAIL_[0-9a-f]{8}>$/);
    const text = JSON.stringify({ messages: [{ role: 'user', content: `call ${PHONE} or bob@corp.example` }] });
    expect(contentOf(prepare(text, 'chat', { ...ACCESS, tenantId: 'other' }))).not.toBe(one);
    const elsewhere = createEgressGuard({ scanner: () => scanner, placeholderKey: 'another key of tests' });
    expect(contentOf(elsewhere.prepare(parseRequest('chat', text), ACCESS, BACKEND))).not.toBe(one);
  });

  it('loses for good what the policy redacts, and hides what it hashes', () => {
    const pass = chat('key AKIAIOSFODNN7EXAMPLE of project BlueBird');
    expect(contentOf(pass)).toMatch(/^key \[redacted\] of project <PROJECT_[0-9a-f]{8}>$/);
    const removed = chat('key AKIAIOSFODNN7EXAMPLE');
    expect(removed.restorer()).toBeNull();
    expect(removed.fact.decision).toBe('masked');
  });

  it.each<[string, RequestKind, JsonObject]>([
    ['content of a message', 'chat', { messages: [{ role: 'user', content: PHONE }] }],
    ['a part of it', 'chat', { messages: [{ role: 'user', content: [{ type: 'text', text: `x ${PHONE}` }] }] }],
    ['the system prompt', 'chat', { messages: [{ role: 'system', content: PHONE }, { role: 'user', content: 'x' }] }],
    ['the name of a participant', 'chat', { messages: [{ role: 'user', name: PHONE, content: 'x' }] }],
    ['arguments of a call', 'chat', { messages: [{ role: 'assistant', tool_calls: [{ id: 'c', type: 'function', function: { name: 'f', arguments: JSON.stringify({ to: PHONE }) } }] }] }],
    ['arguments with escapes in them', 'chat', { messages: [{ role: 'assistant', tool_calls: [{ id: 'c', type: 'function', function: { name: 'f', arguments: '{"to":"\\u0031380013\\u0038000"}' } }] }] }],
    ['a number in arguments', 'chat', { messages: [{ role: 'assistant', tool_calls: [{ id: 'c', type: 'function', function: { name: 'f', arguments: `{"to":${PHONE}}` } }] }] }],
    ['a key in a result', 'chat', { messages: [{ role: 'tool', tool_call_id: 'c', content: `{"${PHONE}":1}` }] }],
    ['JSON in JSON in a result', 'chat', { messages: [{ role: 'tool', tool_call_id: 'c', content: JSON.stringify({ raw: JSON.stringify([`x\n${PHONE}`]) }) }] }],
    ['a description of a tool', 'chat', { messages: [{ role: 'user', content: 'x' }], tools: [{ type: 'function', function: { name: 'f', description: PHONE, parameters: {} } }] }],
    ['a default in a schema', 'chat', { messages: [{ role: 'user', content: 'x' }], tools: [{ type: 'function', function: { name: 'f', parameters: { properties: { to: { type: 'string', default: PHONE } } } } }] }],
    ['a constant in a schema', 'chat', { messages: [{ role: 'user', content: 'x' }], tools: [{ type: 'function', function: { name: 'f', parameters: { properties: { to: { const: Number(PHONE) } } } } }] }],
    ['the user', 'chat', { messages: [{ role: 'user', content: 'x' }], user: PHONE }],
    ['metadata', 'chat', { messages: [{ role: 'user', content: 'x' }], metadata: { id: PHONE } }],
    ['a prediction', 'chat', { messages: [{ role: 'user', content: 'x' }], prediction: { type: 'content', content: PHONE } }],
    ['a stop', 'chat', { messages: [{ role: 'user', content: 'x' }], stop: [PHONE] }],
    ['an unknown member', 'chat', { messages: [{ role: 'user', content: 'x' }], new_thing: { deep: [{ er: PHONE }] } }],
    ['an id that is not the API\'s', 'chat', { messages: [{ role: 'user', content: 'x', about: { id: PHONE } }] }],
    ['an id that is none', 'chat', { messages: [{ role: 'tool', tool_call_id: `call ${PHONE}`, content: 'x' }] }],
    ['a prompt', 'completions', { prompt: PHONE, suffix: 'x' }],
    ['a suffix', 'completions', { prompt: 'x', suffix: PHONE }],
    ['an input', 'embeddings', { input: ['x', PHONE] }],
    ['a query', 'rerank', { query: PHONE, documents: ['x'] }],
    ['a document', 'rerank', { query: 'x', documents: ['x', { text: PHONE }] }],
    ['an input of a response', 'responses', { input: [{ role: 'user', content: [{ type: 'input_text', text: PHONE }] }] }],
    ['instructions', 'responses', { input: 'x', instructions: PHONE }],
    ['an output of a function', 'responses', { input: [{ type: 'function_call_output', call_id: 'c', output: `{"a":"${PHONE}"}` }] }],
    ['a variable of a prompt', 'responses', { input: 'x', prompt: { id: 'pmpt_1', variables: { to: PHONE } } }],
  ])('is masked in %s', (_name, kind, body) => {
    const pass = prepare(JSON.stringify({ model: 'm', ...body }), kind);
    expect(pass.request.text).not.toMatch(new RegExp(`${PHONE}|\\\\u0031`));
    expect(pass.request.text).toMatch(PHONE_TOKEN);
    expect(pass.fact.found).toEqual({ phone_number: 1 });
  });

  it('is masked in every member of a name that is there twice', () => {
    const pass = prepare(`{"messages":[{"role":"user","content":"${PHONE}"}],"messages":[{"role":"user","content":"x"}]}`);
    expect(pass.request.text).not.toContain(PHONE);
  });

  it('keeps arguments JSON, and their text but for what was found', () => {
    const args = `{ "to":"bob@corp.example", "big":12345678901234567890, "note":"a\\nb" }`;
    const pass = prepare(JSON.stringify({ messages: [{ role: 'assistant', tool_calls: [{ id: 'c', type: 'function', function: { name: 'f', arguments: args } }] }] }));
    const [message] = pass.request.body['messages'] as { tool_calls: { function: { arguments: string } }[] }[];
    expect(message?.tool_calls[0]?.function.arguments).toMatch(/^\{ "to":"<EMAIL_[0-9a-f]{8}>", "big":12345678901234567890, "note":"a\\nb" \}$/);
  });

  it('hides what stands under the name of a secret, whatever it looks like', () => {
    const result = JSON.stringify({ password: 'plum', pin: 12, env: [{ name: 'DB_PASSWORD', value: 'pear' }, { value: 'fig 10.1.2.3', more: ['10.2.3.4', { value: 'lime', name: 'api_key' }], key: 'token' }], secret: ['kiwi'], token: 4_711 });
    const pass = prepare(JSON.stringify({ messages: [{ role: 'tool', tool_call_id: 'c', content: result }] }));
    expect(pass.request.text).not.toMatch(/plum|pear|fig|lime|kiwi|4711|10\.[12]/);
    expect(pass.request.text).toContain('\\"pin\\":12');
    expect(JSON.parse(JSON.stringify(pass.request.body)) as unknown).toEqual(JSON.parse(pass.request.text));
    expect(pass.fact.found).toEqual({ secret: 6, ip: 2 });
  });

  it('leaves a schema that speaks of passwords as it is', () => {
    const tools = [{ type: 'function', function: { name: 'log_in', parameters: { type: 'object', properties: { password: { type: 'string' }, image_url: { type: 'string' } }, required: ['password'] } } }];
    expect(chat('x', { tools }).fact.decision).toBe('clean');
  });

  it('leaves what the API itself says: model, roles, ids, names of tools', () => {
    const body = {
      model: `m-${PHONE}`,
      messages: [{ role: 'assistant', tool_calls: [{ id: `call-${PHONE}`, type: 'function', function: { name: `f_${PHONE}`, arguments: '{}' } }] }, { role: 'tool', tool_call_id: `call-${PHONE}`, content: 'x' }],
      tools: [{ type: 'function', function: { name: `f_${PHONE}`, parameters: { type: 'object' } } }],
      seed: Number(PHONE),
    };
    expect(prepare(JSON.stringify(body)).fact.decision).toBe('clean');
  });

  it('never takes what somebody wrote for one of its placeholders', () => {
    const token = contentOf(chat(PHONE));
    const pass = chat(`${PHONE} is not ${token} nor ${token.toUpperCase()}`);
    const restorer = pass.restorer();
    expect(contentOf(pass).startsWith(token)).toBe(false);
    expect(restorer?.document(JSON.stringify({ x: contentOf(pass) }))).toBe(JSON.stringify({ x: `${PHONE} is not ${token} nor ${token.toUpperCase()}` }));
  });
});

describe('what cannot be looked through stays in', () => {
  const png = Buffer.from(Array.from({ length: 3_000 }, (_, n) => (n * 7_919) % 251)).toString('base64');
  const user = (...content: JsonObject[]): JsonObject => ({ messages: [{ role: 'user', content }] });
  it.each<[string, RequestKind, JsonObject, string]>([
    ['a picture', 'chat', user({ type: 'text', text: 'x' }, { type: 'image_url', image_url: { url: 'https://example.com/a.png' } }), 'messages[0].content[1]'],
    ['a recording', 'chat', user({ type: 'input_audio', input_audio: { data: 'AAAA', format: 'wav' } }), 'messages[0].content[0]'],
    ['a file', 'chat', user({ type: 'file', file: { file_id: 'file-1' } }), 'messages[0].content[0]'],
    ['a file by its id, of a type that nobody knows', 'responses', { input: [{ role: 'user', content: [{ type: 'new_type', file_id: 'file-1' }] }] }, 'input[0].content[0].file_id'],
    ['a picture of a response', 'responses', { input: [{ role: 'user', content: [{ type: 'input_image', image_url: 'data:image/png;base64,AA' }] }] }, 'input[0].content[0]'],
    ['ciphertext', 'responses', { input: [{ type: 'reasoning', id: 'rs_1', summary: [], encrypted_content: 'gAAAA' }] }, 'input[0].encrypted_content'],
    ['a small picture in a text', 'chat', { messages: [{ role: 'user', content: 'see <img src="data:image/gif;base64,R0lGODlhAQ">' }] }, 'messages[0].content'],
    ['base64 in a text', 'chat', { messages: [{ role: 'tool', tool_call_id: 'c', content: JSON.stringify({ page: png }) }] }, 'messages[0].content'],
    ['base64 in lines', 'chat', { messages: [{ role: 'user', content: `scan:\n${png.replace(/.{76}/g, '$&\r\n')}` }] }, 'messages[0].content'],
    ['token ids as a prompt', 'completions', { prompt: [1, 2, 3] }, 'prompt[0]'],
    ['token ids as inputs', 'embeddings', { input: [[1, 2], [3]] }, 'input[0][0]'],
    ['embedded prompts', 'completions', { prompt: 'x', prompt_embeds: 'AAAA' }, 'prompt_embeds'],
    ['texts in texts without end', 'chat', { messages: [{ role: 'user', content: [1, 2, 3, 4, 5, 6].reduce((text) => JSON.stringify([text]), PHONE) }] }, 'messages[0].content'],
  ])('refuses %s and says where it is', (_name, kind, body, field) => {
    const error = denial(() => prepare(JSON.stringify({ model: 'm', ...body }), kind));
    expect(error).toMatchObject({ code: 'policy_denied', details: { reason: 'unscannable_content', backend: 'cloud', field } });
    expect(error.message).toContain(`'${field}'`);
  });

  it('takes long words that are none: one letter, hexadecimal, Chinese', () => {
    for (const text of ['a'.repeat(100_000), 'deadbeef00'.repeat(1_000), '检查登录失败的原因'.repeat(1_000), `${'https://example.com/Path/'.repeat(3)} ${'Word1 '.repeat(2_000)}`]) expect(chat(text).fact.decision).toBe('clean');
  });

  it('refuses a body that is too large or holds too much', () => {
    expect(denial(() => chat('x y '.repeat(1_100_000))).details).toMatchObject({ reason: 'unscannable_content' });
    const many = Array.from({ length: 20_001 }, (_, n) => `10.${n >> 16}.${(n >> 8) & 255}.${n & 255}`).join(' ');
    expect(denial(() => chat(many)).details).toMatchObject({ reason: 'unscannable_content' });
  });

  it('sends nothing when the scanner breaks, and does not repeat what it said', () => {
    const broken: Scanner = { scan: () => { throw new Error(`at ${PHONE}`); }, isSecretKey: () => false };
    const failing = [() => broken, (): Scanner => { throw new Error('no policy'); }].map((give) => createEgressGuard({ scanner: give, placeholderKey: 'a key of these tests' }));
    for (const each of failing) {
      const error = denial(() => each.prepare(parseRequest('chat', '{"messages":[{"role":"user","content":"x"}]}'), ACCESS, BACKEND));
      expect(error).toMatchObject({ code: 'policy_denied', details: { reason: 'unscannable_content' } });
      expect(JSON.stringify([error.message, error.details])).not.toContain(PHONE);
    }
  });

  it('does not repeat names that a person chose', () => {
    const error = denial(() => chat('x', { metadata: { [`Bob ${PHONE}`]: `data:image/png;base64,AA` } }));
    expect(error.details['field']).toBe('metadata.*');
  });

  it('refuses Confidential whatever the prompt says, and a label that nobody knows', () => {
    const text = JSON.stringify({ messages: [{ role: 'user', content: 'This is Public. sensitivity: 1' }], sensitivity: 1, metadata: { sensitivity: '1' } });
    expect(denial(() => prepare(text, 'chat', { ...ACCESS, sensitivity: 3 }))).toMatchObject({ code: 'policy_denied', details: { reason: 'confidential', backend: 'cloud' } });
    expect(denial(() => prepare(text, 'chat', { ...ACCESS, sensitivity: 9 as never })).details['reason']).toBe('confidential');
    expect(prepare(text, 'chat', { ...ACCESS, sensitivity: 2 }).fact.decision).toBe('clean');
  });

  it('wants a key that cannot be guessed', () => {
    expect(() => createEgressGuard({ scanner: () => scanner, placeholderKey: 'short' })).toThrow(RangeError);
  });
});

describe('the audit of an egress', () => {
  it('says where it went and how much was found, and nothing of it', () => {
    const pass = prepare(JSON.stringify({ messages: [{ role: 'user', content: `${PHONE} ${PHONE} password=plum42` }] }), 'chat', { ...ACCESS, keyId: 'k1', sensitivity: 2 });
    const audit = toEgressAudit(pass.fact);
    expect(audit).toMatchObject({ tenantId: 'acme', runId: 'r1', actor: 'user:alice', action: 'model_egress', phase: 'event', decision: 'allow', outcome: null, rule: null, input: null, output: null });
    expect(audit.metadata).toEqual({
      backend: 'cloud', host: 'api.example.com', kind: 'chat', bytes: Buffer.byteLength(pass.request.text), masked: true, sensitivity: 2, step_id: 's1', agent_id: 'a1', key_id: 'k1',
      found: [{ rule: 'phone_number', count: 2 }, { rule: 'secret', count: 1 }],
    });
    expect(JSON.stringify(audit)).not.toMatch(/13800138000|plum/);
  });

  it('names the reason of a refusal, and a key where there is no user', () => {
    const access: Access = { ...ACCESS, runId: '', stepId: '', agentId: '', userId: '', keyId: 'k1', sensitivity: 3 };
    const request = parseRequest('chat', '{"messages":[{"role":"user","content":"x"}]}');
    const error = denial(() => guard.prepare(request, access, BACKEND));
    expect(toEgressAudit(toDeniedFact({ request, access, backend: BACKEND }, error))).toMatchObject({
      runId: null, actor: 'key:k1', decision: 'deny', rule: 'egress.confidential', metadata: { bytes: 0, masked: false, found: [], sensitivity: 3 },
    });
  });
});
