import type { JsonValue } from '@openeaap/kernel';
import { describe, expect, it } from 'vitest';
import { POLICY_LIMITS } from '../limits.ts';
import { act, think, thrownBy } from '../testing/requests.ts';
import { compileCondition } from './compile.ts';
import { ConditionError } from './error.ts';

const INPUT: JsonValue = {
  cmd: 'rm -rf /',
  port: 22,
  on: true,
  off: false,
  none: null,
  ip: '10.1.2.3',
  tags: ['Prod', 'db'],
  deep: { list: [{ x: 1 }] },
  'dst-ip': '::1',
  text: "it's",
};

function evaluate(source: string, input: JsonValue = INPUT): boolean | 'error' {
  return compileCondition(source).evaluate(act('tool_a', input, { taint: { untrusted: true, injection: false } }));
}

describe('conditions', () => {
  it.each([
    ["input.cmd contains 'rm' or input.cmd contains 'shutdown'", true],
    ["input.cmd contains 'shutdown' or input.cmd contains 'reboot'", false],
    ['always', true],
    ['never', false],
    ['not never', true],
    ['!input.off && input.on', true],
    ['not input.port == 22', false],
    ['!input.on == false', true],
    ['true or false and false', true],
    ['(true or false) and false', false],
    ['input.port == 22.0', true],
    ['input.port != 23 && input.port >= 22 && input.port < 1e2', true],
    ['input.port in [21, 22]', true],
    ['input.port not in [21, 22]', false],
    ["tool.effect in ['write', 'destructive'] and taint.untrusted", true],
    ["input.cmd startswith 'rm' and input.cmd endswith '/'", true],
    ["input.cmd icontains 'RM -RF'", true],
    ["input.tags contains 'db'", true],
    ["input.tags contains 'prod'", false],
    ["input.tags icontains 'prod'", true],
    [String.raw`input.cmd matches '^rm\s+-[rf]+'`, true],
    [String.raw`input.cmd matches "\bshutdown\b"`, false],
    ["input.ip in_cidr '10.0.0.0/8'", true],
    ["input.ip in_cidr ['192.168.0.0/16', '10.1.0.0/16']", true],
    ["not input.ip in_cidr '192.168.0.0/16'", true],
    ['exists input.none', true],
    ['exists(input.nothing)', false],
    ['has(input.deep.list)', true],
    ['input.deep.list[0].x == 1', true],
    ["input['dst-ip'] == '::1'", true],
    [String.raw`input.text == 'it\'s'`, true],
    ['input.none == null', true],
    ['input.port == null', false],
    ['size(input.tags) == 2 and size(input.cmd) > 3', true],
    ["input.cmd.contains('rm') && input.cmd.startsWith('rm') && input.cmd.endsWith('/') && input.cmd.matches('^rm')", true],
    ["'soc-analysts' in user.groups", true],
    ["user.id == 'alice' and user.tenant_id == 't1' and user.clearance >= 2", true],
    ["agent.name == 'triage' and agent.id == 'agent-1' and agent.version == '1.0.0'", true],
    ["run.id == 'run-1' and run.step == 3 and run.tokens_used == 100", true],
    ["tool.name == 'tool_a' and tool.version == '1.0.0'", true],
    ["time.hour == 10 and time.weekday == 7 and time.iso startswith '2026-11-22T10:05'", true],
    ["input.tags == ['Prod', 'db']", true],
    ['input.port > -5', true],
  ])('%s is %s', (source, expected) => {
    expect(evaluate(source)).toBe(expected);
  });

  it.each([
    'input.missing == 1',
    'not input.missing == 1',
    "input.missing contains 'x'",
    'input.missing',
    'input.cmd',
    'input.port and true',
    "input.port == '22'",
    "input.port in ['22']",
    "input.port contains '2'",
    'input.cmd > 5',
    "input.cmd in_cidr '10.0.0.0/8'",
    'input.cmd[0] == "r"',
    'input.tags[9] == 1',
    'input.constructor == null',
    'input.__proto__ == null',
    'input.cmd.length == 8',
    'input.tags.length == 2',
    'exists(input.cmd) and input.toString == null',
    'size(input.port) == 1',
  ])('%s is an error value', (source) => {
    expect(evaluate(source)).toBe('error');
  });

  it('a side that decides alone outweighs an error value, on either side', () => {
    expect(evaluate('input.missing == 1 or always')).toBe(true);
    expect(evaluate('always or input.missing == 1')).toBe(true);
    expect(evaluate('input.missing == 1 and never')).toBe(false);
    expect(evaluate('input.missing == 1 or never')).toBe('error');
    expect(evaluate('input.missing == 1 and always')).toBe('error');
  });

  it('own properties named like those of a prototype are seen, inherited ones are not', () => {
    expect(evaluate('exists(input.__proto__)', JSON.parse('{"__proto__": 1}') as JsonValue)).toBe(true);
    expect(evaluate('exists(input.__proto__)')).toBe(false);
    expect(evaluate('exists(input.hasOwnProperty)')).toBe(false);
  });

  it('a text too long for matches is an error value', () => {
    expect(evaluate("input.cmd matches 'x'", { cmd: 'x'.repeat(POLICY_LIMITS.matchChars + 1) })).toBe('error');
  });

  it('input and tool have no value in a think', () => {
    expect(compileCondition("input.cmd == 'x'").evaluate(think())).toBe('error');
    expect(compileCondition("tool.name == 'x'").evaluate(think())).toBe('error');
    expect(compileCondition('input.a == 1').needsAct).toBe(true);
    expect(compileCondition('user.clearance == 1').needsAct).toBe(false);
  });
});

describe('what is no condition is refused with its column', () => {
  it.each([
    ['', 0],
    ['input.a ==', 10],
    ['input.a = 1', 8],
    ["input.a == 'x", 11],
    ['input.a == x', 11],
    ['input.a foo 1', 8],
    ['usr.id == 1', 0],
    ['user == 1', 0],
    ['user.idd == 1', 0],
    ['input.a == 1 == 2', 13],
    ['(input.a == 1', 13],
    ['input.a == 1)', 12],
    ["input.a matches '('", 16],
    ['input.a matches input.b', 16],
    ["input.a in_cidr '10.0.0.0/99'", 16],
    ["input.a in_cidr ['10.0.0.0/8', 'x']", 31],
    ["'text'", 0],
    ["input.a == 1 or 'text'", 16],
    ['input.a.foo(1)', 8],
    ['input.a | input.b', 8],
    ['input.a == 01', 11],
    ['input.a == 1x', 11],
    ['input[1.5] == 1', 6],
    ['exists 5', 7],
    ['not', 3],
    ['[1, 2', 5],
    ['input.a; drop', 7],
  ])('%j at %d', (source, at) => {
    const thrown = thrownBy(() => compileCondition(source));
    expect(thrown).toBeInstanceOf(ConditionError);
    expect(thrown).toMatchObject({ at });
  });

  it('too long, too deep, too many', () => {
    expect(() => compileCondition(`always ${'or always '.repeat(500)}`)).toThrow(/at most 4096/);
    expect(() => compileCondition(`${'('.repeat(100)}always${')'.repeat(100)}`)).toThrow(/deeper than 64/);
    expect(() => compileCondition(`${'not '.repeat(100)}always`)).toThrow(/deeper than 64/);
    expect(() => compileCondition(`input.a in [${'1,'.repeat(1_001)}1]`)).toThrow(/more than 1000 items/);
    expect(compileCondition(`always${' or always'.repeat(300)}`).evaluate(think())).toBe(true);
  });
});
