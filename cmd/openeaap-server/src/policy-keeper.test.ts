import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { DecisionRequest } from '@openeaap/kernel';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { PolicyKeeper } from './policy-keeper.ts';
import { createPolicyKeeper } from './policy-keeper.ts';

const PII = 'pii_masking:\n  enabled: true\n  rules: []\n';
const GATED = `${PII}approval_gates:\n  - {tool_pattern: firewall_block_ip, condition: always, approvers: ["group:security-ops"]}\n`;
const OPEN = 'rules:\n  - {name: open, effect: allow, on: act, tool_pattern: "*", condition: always}\n';

const REQUEST: DecisionRequest = {
  kind: 'act',
  principal: { tenantId: 't', userId: 'u', groups: [], clearance: 1 },
  agent: { id: 'a', name: 'a', version: '1' },
  run: { id: 'r', stepNo: 1, tokensUsed: 0 },
  taint: { untrusted: false, injection: false },
  now: new Date(),
  tool: { name: 'firewall_block_ip', version: '1', effect: 'destructive' },
  input: {},
};

let dir: string;
let keeper: PolicyKeeper;
const recorded: string[] = [];
const record = async (result: { readonly version: string }): Promise<void> => void recorded.push(result.version);
const effect = async (): Promise<string | undefined> => (await keeper.port.load('t', keeper.port.currentVersion()))?.decide(REQUEST).effect;
const write = (text: string): Promise<void> => writeFile(path.join(dir, 'policy.yaml'), text);

beforeEach(async () => {
  dir = await mkdtemp(path.join(tmpdir(), 'openeaap-policy-'));
  recorded.length = 0;
  await write(GATED);
  keeper = await createPolicyKeeper({ dir, hashKey: 'a key of these tests', save: async () => undefined, read: async () => null, now: () => new Date() });
});
afterEach(() => rm(dir, { recursive: true, force: true }));

describe('policy keeper', () => {
  test.each([
    ['that does not compile', 'approval_gates: 7\n'],
    ['without masking', OPEN],
    ['with masking switched off', `pii_masking:\n  enabled: false\n  rules: []\n${OPEN}`],
  ])('a policy %s is refused, and the old one decides on', async (_name, text) => {
    const before = keeper.port.currentVersion();
    await write(text);
    await expect(keeper.reload(record)).rejects.toMatchObject({ code: 'policy_invalid' });
    expect(keeper.port.currentVersion()).toBe(before);
    expect(await effect()).toBe('require_approval');
    expect(recorded).toEqual([]);
  });

  test('a change that cannot be written down does not hold', async () => {
    await write(`${PII}${OPEN}`);
    await expect(keeper.reload(() => Promise.reject(new Error('the audit is away')))).rejects.toThrow('the audit is away');
    expect(await effect()).toBe('require_approval');
  });

  test('a good policy holds once it is written down; runs pinned to the old one keep it', async () => {
    const old = keeper.port.currentVersion();
    await write(`${PII}${OPEN}`);
    expect(await keeper.reload(record)).toEqual({ version: keeper.port.currentVersion(), changed: true });
    expect(recorded).toEqual([keeper.port.currentVersion()]);
    expect(await effect()).toBe('allow');
    expect((await keeper.port.load('t', old))?.decide(REQUEST).effect).toBe('require_approval');
  });

  test('a version that is gone, or cannot be compiled any more, is no policy', async () => {
    expect(await keeper.port.load('t', 'sha256:gone')).toBeNull();
    const later = await createPolicyKeeper({ dir, hashKey: 'a key of these tests', save: async () => undefined, read: async () => [{ name: 'old.yaml', text: 'approval_gates: 7' }], now: () => new Date() });
    expect(await later.port.load('t', 'sha256:old')).toBeNull();
  });
});
