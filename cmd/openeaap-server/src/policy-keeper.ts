import { createHash } from 'node:crypto';
import type { Masker, Scanner } from '@openeaap/security';
import { createMasker, createScanner, detectInjection } from '@openeaap/security';
import type { JsonValue } from '@openeaap/kernel';
import { PlatformError } from '@openeaap/kernel';
import type { PinnedPolicy, PolicyPort } from '@openeaap/orchestrator';
import type { CompiledPolicy, PolicyFile } from '@openeaap/policy';
import { compilePolicy, createPolicyHolder, decide, mayUse, readPolicyFiles } from '@openeaap/policy';

/** The policy of this server, the older ones that runs are pinned to, and the masking that follows from it. */
export interface PolicyKeeper {
  readonly port: PolicyPort;
  readonly current: () => CompiledPolicy;
  readonly info: () => { readonly version: string; readonly loadedAt: Date; readonly files: readonly { readonly name: string; readonly sha256: string }[] };
  /** `record` writes down the change before it holds. Errors: policy_invalid, or those of `record`; the old policy stays. */
  readonly reload: (record: (result: PolicyReload) => Promise<void>) => Promise<PolicyReload>;
  /** The policy's own rules: for what is stored with a run. */
  readonly mask: (value: JsonValue) => JsonValue;
  readonly maskText: (text: string) => string;
  /** The policy's rules and every built-in recogniser: for the audit and the log. */
  readonly auditMasker: () => Masker;
  /** What the audit's masker would mask, for whoever puts something else in its place: one for each policy. */
  readonly scanner: () => Scanner;
  readonly looksLikeInjection: (text: string) => boolean;
}

export interface PolicyReload {
  readonly version: string;
  readonly changed: boolean;
}

export interface PolicyKeeperOptions {
  readonly dir: string;
  readonly hashKey: string;
  readonly save: (version: string, files: readonly PolicyFile[]) => Promise<void>;
  readonly read: (tenantId: string, version: string) => Promise<readonly PolicyFile[] | null>;
  readonly now: () => Date;
}

/** R9: without a policy this rejects, and the server does not start. */
export async function createPolicyKeeper(options: PolicyKeeperOptions): Promise<PolicyKeeper> {
  let files = await readPolicyFiles(options.dir);
  const holder = createPolicyHolder(compilePolicy(files));
  await options.save(holder.current().version, files);
  let loadedAt = options.now();
  let maskers = createMaskers(holder.current(), options.hashKey);

  return {
    port: {
      currentVersion: () => holder.current().version,
      load: async (tenantId, version) => {
        const held = holder.byVersion(version);
        if (held !== undefined) return toPinned(held);
        const stored = await options.read(tenantId, version);
        // One that cannot be compiled any more is as good as gone: what is asked of it is denied.
        return stored === null ? null : toPinnedIfValid(stored);
      },
    },
    current: () => holder.current(),
    info: () => ({
      version: holder.current().version,
      loadedAt,
      files: files.map((file) => ({ name: file.name, sha256: createHash('sha256').update(file.text).digest('hex') })),
    }),
    reload: async (record) => {
      const before = holder.current().version;
      const next = await readPolicyFiles(options.dir);
      const compiled = compilePolicy(next);
      // Everything that can fail comes before the old policy is given up.
      const nextMaskers = createMaskers(compiled, options.hashKey);
      const result = { version: compiled.version, changed: compiled.version !== before };
      await options.save(compiled.version, next);
      await record(result);
      holder.replace(next);
      files = next;
      loadedAt = options.now();
      maskers = nextMaskers;
      return result;
    },
    mask: (value) => maskers.stored.maskJson(value),
    maskText: (text) => maskers.stored.maskText(text),
    auditMasker: () => maskers.audit,
    scanner: () => maskers.scanner,
    looksLikeInjection: (text) => detectInjection(text).suspicious,
  };
}

function toPinned(policy: CompiledPolicy): PinnedPolicy {
  return {
    version: policy.version,
    decide: (request) => decide(policy, request),
    uncertainOutcome: policy.rules.uncertainOutcome,
    mayUse: (principal, agent, tool) => mayUse(policy, { principal, agent }, tool),
  };
}

function toPinnedIfValid(files: readonly PolicyFile[]): PinnedPolicy | null {
  try {
    return toPinned(compilePolicy(files));
  } catch {
    return null;
  }
}

function createMaskers(policy: CompiledPolicy, hashKey: string): { readonly stored: Masker; readonly audit: Masker; readonly scanner: Scanner } {
  if (!policy.piiEnabled) throw new PlatformError('policy_invalid', 'There is no section pii_masking with enabled: true. Masking cannot be switched off; keep the section and leave rules out instead.');
  const options = { policyRules: policy.piiRules, hashKey };
  return { stored: createMasker({ ...options, builtin: false }), audit: createMasker({ ...options, builtin: true }), scanner: createScanner({ policyRules: policy.piiRules, builtin: true }) };
}
