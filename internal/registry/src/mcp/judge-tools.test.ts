import type { JsonObject } from '@openeaap/kernel';
import { describe, expect, test } from 'vitest';
import { fitToolName } from './fit-tool-name.ts';
import { judgeTools } from './judge-tools.ts';
import type { McpConfig } from './mcp-config.ts';
import { toSchema2020 } from './to-schema-2020.ts';

const CONFIG: McpConfig = { plugin: 'p', transport: { kind: 'stdio', command: 'x', args: [], env: {}, cwd: null }, trustAnnotations: false, prefix: '', allow: null, deny: [], tools: {}, pin: true, startTimeoutMs: 1 };
const tool = (name: string, more: JsonObject = {}): JsonObject => ({ name, description: name, inputSchema: { type: 'object' }, ...more });
const judge = (offered: readonly unknown[], config: Partial<McpConfig> = {}, pins = {}) => judgeTools(offered, { version: '1', pins, compiled: new Set() }, { ...CONFIG, ...config });
const effects = (annotations: JsonObject, config: Partial<McpConfig>) => judge([tool('t', { annotations })], config).tools.map(({ spec }) => [spec.effect, spec.idempotent]);

describe('effects', () => {
  test.each<[JsonObject, string, boolean]>([
    [{ readOnlyHint: true, openWorldHint: true }, 'read', true],
    [{ destructiveHint: true, openWorldHint: true }, 'destructive', false],
    [{ destructiveHint: false, openWorldHint: true, idempotentHint: true }, 'egress', true],
    [{ destructiveHint: false, openWorldHint: false }, 'write', false],
    [{}, 'write', false],
    [{ readOnlyHint: 'true' }, 'write', false],
  ])('%j means %s, if annotations are trusted; else everything is a write', (annotations, effect, idempotent) => {
    expect(effects(annotations, { trustAnnotations: true })).toEqual([[effect, idempotent]]);
    expect(effects(annotations, {})).toEqual([['write', false]]);
  });

  test('what the operator says about a tool counts more than what the server says', () => {
    const rule = { effect: 'destructive', idempotent: true, timeoutMs: 900_000, untrustedOutput: false } as const;
    const { tools } = judge([tool('t', { annotations: { readOnlyHint: true } }), tool('u')], { trustAnnotations: true, tools: { t: rule } });
    expect(tools.map(({ spec }) => [spec.effect, spec.idempotent, spec.timeoutMs, spec.untrustedOutput])).toEqual([['destructive', true, 600_000, false], ['write', false, 30_000, true]]);
  });
});

describe('what is allowed', () => {
  const OFFERED = [tool('a'), tool('b'), tool('c')];
  test.each<[string, Partial<McpConfig>, readonly string[]]>([
    ['nothing is said: all', {}, ['a', 'b', 'c']],
    ['an empty list: none', { allow: [] }, []],
    ['a list, and a rule beside it', { allow: ['a'], tools: { c: { allow: true } } }, ['a', 'c']],
    ['a denial wins', { allow: ['a', 'b'], deny: ['a'], tools: { a: { allow: true }, b: { allow: false } } }, []],
  ])('%s', (_name, config, expected) => {
    const { tools, withheld } = judge(OFFERED, config);
    expect(tools.map(({ serverName }) => serverName)).toEqual(expected);
    expect(withheld.filter(({ reason }) => reason === 'denied')).toHaveLength(3 - expected.length);
  });
});

test('a schema that cannot be compiled withholds its tool, for input and output; two may have one id', () => {
  const id = { type: 'object', $id: 'https://example.org/one' };
  const { tools, withheld } = judge([tool('a', { inputSchema: id }), tool('b', { inputSchema: id }), tool('c', { inputSchema: { type: 'object', properties: { x: { $ref: 'https://example.org/elsewhere' } } } }), tool('d', { outputSchema: { type: 'object', properties: { x: { pattern: '(' } } } })]);
  expect(tools.map(({ serverName }) => serverName)).toEqual(['a', 'b']);
  expect(withheld).toMatchObject([{ serverName: 'c', reason: 'invalid', message: expect.stringMatching(/inputSchema.*elsewhere/) }, { serverName: 'd', reason: 'invalid', message: expect.stringMatching(/outputSchema/) }]);
});

test('a pin covers the description, both schemas and the annotations', () => {
  const before = tool('t', { outputSchema: { type: 'object' }, annotations: { readOnlyHint: false } });
  const pins = { t: judge([before]).tools[0]?.hash };
  expect(judge([{ ...before, title: 'another title' }], {}, pins).tools).toHaveLength(1);
  const changes: readonly JsonObject[] = [{ description: 'x' }, { inputSchema: { type: 'object', title: 'x' } }, { outputSchema: { type: 'object', title: 'x' } }, { annotations: { readOnlyHint: true } }];
  for (const change of changes) expect(judge([{ ...before, ...change }], {}, pins).withheld).toMatchObject([{ serverName: 't', reason: 'changed' }]);
});

describe('names', () => {
  test.each([
    ['repos/list.all', 'github_', 'github_repos_list_all'],
    ['größe', '', 'gr__e'],
    ['a'.repeat(64), '', 'a'.repeat(64)],
  ])('%s with "%s" is %s', (name, prefix, expected) => {
    expect(fitToolName(name, prefix)).toBe(expected);
  });

  test('long names that differ at their end stay different, and are the same each time', () => {
    const [one, two] = [fitToolName(`${'a'.repeat(100)}1`, 'p_'), fitToolName(`${'a'.repeat(100)}2`, 'p_')];
    expect(one).toMatch(/^p_a+_[0-9a-f]{8}$/);
    expect([one.length, two.length]).toEqual([64, 64]);
    expect(one).not.toBe(two);
    expect(fitToolName(`${'a'.repeat(100)}1`, 'p_')).toBe(one);
  });
});

test('a schema of draft 7 becomes one of 2020-12, tuples too; one of another dialect is left as it is', () => {
  const draft7 = { $schema: 'http://json-schema.org/draft-07/schema#', type: 'object', properties: { pair: { type: 'array', items: [{ type: 'string' }, { type: 'number' }], additionalItems: false } } };
  expect(toSchema2020(draft7)).toEqual({ type: 'object', properties: { pair: { type: 'array', prefixItems: [{ type: 'string' }, { type: 'number' }], items: false } } });
  expect(toSchema2020({ $schema: 'https://example.org/mine', type: 'object' })).toEqual({ $schema: 'https://example.org/mine', type: 'object' });
});
