import { readFile } from 'node:fs/promises';
import type { DecisionRequest } from '@openeaap/kernel';
import { describe, expect, it } from 'vitest';
import { compilePolicy } from './compile-policy.ts';
import type { CompiledPolicy } from './compile-policy.ts';
import { decide } from './decide.ts';
import { loadPolicy } from './load-policy.ts';
import { mayUse, toolsFor } from './may-use.ts';
import { act, policyOf, think } from './testing/requests.ts';

const POLICIES = new URL('../../../policies/', import.meta.url).pathname;
const HOUR_MS = 3_600_000;

async function documentPolicy(): Promise<CompiledPolicy> {
  return compilePolicy([{ name: 'security.yaml', text: await readFile(`${POLICIES}security.yaml`, 'utf8') }]);
}

describe('the security.yaml of the document, word by word', () => {
  it('asks the SRE leads about rm and shutdown, for one hour', async () => {
    const policy = await documentPolicy();
    for (const cmd of ['rm -rf /', 'sudo shutdown now']) {
      expect(decide(policy, act('exec_shell_command', { cmd }))).toEqual({
        effect: 'require_approval',
        rule: 'approval_gates[1]',
        reason: "The tool 'exec_shell_command' needs an approval by group:sre-leads.",
        policyVersion: policy.version,
        approval: { approvers: ['group:sre-leads'], timeoutMs: HOUR_MS, forbidRequester: false, minApprovals: 1, escalation: [] },
        reservations: [],
      });
    }
  });

  it('denies ls, which nothing allows', async () => {
    expect(decide(await documentPolicy(), act('exec_shell_command', { cmd: 'ls' }))).toMatchObject({ effect: 'deny', rule: 'default' });
  });

  it('asks when the command cannot be seen', async () => {
    expect(decide(await documentPolicy(), act('exec_shell_command', {}))).toMatchObject({ effect: 'require_approval' });
    expect(decide(await documentPolicy(), act('exec_shell_command', { cmd: ['rm'] }))).toMatchObject({ effect: 'require_approval' });
  });

  it('asks security-ops about every block, for one hour', async () => {
    expect(decide(await documentPolicy(), act('firewall_block_ip', { ip: '1.2.3.4' }))).toMatchObject({
      effect: 'require_approval',
      rule: 'approval_gates[0]',
      approval: { approvers: ['group:security-ops'], timeoutMs: HOUR_MS },
    });
  });

  it('masks by the rules of the document', async () => {
    expect(await documentPolicy()).toMatchObject({
      piiEnabled: true,
      piiRules: [
        { name: 'phone_number', regex: '\\b\\d{11}\\b', action: 'mask' },
        { name: 'aws_ak', regex: '(AKIA|ASIA)[0-9A-Z]{16}', action: 'redact' },
      ],
    });
  });
});

describe('the policies folder', () => {
  it('lets an analyst investigate, asks about a block, and refuses our own networks', async () => {
    const policy = await loadPolicy(POLICIES);
    expect(decide(policy, act('cmdb_lookup', { ip: '10.0.0.5' }))).toMatchObject({ effect: 'allow', rule: 'rbac.soc-analyst' });
    expect(decide(policy, act('firewall_block_ip', { ip: '1.2.3.4' }))).toMatchObject({
      effect: 'require_approval',
      rule: 'approval_gates[0]',
      reservations: [{ quota: 'blocks-per-minute', counter: 'user:alice/calls:firewall_block_ip/2026-11-22T10:05', unit: 'calls', amount: 1, limit: 10, expiresAt: new Date('2026-11-22T10:06:00Z') }],
    });
    for (const ip of ['10.0.0.5', '127.0.0.1', '::1', '192.168.1.1/32', '0.0.0.0/0', '::/0', '::ffff:10.0.0.1', '0x0a.0.0.5', '8.8.8.8, 10.0.0.1', 167_772_165, null]) {
      expect(decide(policy, act('firewall_block_ip', { ip }))).toMatchObject({ effect: 'deny', rule: 'scopes.firewall-public-only' });
    }
    expect(decide(policy, act('firewall_block_ip', {}))).toMatchObject({ effect: 'deny', rule: 'scopes.firewall-public-only' });
    expect(decide(policy, act('exec_shell_command', { cmd: 'rm' }))).toMatchObject({ effect: 'deny', rule: 'rbac' });
  });

  it('lets nobody else in, not even to think', async () => {
    const policy = await loadPolicy(POLICIES);
    const guest = { principal: { tenantId: 't1', userId: 'bob', groups: ['sales'], clearance: 1 } } as const;
    expect(decide(policy, act('cmdb_lookup', {}, guest))).toMatchObject({ effect: 'deny', rule: 'rbac' });
    expect(decide(policy, think(guest))).toMatchObject({ effect: 'deny', rule: 'rbac' });
  });

  it('reserves the tokens of a think and stops a run that has used its own', async () => {
    const policy = await loadPolicy(POLICIES);
    expect(decide(policy, think({}, 800))).toMatchObject({
      effect: 'allow',
      rule: 'rbac.soc-analyst',
      reservations: [{ quota: 'tokens-per-user-day', counter: 'user:alice/tokens/2026-11-22', unit: 'tokens', amount: 800, limit: 2_000_000, expiresAt: new Date('2026-11-23T00:00:00Z') }],
    });
    const nearly = { run: { id: 'r', stepNo: 1, tokensUsed: 199_900 } };
    expect(decide(policy, think(nearly, 800))).toMatchObject({ effect: 'allow', constraints: { maxTokens: 100 }, reservations: [{ amount: 100 }] });
    const full = { run: { id: 'r', stepNo: 1, tokensUsed: 200_001 } };
    expect(decide(policy, think(full))).toMatchObject({ effect: 'deny', rule: 'quota.tokens-per-run' });
    expect(decide(policy, act('cmdb_lookup', {}, full))).toMatchObject({ effect: 'deny', rule: 'quota.tokens-per-run' });
  });
});

const ALICE_ROLE = 'rbac: {roles: [{name: r, members: ["user:alice"], tools: ["net_*"], agents: ["tri*"]}]}\n';
const GATE_ALL = 'approval_gates: [{name: g, tool_pattern: "*", approvers: ["user:boss"], timeout: 90s, forbid_requester: true}]\n';

describe('the order of rules', () => {
  it('R9: a policy without rules denies every act', () => {
    expect(decide(policyOf('rules: []'), act('anything'))).toMatchObject({ effect: 'deny', rule: 'default' });
    expect(decide(policyOf('pii_masking: {enabled: true}'), act('anything'))).toMatchObject({ effect: 'deny', rule: 'default' });
    expect(decide(policyOf('rbac: {roles: []}'), think())).toMatchObject({ effect: 'deny', rule: 'rbac' });
  });

  it('a deny rule beats a gate, a role and an allow rule', () => {
    const policy = policyOf(`${ALICE_ROLE}${GATE_ALL}rules:\n  - {name: yes, effect: allow}\n  - {name: no, effect: deny, tool_pattern: "net_*", reason: "Not today."}\n`);
    expect(decide(policy, act('net_scan'))).toMatchObject({ effect: 'deny', rule: 'rules.no', reason: 'Not today.' });
  });

  it('a role is needed before a gate is asked, and an allow rule is no substitute', () => {
    const policy = policyOf(`${ALICE_ROLE}${GATE_ALL}rules: [{name: yes, effect: allow}]\n`);
    expect(decide(policy, act('disk_wipe'))).toMatchObject({ effect: 'deny', rule: 'rbac' });
    expect(decide(policy, act('net_scan', {}, { agent: { id: 'a', name: 'other', version: '1' } }))).toMatchObject({ effect: 'deny', rule: 'rbac' });
    expect(decide(policy, act('net_scan'))).toMatchObject({ effect: 'require_approval', rule: 'approval_gates.g', approval: { timeoutMs: 90_000, forbidRequester: true } });
  });

  it('a gate beats an allow rule, and the first gate that matches decides', () => {
    const policy = policyOf(
      'approval_gates:\n  - {name: a, tool_pattern: "x*", condition: "input.n > 5", approvers: ["group:a"]}\n  - {name: b, tool_pattern: x, approvers: ["group:b"]}\nrules: [{name: yes, effect: allow}]\n',
    );
    expect(decide(policy, act('x', { n: 9 }))).toMatchObject({ rule: 'approval_gates.a' });
    expect(decide(policy, act('x', { n: 1 }))).toMatchObject({ rule: 'approval_gates.b' });
    expect(decide(policy, act('y', { n: 1 }))).toMatchObject({ effect: 'allow', rule: 'rules.yes' });
  });

  it('a missing field makes deny rules and gates apply, and allow rules not', () => {
    expect(decide(policyOf('rules: [{name: a, effect: allow}, {name: d, effect: deny, condition: "input.env == \'prod\'"}]'), act('x'))).toMatchObject({ effect: 'deny', rule: 'rules.d' });
    expect(decide(policyOf('rules: [{name: a, effect: allow, condition: "not input.env == \'prod\'"}]'), act('x'))).toMatchObject({ effect: 'deny', rule: 'default' });
    expect(decide(policyOf('rules: [{name: a, effect: allow}]\napproval_gates: [{tool_pattern: x, condition: "input.env == 1", approvers: ["user:b"]}]'), act('x'))).toMatchObject({ effect: 'require_approval' });
  });

  it('blocked tools are blocked, and constraints travel with what is allowed', () => {
    const policy = policyOf('constraints: {blocked_tools: [rm], dry_run: true, max_tokens: 50}\nrules: [{name: a, effect: allow}]');
    expect(decide(policy, act('rm'))).toMatchObject({ effect: 'deny', rule: 'constraints.blocked_tools' });
    expect(decide(policy, act('ls'))).toMatchObject({ effect: 'allow', constraints: { blockedTools: ['rm'], dryRun: true, maxTokens: 50 } });
    expect(decide(policy, think())).toMatchObject({ effect: 'allow', rule: 'think.default', constraints: { maxTokens: 50 } });
  });

  it('rules on taint reach thinks and acts', () => {
    const policy = policyOf('rules: [{name: tainted, effect: deny, on: any, condition: taint.injection}, {name: a, effect: allow}]');
    const taint = { untrusted: true, injection: true };
    expect(decide(policy, think({ taint }))).toMatchObject({ effect: 'deny', rule: 'rules.tainted' });
    expect(decide(policy, act('x', {}, { taint }))).toMatchObject({ effect: 'deny', rule: 'rules.tainted' });
    expect(decide(policy, think())).toMatchObject({ effect: 'allow' });
    expect(decide(policy, act('x'))).toMatchObject({ effect: 'allow' });
  });

  it('two quotas on one counter take from it once, the smaller limit holds', () => {
    const policy = policyOf('quotas: [{name: a, calls_per_day: 9, calls_per_minute: 3}, {name: b, calls_per_day: 5}, {name: c, per: tool, calls_per_day: 7}]\nrules: [{name: y, effect: allow}]');
    expect(decide(policy, act('x'))).toMatchObject({
      reservations: [
        { quota: 'a', counter: 'user:alice/calls/2026-11-22T10:05', limit: 3 },
        { quota: 'b', counter: 'user:alice/calls/2026-11-22', limit: 5 },
        { quota: 'c', counter: 'tool:x/calls/2026-11-22', limit: 7 },
      ],
    });
  });

  it('a scope looks at every entry of a list', () => {
    const policy = policyOf('scopes: [{name: test-net, tool_pattern: x, field: input.target.ips, allow_cidr: ["192.0.2.0/24"]}]\nrules: [{name: y, effect: allow}]');
    expect(decide(policy, act('x', { target: { ips: ['192.0.2.1', '192.0.2.128/25'] } }))).toMatchObject({ effect: 'allow' });
    for (const ips of [['192.0.2.1', '8.8.8.8'], [], ['192.0.2.0/23'], [['192.0.2.1']]]) {
      expect(decide(policy, act('x', { target: { ips } }))).toMatchObject({ effect: 'deny', rule: 'scopes.test-net' });
    }
  });
});

describe('the list of tools', () => {
  it('leaves out what a user has no right to', async () => {
    const policy = await loadPolicy(POLICIES);
    const analyst = { principal: { userId: 'alice', groups: ['soc-analysts'] }, agent: { name: 'triage' } };
    expect(toolsFor(policy, analyst, ['cmdb_lookup', 'exec_shell_command', 'firewall_block_ip'])).toEqual(['cmdb_lookup', 'firewall_block_ip']);
    expect(toolsFor(policy, { ...analyst, principal: { userId: 'bob', groups: [] } }, ['cmdb_lookup'])).toEqual([]);
  });

  it('without rbac: what a gate or an allow rule may open', () => {
    const user = { principal: { userId: 'a', groups: [] }, agent: { name: 't' } };
    const policy = policyOf('constraints: {blocked_tools: [c]}\nrules: [{name: 1a, effect: allow, tool_pattern: "?"}, {name: 2a, effect: deny, tool_pattern: d}, {name: 3a, effect: allow, tool_pattern: nn, condition: never}]');
    expect(['a', 'b', 'c', 'd', 'nn', 'other'].filter((tool) => mayUse(policy, user, tool))).toEqual(['a', 'b']);
  });
});

describe('R9: decide is total', () => {
  const policy = policyOf(`rules:
  - {name: all, effect: allow, on: any}
  - {name: every, effect: allow}
  - {name: d, effect: deny, condition: "input.a matches 'x+' and input.b in_cidr '10.0.0.0/8' and size(user.groups) > 9"}
scopes: [{name: s, tool_pattern: "s*", field: input.ip, deny_cidr: ["10.0.0.0/8"]}]
approval_gates: [{tool_pattern: "g*", condition: "input.n > 1", approvers: ["user:x"]}]
quotas: [{name: q, tokens_per_day: 5, calls_per_minute: 2}]`);

  it('garbage is denied and never throws', () => {
    const random = createRandom(42);
    for (let i = 0; i < 5_000; i++) {
      const decision = decide(policy, garble(act('x', {}), random));
      expect(decision.effect).toBe('deny');
    }
  });

  it('whatever the arguments are, the answer is one of three', () => {
    const random = createRandom(7);
    for (let i = 0; i < 5_000; i++) {
      const input = { a: garbage(random, 3), b: garbage(random, 3), ip: garbage(random, 3), n: garbage(random, 3) } as never;
      expect(['allow', 'deny', 'require_approval']).toContain(decide(policy, act('sg'[i % 2] ?? 's', input)).effect);
    }
  });

  it('hostile objects are denied', () => {
    const throwing = new Proxy({}, { get: () => { throw new Error('trap'); }, ownKeys: () => { throw new Error('trap'); }, getOwnPropertyDescriptor: () => { throw new Error('trap'); } });
    expect(decide(policy, throwing as DecisionRequest)).toMatchObject({ effect: 'deny', rule: 'pdp.error' });
    expect(decide(policy, act('s1', throwing as never))).toMatchObject({ effect: 'deny' });
    let deep: unknown = 1;
    for (let i = 0; i < 100_000; i++) deep = [deep];
    const equality = policyOf('rules: [{name: y, effect: allow}, {name: d, effect: deny, condition: "input.a == input.b"}]');
    expect(decide(equality, act('x', { a: deep, b: structuredCopy(100_000) } as never))).toMatchObject({ effect: 'deny' });
  });
});

function structuredCopy(depth: number): unknown {
  let value: unknown = 1;
  for (let i = 0; i < depth; i++) value = [value];
  return value;
}

type Random = () => number;

function createRandom(seed: number): Random {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

const ODD: readonly unknown[] = [undefined, null, Number.NaN, -1, Infinity, '', [], {}, [null], Symbol('x'), () => 'x', 10n, true, new Date(Number.NaN), Object.create(null), '__proto__'];

function garbage(random: Random, depth: number): unknown {
  const pick = ODD[Math.floor(random() * ODD.length)];
  if (depth === 0 || random() < 0.5) return pick;
  return random() < 0.5 ? [garbage(random, depth - 1)] : { a: garbage(random, depth - 1), [String(random())]: pick };
}

/** A request in which one required thing is what it must not be. */
function garble(request: DecisionRequest, random: Random): DecisionRequest {
  const paths: readonly (readonly string[])[] = [
    ['kind'], ['principal'], ['agent'], ['run'], ['taint'], ['now'], ['tool'],
    ['principal', 'userId'], ['principal', 'tenantId'], ['principal', 'clearance'], ['agent', 'id'], ['agent', 'name'], ['run', 'id'],
    ['tool', 'name'], ['tool', 'effect'], ['tool', 'version'],
  ];
  const [first = 'kind', second] = paths[Math.floor(random() * paths.length)] ?? [];
  const copy = { ...request } as Record<string, unknown>;
  const odd = [undefined, null, Number.NaN, -1, [], '', {}, true, 10n, Symbol('x')][Math.floor(random() * 10)];
  copy[first] = second === undefined ? odd : { ...(copy[first] as object), [second]: odd };
  return copy as unknown as DecisionRequest;
}
