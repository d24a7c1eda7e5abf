import { generateKeyPairSync } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

/** Gates for both blocks, and a quota that is taken from but never used up. */
const POLICY = `pii_masking:
  enabled: true
  rules: []
approval_gates:
  - tool_pattern: "firewall_block_*"
    condition: "input.ip startswith '45.1.' or input.ip startswith '45.3.'"
    approvers: ["group:security-ops"]
    timeout: "1h"
rbac:
  roles:
    - name: "analyst"
      members: ["group:security-ops"]
      tools: ["*"]
      agents: ["*"]
quotas:
  - name: "blocks"
    per: user
    tool_pattern: "firewall_block_*"
    calls_per_day: 1000000
`;

/** Addresses whose block waits for a person. All others are blocked at once. */
export const GATED = '45.1.';
/** Gated too, and the person says no. */
export const REJECTED = '45.3.';

export const AGENT = 'worker';
export const AGENT_CONFIGURATION = { tools: ['check_ip_reputation', 'calculator', 'firewall_block_ip', 'firewall_block_once'], max_steps: 60 };

/** What the nodes of one installation have in common. */
export interface Installation {
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly remove: () => Promise<void>;
}

export async function createInstallation(): Promise<Installation> {
  const folder = await mkdtemp(path.join(tmpdir(), 'openeaap-chaos-'));
  const keyFile = path.join(folder, 'audit.pem');
  await writeFile(path.join(folder, 'chaos.yaml'), POLICY);
  await writeFile(keyFile, generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
  return {
    args: ['--policy-dir', folder],
    env: {
      OPENEAAP_AUDIT_KEY_FILE: keyFile,
      OPENEAAP_ADMIN_KEY: 'oea_key-of-the-chaos',
      OPENEAAP_MASKING_KEY: 'masking-key-of-the-chaos',
      LOG_LEVEL: 'warn',
      NODE_OPTIONS: `--import=${path.join(import.meta.dirname, 'once-tool/register.mjs')}`,
    },
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}
