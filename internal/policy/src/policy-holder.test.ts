import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { POLICY_LIMITS } from './limits.ts';
import { loadPolicy } from './load-policy.ts';
import { createPolicyHolder } from './policy-holder.ts';
import { policyOf } from './testing/requests.ts';

function numbered(n: number): { readonly name: string; readonly text: string } {
  return { name: 'p.yaml', text: `rules: [{name: r${n}, effect: deny}]` };
}

describe('R12: runs are pinned to a policy version', () => {
  it('a replaced policy can still be found by its version', () => {
    const first = policyOf('rules: [{name: a, effect: deny}]');
    const holder = createPolicyHolder(first);
    const result = holder.replace([numbered(1)]);
    expect(result).toEqual({ ok: true, version: holder.current().version });
    expect(holder.current().version).not.toBe(first.version);
    expect(holder.byVersion(first.version)).toBe(first);
    expect(holder.byVersion('sha256:0000000000000000')).toBeUndefined();
  });

  it('a reload that fails keeps the policy and says why', () => {
    const first = policyOf('rules: [{name: a, effect: deny}]');
    const holder = createPolicyHolder(first);
    for (const files of [[], [{ name: 'p.yaml', text: 'rulez: []' }]]) {
      expect(holder.replace(files)).toMatchObject({ ok: false, error: { code: 'policy_invalid' } });
      expect(holder.current()).toBe(first);
    }
  });

  it('keeps a bounded number of old versions, and always the current one', () => {
    const first = policyOf('rules: [{name: a, effect: deny}]');
    const holder = createPolicyHolder(first);
    const versions: string[] = [];
    for (let n = 0; n < POLICY_LIMITS.versionsKept + 5; n++) {
      holder.replace([numbered(n)]);
      versions.push(holder.current().version);
    }
    expect(holder.byVersion(first.version)).toBeUndefined();
    expect(versions.filter((version) => holder.byVersion(version) !== undefined)).toHaveLength(POLICY_LIMITS.versionsKept + 1);
    expect(holder.byVersion(holder.current().version)).toBe(holder.current());
  });
});

describe('loading a folder', () => {
  it('reads *.yaml in the order of names and nothing else', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'policy-'));
    try {
      await expect(loadPolicy(dir)).rejects.toThrow(/^No policy loaded/);
      await writeFile(join(dir, 'b.yaml'), 'approval_gates: [{tool_pattern: second, approvers: ["user:b"]}]');
      await writeFile(join(dir, 'a.yaml'), 'approval_gates: [{tool_pattern: first, approvers: ["user:b"]}]');
      await writeFile(join(dir, 'notes.txt'), 'nothing: here');
      const policy = await loadPolicy(dir);
      expect(policy.rules.gates.map((gate) => gate.pattern.source)).toEqual(['first', 'second']);
    } finally {
      await rm(dir, { recursive: true });
    }
  });

  it('refuses a folder that is not there', async () => {
    await expect(loadPolicy('/no/such/folder')).rejects.toMatchObject({ code: 'policy_invalid' });
  });
});
