import { PlatformError } from '@openeaap/kernel';
import { describe, expect, it, test } from 'vitest';
import { compilePolicy } from './compile-policy.ts';
import { decide } from './decide.ts';
import { act, policyOf, thrownBy } from './testing/requests.ts';

const GATE = 'approval_gates:\n  - tool_pattern: "x"\n    approvers: ["group:a"]\n    timeout: 1h\n';
const MINUTE_MS = 60_000;

function refusal(text: string): string {
  const thrown = thrownBy(() => compilePolicy([{ name: 'p.yaml', text }]));
  return thrown instanceof PlatformError && thrown.code === 'policy_invalid' ? thrown.message : '';
}

function demandOf(lines: string): unknown {
  const decision = decide(policyOf(`${GATE}${lines}`), act('x'));
  return decision.effect === 'require_approval' ? decision.approval : decision;
}

describe('approval_gates: how many, and who else', () => {
  test.each([
    ['nothing said', '', { minApprovals: 1, escalation: [] }],
    ['two people', '    min_approvals: 2\n', { minApprovals: 2 }],
    ['a duration', '    escalation: {after: 30m, approvers: ["group:leads"]}\n', { escalation: [{ afterMs: 30 * MINUTE_MS, approvers: ['group:leads'] }] }],
    ['a part of the timeout', '    escalation: {after: "50%", approvers: ["user:ciso"]}\n', { escalation: [{ afterMs: 30 * MINUTE_MS, approvers: ['user:ciso'] }] }],
    ['99 percent', '    escalation: {after: "99%", approvers: ["user:ciso"]}\n', { escalation: [{ afterMs: 3_564_000 }] }],
    [
      'two stages',
      '    escalation:\n      - {after: "50%", approvers: ["group:leads"]}\n      - {after: 45m, approvers: ["user:ciso"]}\n',
      { escalation: [{ afterMs: 30 * MINUTE_MS, approvers: ['group:leads'] }, { afterMs: 45 * MINUTE_MS, approvers: ['user:ciso'] }] },
    ],
  ])('%s', (_name, lines, demand) => {
    expect(demandOf(lines)).toMatchObject({ approvers: ['group:a'], timeoutMs: 60 * MINUTE_MS, forbidRequester: false, ...demand });
  });

  it('says in the reason how many are needed', () => {
    expect(decide(policyOf(`${GATE}    min_approvals: 3\n`), act('x'))).toMatchObject({ reason: "The tool 'x' needs 3 approvals by group:a." });
  });

  test.each([
    ['nobody', '    min_approvals: 0\n', 'p.yaml:5:20: min_approvals must be a whole number of at least 1'],
    ['half a person', '    min_approvals: 1.5\n', 'p.yaml:5:20: min_approvals must be a whole number'],
    ['a text', '    min_approvals: "2"\n', 'p.yaml:5:20: min_approvals must be a whole number'],
    ['too many', '    min_approvals: 21\n', 'p.yaml:5:20: min_approvals is 21; at most 20 people can be asked for'],
    ['another spelling', '    min_approvers: 2\n', "'min_approvers' is no key of an approval gate (did you mean 'min_approvals'?)"],
    ['an escalation without a time', '    escalation: {approvers: ["group:b"]}\n', "p.yaml:5:17: 'after' is missing here"],
    ['an escalation to nobody', '    escalation: {after: 30m}\n', "p.yaml:5:17: 'approvers' is missing here"],
    ['an escalation to an empty list', '    escalation: {after: 30m, approvers: []}\n', 'p.yaml:5:41: approvers needs at least one entry'],
    ['an escalation to everyone', '    escalation: {after: 30m, approvers: ["*"]}\n', "'*' is nobody"],
    ['an unknown key', '    escalation: {afer: 30m, approvers: ["group:b"]}\n', "p.yaml:5:18: 'afer' is no key of an escalation (did you mean 'after'?)"],
    ['no time at all', '    escalation: {after: soon, approvers: ["group:b"]}\n', "p.yaml:5:25: 'soon' is neither a duration nor a part of the timeout; write for example 30m or 50%"],
    ['0 percent', '    escalation: {after: "0%", approvers: ["group:b"]}\n', 'p.yaml:5:25: \'0%\' is neither'],
    ['100 percent', '    escalation: {after: "100%", approvers: ["group:b"]}\n', 'p.yaml:5:25: \'100%\' is neither'],
    ['at the timeout', '    escalation: {after: 1h, approvers: ["group:b"]}\n', "p.yaml:5:25: '1h' is not before the timeout of 3600 s"],
    ['out of order', '    escalation: [{after: 30m, approvers: ["group:b"]}, {after: "50%", approvers: ["group:c"]}]\n', "p.yaml:5:64: '50%' is not after the stage before it"],
    ['a word', '    escalation: leads\n', 'p.yaml:5:17: an escalation must be a map with after, approvers'],
    ['too many stages', `    escalation: [${Array.from({ length: 6 }, (_, n) => `{after: ${n + 1}m, approvers: ["group:b"]}`).join(', ')}]\n`, 'escalation has 6 stages; at most 5'],
  ])('refuses %s', (_name, lines, message) => {
    expect(refusal(`${GATE}${lines}`)).toContain(message);
  });

  it('refuses a number that the people who are named can never reach', () => {
    const gate = (approvers: string, more = ''): string => `approval_gates:\n  - tool_pattern: x\n    approvers: ${approvers}\n    min_approvals: 2\n${more}`;
    expect(refusal(gate('["user:bob", "user:bob"]'))).toBe('p.yaml:4:20: min_approvals is 2, but approvers and escalation name 1 person; name a group, or more people');
    expect(refusal(gate('["user:bob", "user:carol"]'))).toBe('');
    expect(refusal(gate('["user:bob"]', '    escalation: {after: 10m, approvers: ["user:carol"]}\n'))).toBe('');
    expect(refusal(gate('["group:two"]'))).toBe('');
  });
});

describe('uncertain_outcome', () => {
  it('names who says what became of a call without a gate, for 30 days unless it says otherwise', () => {
    expect(policyOf('uncertain_outcome: {approvers: ["group:sre"]}\n').rules.uncertainOutcome).toEqual({ approvers: ['group:sre'], timeoutMs: 2_592_000_000, forbidRequester: false, minApprovals: 1, escalation: [] });
    expect(policyOf('uncertain_outcome: {approvers: ["*"], timeout: 2d, forbid_requester: true, min_approvals: 2, escalation: {after: 1d, approvers: ["group:leads"]}}\n').rules.uncertainOutcome).toEqual({
      approvers: ['*'],
      timeoutMs: 172_800_000,
      forbidRequester: true,
      minApprovals: 2,
      escalation: [{ afterMs: 86_400_000, approvers: ['group:leads'] }],
    });
    expect(policyOf('rules: []\n').rules.uncertainOutcome).toBeNull();
  });

  it('is refused with its place when it is wrong, and when two files have it', () => {
    expect(refusal('uncertain_outcome:\n  timeout: 1h\n')).toBe("p.yaml:2:3: 'approvers' is missing here");
    expect(refusal('uncertain_outcome:\n  approver: ["group:a"]\n')).toContain("p.yaml:2:3: 'approver' is no key of uncertain_outcome (did you mean 'approvers'?)");
    const text = 'uncertain_outcome: {approvers: ["group:a"]}\n';
    expect(() => compilePolicy([{ name: 'a.yaml', text }, { name: 'b.yaml', text }])).toThrow(/^b\.yaml:1:20: another file has uncertain_outcome already/);
  });
});

describe('the version of a policy', () => {
  it('changes with what is said, and stays what it was where nothing new is said', () => {
    const one = policyOf(GATE).version;
    expect(policyOf(`${GATE}    min_approvals: 1\n`).version).toBe(one);
    // Runs that wait are pinned to this: the text that the hash is made of must not change for policies that say nothing new.
    expect(one).toBe('sha256:f3f3b4944b7f0b69');
    const others = ['    min_approvals: 2\n', '    escalation: {after: 30m, approvers: ["group:b"]}\n', '    escalation: {after: 31m, approvers: ["group:b"]}\n', 'uncertain_outcome: {approvers: ["group:b"]}\n'].map((more) => policyOf(`${GATE}${more}`).version);
    expect(new Set([one, ...others]).size).toBe(5);
  });
});
