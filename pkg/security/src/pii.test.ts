import type { JsonValue } from './json.ts';
import { describe, expect, expectTypeOf, it } from 'vitest';
import { createMasker } from './pii.ts';
import type { MaskerOptions, Sanitized } from './pii.ts';
import { SECURITY_LIMITS } from './limits.ts';

const KEY = 'a test key of 16+ bytes';
const DOCUMENT_RULES: MaskerOptions['policyRules'] = [
  { name: 'phone_number', regex: '\\b\\d{11}\\b', action: 'mask' },
  { name: 'aws_ak', regex: '(AKIA|ASIA)[0-9A-Z]{16}', action: 'redact' },
];
const policyOnly = createMasker({ policyRules: DOCUMENT_RULES, builtin: false, hashKey: KEY });
const builtin = createMasker({ policyRules: [], builtin: true, hashKey: KEY });
const both = createMasker({ policyRules: DOCUMENT_RULES, builtin: true, hashKey: KEY });

describe('the policy of the document', () => {
  it('masks 11 digits inside Chinese text by seven stars', () => {
    expect(policyOnly.maskText('电话13800138000请回')).toBe('电话*******请回');
    expect(both.maskText('电话13800138000请回')).toBe('电话*******请回');
  });

  it('removes an AWS access key id entirely', () => {
    expect(policyOnly.maskText('key AKIAIOSFODNN7EXAMPLE end')).toBe('key  end');
    expect(both.maskText('key AKIAIOSFODNN7EXAMPLE end')).toBe('key  end');
  });

  it('lets no rest of a secret show where two rules overlap', () => {
    expect(both.maskText('打 +86 13800138000 吧')).toBe('打 ******* 吧');
  });

  it('hashes with the key: equal values are equal, another key gives another hash', () => {
    const rules = [{ name: 'host', regex: 'host-\\d+', action: 'hash' }] as const;
    const one = createMasker({ policyRules: rules, builtin: false, hashKey: KEY });
    const two = createMasker({ policyRules: rules, builtin: false, hashKey: `${KEY}2` });
    expect(one.maskText('host-1 host-1')).toMatch(/^(hash:[0-9a-f]{16}) \1$/);
    expect(one.maskText('host-1')).not.toBe(two.maskText('host-1'));
  });

  it('finds in a long text what it finds in each of its words', () => {
    const rules = [['\\b\\d{11}\\b', '13800138000'], ['(?i)(?:bluebird|falcon)-[A-Z0-9._]+', 'FALCON-7.x'], ['\\bE-\\d{2,4}\\b', 'E-123']] as const;
    for (const [regex, value] of rules) {
      const masker = createMasker({ policyRules: [{ name: 'r', regex, action: 'mask' }], builtin: false, hashKey: KEY });
      for (const gap of [1, 100, 249, 255, 256, 257, 2_000]) {
        for (const blank of [' ', '\n', '\r\n', '\t']) {
          const filler = 'word'.repeat(Math.ceil(gap / 4)).slice(0, gap);
          const text = Array.from({ length: 5 }, () => `${filler}${blank}${value}${blank}x${value}`).join(blank);
          const glued = regex.startsWith('\\b') ? `x${value}` : 'x*******';
          expect(masker.maskText(text)).toBe(Array.from({ length: 5 }, () => `${filler}${blank}*******${blank}${glued}`).join(blank));
        }
      }
    }
  });

  it('lets a pattern that reaches over blanks do so in a long text', () => {
    const masker = (regex: string) => createMasker({ policyRules: [{ name: 'r', regex, action: 'mask' }], builtin: false, hashKey: KEY });
    const text = `${'word '.repeat(102)}one two ${'word '.repeat(300)}end`;
    for (const regex of ['one two', 'one\\stwo', 'one.two', 'one[^x]two', 'one\\W+two', 'one\\x20two', 'one[ ]two']) {
      expect(masker(regex).maskText(text)).toContain('word ******* word');
    }
    expect(masker('^word').maskText(text)).toBe(`*******${text.slice(4)}`);
    expect(masker('end$').maskText(text)).toBe(`${text.slice(0, -3)}*******`);
  });

  it('takes a catastrophic pattern in linear time', () => {
    const masker = createMasker({ policyRules: [{ name: 'evil', regex: '^(a+)+$', action: 'mask' }], builtin: false, hashKey: KEY });
    expect(masker.maskText(`${'a'.repeat(5_000)}!`)).toHaveLength(5_001);
  });

  it.each(['(?<=a)b', '(a)\\1', '[', '', 'x'.repeat(SECURITY_LIMITS.regexChars + 1)])('refuses the pattern %j', (regex) => {
    expect(() => createMasker({ policyRules: [{ name: 'bad', regex, action: 'mask' }], builtin: false, hashKey: KEY })).toThrow(/masking rule 'bad'/);
  });

  it('refuses a short key', () => {
    expect(() => createMasker({ policyRules: [], builtin: true, hashKey: 'short' })).toThrow(RangeError);
  });
});

// Assembled at run time, so that no scanner takes this file for a leak.
const fake = (...parts: readonly string[]): string => parts.join('');
const SECRETS: readonly (readonly [string, string, string])[] = [
  ['phone', 'call 13800138000 now', '13800138000'],
  ['phone +86', 'call +86 138-0013-8000 now', '138-0013-8000'],
  ['phone glued to letters', 'tel13800138000abc', '13800138000'],
  ['phone in full-width digits', '电话１３８００１３８０００', '１３８００１３８０００'],
  ['identity card', '身份证11010519491231002X。', '11010519491231002X'],
  ['USCC', '统一代码91350100M000100Y43', '91350100M000100Y43'],
  ['bank card', 'card 6222021234567894 ok', '6222021234567894'],
  ['bank card with blanks', 'card 4111 1111 1111 1111 ok', '4111 1111 1111 1111'],
  ['e-mail', 'from alice.b+x@corp.example.cn today', 'alice.b+x@corp.example.cn'],
  ['IPv4', 'src=10.1.2.3:443', '10.1.2.3'],
  ['IPv4 at the end of a sentence', '封禁IP 1.2.3.4。', '1.2.3.4'],
  ['IPv4 defused', 'ioc 1[.]2[.]3[.]4', '1[.]2[.]3[.]4'],
  ['IPv6', 'from 2001:db8::8a2e:370:7334 in', '2001:db8::8a2e:370:7334'],
  ['AWS id', fake('AKIA', 'IOSFODNN7EXAMPLE'), 'IOSFODNN7'],
  ['AWS pair', fake('AKIA', 'IOSFODNN7EXAMPLE, wJalrXUtnFEMI/K7MDENG/', 'bPxRfiCYEXAMPLEKEY'), 'wJalr'],
  ['AWS secret by name', fake('aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/', 'bPxRfiCYEXAMPLEKEY'), 'wJalr'],
  ['Aliyun', fake('LTAI', '5tExampleKey00abcdef12'), '5tExample'],
  ['Tencent', fake('AKID', 'z8krbsJ5yKBZQpn74WFkmLPx3EXAMPLE'), 'z8krbs'],
  ['Huawei pair by name', 'ak=8QXYZABCDEFGH1JKLMN2 sk: aB3dE5fG7hJ9kL1mN3pQ5rS7tU9vW1xY3zA5bC7d', 'aB3dE5'],
  ['GitHub', fake('ghp_', 'abcdefghijklmnopqrstuvwxyz0123456789'), 'abcdefghij'],
  ['Slack', fake('xoxb-', '123456789012-abcdefghij'), '123456789012'],
  ['OpenAI style', fake('sk-proj-', 'abcd1234abcd1234abcd1234'), 'abcd1234'],
  ['JWT', fake('eyJhbGciOiJIUzI1NiJ9.', 'eyJzdWIiOiIxIn0.', 'c2lnbmF0dXJl'), 'eyJzdWIi'],
  ['PEM', fake('-----BEGIN RSA PRIVATE ', 'KEY-----\nMIIEow\n-----END RSA PRIVATE KEY-----'), 'MIIEow'],
  ['PEM without its end', fake('-----BEGIN PRIVATE ', 'KEY-----\nMIIEow\nabc'), 'abc'],
  ['password=', 'DB_PASSWORD=hunter2', 'hunter2'],
  ['password with punctuation', 'password: Abc,123!;x', '123!'],
  ['password in JSON text', '{"password": "two words"}', 'words'],
  ['password in escaped JSON', '{\\"password\\": \\"two words\\"}', 'words'],
  ['Chinese password', '密码：Qwe123，请勿外传', 'Qwe123'],
  ['Chinese password 是', '口令是Qwe123', 'Qwe123'],
  ['token', 'token: a8f3kd02ks', 'a8f3kd02ks'],
  ['Bearer', 'Bearer abcDEF123456', 'abcDEF123456'],
  ['Authorization', 'authorization: Basic dXNlcjpwYXNz', 'dXNlcjpwYXNz'],
  ['cookie', 'Set-Cookie: sid=abc; Path=/', 'sid=abc'],
  ['credentials in a URL', 'postgres://bob:s3cret@db:5432/x', 's3cret'],
];

describe('the built-in pack', () => {
  it.each(SECRETS)('hides: %s', (_name, text, secret) => {
    const masked = builtin.maskText(text);
    expect(masked).not.toContain(secret);
    expect(builtin.maskText(masked)).toBe(masked);
  });

  it.each([
    ['UUID', '3f2a9c1e-1380-4138-9138-138001380001'],
    ['UUID v7 as a key', 'idempotency_key: 0193c9a0-7b1c-7000-8000-13800138000f'],
    ['ISO timestamp', '2026-11-22T10:15:30.123456Z'],
    ['ISO timestamp with offset', '2026-11-22T10:15:30+08:00'],
    ['compact timestamp', '20261122101530'],
    ['epoch seconds', '1763805330'],
    ['epoch milliseconds', '1763805330123'],
    ['epoch microseconds', '1763805330123456'],
    ['epoch nanoseconds', '1763805330123456789'],
    ['call hash', 'e3b0c44298fc1c149afbf13800138000a27ae41e4649b934ca495991b7852b855'.slice(0, 64)],
    ['policy version', 'sha256:0a13800138000fbc'],
    ['trace id', '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'],
    ['decimal', '0.13800138000'],
    ['time of day', 'at 10:15:30 and 23:59'],
    ['C++', 'std::string net::Server'],
    ['version', 'node 20.20.1 and 1.2.3'],
    ['usage', '{"prompt_tokens":1200,"max_tokens":500,"tokens_used":17}'],
    ['prose', 'The token bucket: the secret of a good password policy. Basic authentication; bearer tokens.'],
    ['MAC address', 'aa:bb:cc:dd:ee:ff'],
    ['path', 'GET /api/v1/runs/42/events?cursor=10'],
    ['wrong Luhn', '6222021234567890'],
    ['wrong identity card', '110105194912310021'],
    ['digest', 'image digest sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08'],
  ])('leaves alone: %s', (_name, text) => {
    expect(builtin.maskText(text)).toBe(text);
  });

  it('leaves 20,000 digests and UUIDs alone', () => {
    const wrong: string[] = [];
    for (let i = 0; i < 20_000; i++) {
      const digest = toHex(i, 64);
      const uuid = `${digest.slice(0, 8)}-${digest.slice(8, 12)}-${digest.slice(12, 16)}-${digest.slice(16, 20)}-${digest.slice(20, 32)}`;
      if (builtin.maskText(`${digest} ${uuid}`) !== `${digest} ${uuid}`) wrong.push(digest);
    }
    expect(wrong).toEqual([]);
  });

  it('gives equal addresses equal labels, so that an auditor can follow one unseen', () => {
    const [a, b, c] = builtin.maskText('1.2.3.4 1[.]2[.]3[.]4 1.2.3.5').split(' ');
    expect(a).toMatch(/^\[ip:[0-9a-f]{8}\]$/);
    expect(b).toBe(a);
    expect(c).not.toBe(a);
  });
});

/** Deterministic hex, heavy in decimal digits so that chance phones are frequent. */
function toHex(seed: number, length: number): string {
  let state = (seed * 2_654_435_761 + 12_345) >>> 0;
  let text = '';
  while (text.length < length) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    text += '0123456789138ae0'[state >>> 28];
  }
  return `a${text.slice(1)}`;
}

describe('JSON', () => {
  it('walks keys and values, and numbers that are phones', () => {
    expect(builtin.maskJson({ 'a@b.cn': [13_800_138_000, { note: 'ip 1.1.1.1' }], n: 5, t: 1_763_805_330_123 })).toEqual({
      '[masked:email]': ['[masked:phone]', { note: expect.stringMatching(/^ip \[ip:[0-9a-f]{8}\]$/) }],
      n: 5,
      t: 1_763_805_330_123,
    });
  });

  it('masks whatever stands under a secret key', () => {
    expect(builtin.maskJson({ password: 'x', dbPassword: { deep: ['y', 7, true, null] }, 'api-key': 'z', tokens: 5, max_tokens: 9 })).toEqual({
      password: '*******',
      dbPassword: { deep: ['*******', '*******', true, null] },
      'api-key': '*******',
      tokens: 5,
      max_tokens: 9,
    });
    expect(builtin.maskJson([{ name: 'DB_PASSWORD', value: 'plain' }])).toEqual([{ name: 'DB_PASSWORD', value: '*******' }]);
  });

  it('keeps keys apart that are equal once masked, and `__proto__` a plain key', () => {
    const value = JSON.parse('{"a@b.cn":1,"c@d.cn":2,"__proto__":{"polluted":true}}') as Parameters<typeof builtin.maskJson>[0];
    expect(builtin.sanitizeJson(value)).toBe('{"[masked:email]":1,"[masked:email]#2":2,"__proto__":{"polluted":true}}');
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
  });


  it('the text of a masked value is that of its masked copy, whatever the value', () => {
    let seed = 7;
    const random = (below: number): number => (seed = (seed * 48_271) % 2_147_483_647) % below;
    const words = ['name', 'value', 'key', 'password', 'token', '__proto__', 'ip', 'a@b.example', '13800138000', '10.0.0.1', '正文', 'x\ud800', 'n\u0000ul', '', 'b', '"q"'];
    const make = (depth: number): JsonValue => {
      const kind = random(depth > 9 ? 4 : 7);
      if (kind === 0) return words[random(words.length)] ?? '';
      if (kind === 1) return [0, -0, 1.5, 13_800_138_000, 1e21, -7][random(6)] ?? 0;
      if (kind === 2) return random(2) === 0;
      if (kind === 3) return null;
      if (kind === 4) return Array.from({ length: random(4) }, () => make(depth + 1));
      return Object.fromEntries(Array.from({ length: random(5) }, () => [words[random(words.length)] ?? '', make(depth + 1)]));
    };
    const sorted = (value: JsonValue): string => {
      if (typeof value !== 'object' || value === null) return JSON.stringify(value);
      if (Array.isArray(value)) return `[${value.map(sorted).join(',')}]`;
      return `{${Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([key, item]) => `${JSON.stringify(key)}:${sorted(item)}`).join(',')}}`;
    };
    for (let n = 0; n < 3_000; n += 1) {
      const value = make(0);
      for (const masker of [builtin, createMasker({ policyRules: [], builtin: false, hashKey: 'a key of the tests alone' })]) expect(masker.sanitizeJson(value)).toBe(sorted(masker.maskJson(value)));
    }
  });

  it('gives one text whatever the order of keys', () => {
    expect(builtin.sanitizeJson({ b: 1, a: [true, null] })).toBe('{"a":[true,null],"b":1}');
  });

  it('cuts what is too deep instead of failing', () => {
    let deep: Parameters<typeof builtin.maskJson>[0] = 'end';
    for (let i = 0; i < 10_000; i++) deep = [deep];
    expect(builtin.sanitizeJson(deep)).toContain('[cut]');
  });
});

describe('R10: what the database refuses and what is too long', () => {
  it('strips NUL and lone surrogates everywhere, and nothing can hide behind them', () => {
    expect(builtin.maskText('a\0b\uD800c\uDFFFd😀')).toBe('abcd😀');
    expect(builtin.maskText('138\u00000013\uD8008000')).not.toContain('8000');
    expect(builtin.sanitizeJson({ 'k\0': 'v\uD83D' })).toBe('{"k":"v"}');
  });

  it('cuts a long text and says so, without leaving half a secret at the edge', () => {
    const text = `${'x '.repeat(SECURITY_LIMITS.maskTextChars / 2 - 3)}13800138000 tail`;
    const masked = builtin.maskText(text);
    expect(masked).toMatch(/ \[cut: \d+ characters\]$/);
    expect(masked).not.toContain('1380');
  });

  it('only a masker makes Sanitized', () => {
    expectTypeOf<string>().not.toExtend<Sanitized>();
    expectTypeOf(builtin.sanitize('x')).toEqualTypeOf<Sanitized>();
  });
});
