import { PlatformError } from '@openeaap/kernel';
import { describe, expect, it } from 'vitest';
import { compilePolicy } from './compile-policy.ts';
import { thrownBy } from './testing/requests.ts';

/** The message of the refusal; '' when the policy is accepted or refused with another code. */
function refusal(text: string): string {
  const thrown = thrownBy(() => compilePolicy([{ name: 'p.yaml', text }]));
  return thrown instanceof PlatformError && thrown.code === 'policy_invalid' ? thrown.message : '';
}

const GATE = 'approval_gates:\n  - tool_pattern: "x"\n    approvers: ["group:a"]\n';

describe('what is wrong is said with its place and the cure', () => {
  it.each([
    ['an unknown section', 'aproval_gates: []\n', "p.yaml:1:1: 'aproval_gates' is no key of the policy (did you mean 'approval_gates'?)"],
    ['an unknown key', `${GATE}    aprovers: []\n`, "p.yaml:4:5: 'aprovers' is no key of an approval gate (did you mean 'approvers'?)"],
    ['a duplicate key', 'rules: []\nrules: []\n', 'p.yaml:2:1: the YAML is broken: Map keys must be unique'],
    ['broken YAML', 'rules: [\n', 'p.yaml:2:1: the YAML is broken'],
    ['two documents', 'rules: []\n---\nrules: []\n', 'the YAML is broken'],
    ['a merge key', 'a: &a {}\n<<: *a\n', "'a' is no key"],
    ['a scalar for a list', 'rules: 5\n', 'p.yaml:1:8: rules must be a list'],
    ['a missing key', 'approval_gates:\n  - tool_pattern: "x"\n', "p.yaml:2:5: 'approvers' is missing here"],
    ['nobody to approve', 'approval_gates:\n  - {tool_pattern: x, approvers: []}\n', 'approvers needs at least one entry'],
    ['an approver without its kind', 'approval_gates:\n  - {tool_pattern: x, approvers: [ops]}\n', "'ops' is nobody; write \"group:NAME\""],
    ['everyone as approver', 'approval_gates:\n  - {tool_pattern: x, approvers: ["*"]}\n', "'*' is nobody"],
    ['a wrong duration', `${GATE}    timeout: "1 hour"\n`, "p.yaml:4:14: '1 hour' is no duration; write for example 90s, 30m, 1h or 2d"],
    ['a number for a duration', `${GATE}    timeout: 60\n`, 'timeout must be text'],
    ['too long a timeout', `${GATE}    timeout: 31d\n`, 'at most 30d'],
    ['a boolean for a condition', `${GATE}    condition: true\n`, 'p.yaml:4:16: condition (for no condition, write'],
    ['a regex with a lookbehind', 'pii_masking:\n  rules:\n    - {name: a, regex: "(?<=a)b", action: mask}\n', 'p.yaml:3:24: RE2 refuses the regular expression'],
    ['a regex for nothing', 'pii_masking:\n  rules:\n    - {name: a, regex: "x*", action: mask}\n', 'matches the empty text'],
    ['a wrong action', 'pii_masking:\n  rules:\n    - {name: a, regex: "x", action: masc}\n', "must be one of mask, redact, hash (did you mean 'mask'?)"],
    ['two rules with one name', 'rules:\n  - {name: a, effect: deny}\n  - {name: a, effect: allow}\n', "p.yaml:3:12: rules has another entry named 'a'"],
    ['a brace glob', 'rules:\n  - {name: a, effect: deny, tool_pattern: "{a,b}"}\n', 'only the wildcards * and ? are known'],
    ['a scope without blocks', 'scopes:\n  - {name: a, tool_pattern: x, field: input.ip}\n', 'needs allow_cidr or deny_cidr'],
    ['a scope outside the input', 'scopes:\n  - {name: a, tool_pattern: x, field: user.ip, deny_cidr: ["::/0"]}\n', "'user.ip' is no field of the call"],
    ['a wrong block', 'scopes:\n  - {name: a, tool_pattern: x, field: input.ip, deny_cidr: ["10.0.0.0/33"]}\n', "'10.0.0.0/33' is no address block"],
    ['a quota of nothing', 'quotas:\n  - {name: a, per: user}\n', 'a quota needs one of tokens_per_run'],
    ['tokens of a tool', 'quotas:\n  - {name: a, tool_pattern: x, tokens_per_day: 5}\n', 'tokens are used by thinks'],
    ['a limit of zero', 'quotas:\n  - {name: a, calls_per_day: 0}\n', 'a whole number of at least 1'],
    ['rbac without roles', 'rbac: {}\n', "rbac needs 'roles'"],
    ['a think with a tool', 'rules:\n  - {name: a, effect: deny, on: any, tool_pattern: x}\n', 'a think has no tool'],
    ['a think with an input', 'rules:\n  - {name: a, effect: deny, on: think, condition: "input.a == 1"}\n', 'a think has no input'],
  ])('%s', (_name, text, expected) => {
    expect(refusal(text)).toContain(expected);
  });

  it.each([
    ['plain', `${GATE}    condition: input.a = 1\n`, "4:24: '=' is no operator; write '==' to compare"],
    ['double quotes with escapes', `${GATE}    condition: "input.a == \\"x\\" nad input.b == 1"\n`, "4:34: an operator is expected here, not 'nad' (did you mean 'and'?)"],
    ['single quotes', `${GATE}    condition: 'input.a == ''x'' && usr.id == 1'\n`, "4:37: 'usr' is no field (did you mean 'user'?); fields begin with input, user, agent, run, tool, taint, time, and strings need quotes"],
    ['a block', `${GATE}    condition: |\n      input.a ==\n`, '4:16: column 12 of the condition: the condition ends here, but a value is missing'],
  ])('an error in a condition in %s has its own column', (_name, text, expected) => {
    expect(refusal(text)).toBe(`p.yaml:${expected}`);
  });

  it('lists every problem of one load', () => {
    const thrown = thrownBy(() =>
      compilePolicy([
        { name: 'a.yaml', text: 'rule: []\n' },
        { name: 'b.yaml', text: 'rules: 1\nscopes: 2\n' },
      ]),
    );
    expect(thrown).toMatchObject({
      message: expect.stringMatching(/^a\.yaml:1:1: .* \(and 2 more\)$/),
      details: { file: 'a.yaml', line: 1, column: 1, problems: [expect.any(String), expect.stringMatching(/^b\.yaml:1:8:/), expect.stringMatching(/^b\.yaml:2:9:/)] },
    });
  });

  it('aliases cannot blow up a policy', () => {
    const aliases = Array.from({ length: 200 }, () => '*a').join(', ');
    expect(refusal(`rbac:\n  roles:\n    - {name: &a x, members: ["*"], tools: [${aliases}], agents: ["*"]}\n`)).toContain('more than 100 aliases');
  });
});

describe('R9: no policy loaded: refuse to start', () => {
  it.each([
    ['no file', []],
    ['an empty file', [{ name: 'a.yaml', text: '' }]],
    ['only comments', [{ name: 'a.yaml', text: '# nothing\n' }]],
    ['an empty map', [{ name: 'a.yaml', text: '{}' }]],
  ])('%s', (_name, files) => {
    expect(() => compilePolicy(files)).toThrow(/^No policy loaded: refuse to start/);
  });
});

describe('several files', () => {
  it('merge, in their order, and constraints add up', () => {
    const policy = compilePolicy([
      { name: 'a.yaml', text: `${GATE}constraints: {max_tokens: 500, blocked_tools: [a]}\n` },
      { name: 'b.yaml', text: `${GATE}constraints: {max_tokens: 100, dry_run: true, blocked_tools: [b, a]}\n` },
    ]);
    expect(policy.rules.gates.map((gate) => gate.id)).toEqual(['approval_gates[0]', 'approval_gates[1]']);
    expect(policy.rules.constraints).toEqual({ dryRun: true, maxTokens: 100, blockedTools: ['a', 'b'] });
  });

  it('cannot name two roles alike or switch masking on and off', () => {
    const role = 'rbac: {roles: [{name: r, members: ["*"], tools: ["*"], agents: ["*"]}]}\n';
    expect(() => compilePolicy([{ name: 'a.yaml', text: role }, { name: 'b.yaml', text: role }])).toThrow(/^b\.yaml:1:23: rbac\.roles has another entry named 'r'/);
    expect(() => compilePolicy([{ name: 'a.yaml', text: 'pii_masking: {enabled: true}' }, { name: 'b.yaml', text: 'pii_masking: {enabled: false}' }])).toThrow(/in one file only/);
  });
});

describe('the version', () => {
  it('says what the policy says: not comments, not blanks, not the split into files', () => {
    const rules = 'rules: [{name: a, effect: deny}]\n';
    const one = compilePolicy([{ name: 'x.yaml', text: `${GATE}${rules}` }]);
    const two = compilePolicy([{ name: 'y.yaml', text: `# why\n${GATE}\n` }, { name: 'z.yaml', text: rules }]);
    expect(one.version).toMatch(/^sha256:[0-9a-f]{16}$/);
    expect(two.version).toBe(one.version);
    expect(compilePolicy([{ name: 'x.yaml', text: `${GATE}${rules.replace('deny', 'allow')}` }]).version).not.toBe(one.version);
  });
});

it('masking rules are handed on, and a policy without the section has none', () => {
  expect(compilePolicy([{ name: 'a.yaml', text: 'rules: []' }])).toMatchObject({ piiEnabled: false, piiRules: [] });
  expect(compilePolicy([{ name: 'a.yaml', text: 'pii_masking: {rules: [{name: a, regex: x, action: hash}]}' }])).toMatchObject({
    piiEnabled: true,
    piiRules: [{ name: 'a', regex: 'x', action: 'hash' }],
  });
});
