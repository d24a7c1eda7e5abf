import { describe, expect, test } from 'vitest';
import type { JsonObject } from '@openeaap/kernel';
import { toCanonicalJson } from '@openeaap/kernel';
import { createMasker } from '@openeaap/security';
import { chainRows, hashRow, toCanonicalText } from './chain.ts';
import { createToAuditRow } from './to-audit-row.ts';

const masker = createMasker({ policyRules: [], builtin: true, hashKey: 'a key of the tests alone' });
const toRow = createToAuditRow({ masker: () => masker, clock: { now: () => new Date(1_764_000_000_123), sleep: () => Promise.resolve() }, ids: { newId: () => '01a20b98-8f1c-7846-851b-b53a4641f949', newTraceId: () => 'f'.repeat(32) } });

const FACT = {
  tenantId: 'acme', runId: null, traceId: '', actor: 'user:alice', action: 'tool_call' as const, phase: 'intent' as const,
  decision: null, outcome: null, rule: null, stepNo: null, metadata: {} as JsonObject, input: null, output: null,
};

const AWKWARD: readonly JsonObject[] = [
  {},
  { b: 1, a: 2, '\u{1f600}': 'x', é: null, '': true, __proto__x: [] },
  { quote: '"\\/\b\f\n\r\t\u2028\u0007', 数字: [1e21, 1e-7, -0, 0.1, 123456789012345680000, 5e-324] },
  { nested: { z: [{ y: 1, x: [null, false] }], a: { c: {}, b: [] } } },
  { lone: '\ud800', nul: 'a\u0000b' },
  JSON.parse('{"__proto__": {"a": 1}, "constructor": "c"}') as JsonObject,
];

describe('chain', () => {
  test.each(AWKWARD.map((metadata) => [JSON.stringify(metadata), metadata] as const))('the text that is hashed is the canonical JSON of the row: %s', (_name, metadata) => {
    const rows = [toRow({ ...FACT, metadata }), toRow({ ...FACT, metadata, runId: 'r', decision: 'allow', rule: 'a "rule"', stepNo: 7, input: metadata, output: 'out\n', actor: 'user:王强' })];
    for (const { row_hash: hash, json, ...row } of chainRows({ chainId: 'c', seq: 41, hash: 'h' }, rows)) {
      const columns = { ...row, metadata: JSON.parse(row.metadata) as JsonObject };
      expect(toCanonicalText(row, row)).toBe(toCanonicalJson(columns));
      expect(hash).toBe(hashRow(columns));
      expect(JSON.parse(json)).toEqual({ ...columns, row_hash: hash });
    }
  });
});
