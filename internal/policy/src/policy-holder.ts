import { toPlatformError } from '@openeaap/kernel';
import type { PlatformError } from '@openeaap/kernel';
import { compilePolicy } from './compile-policy.ts';
import type { CompiledPolicy, PolicyOptions } from './compile-policy.ts';
import { POLICY_LIMITS } from './limits.ts';
import type { PolicyFile } from './yaml-reader.ts';

export type ReplaceResult = { readonly ok: true; readonly version: string } | { readonly ok: false; readonly error: PlatformError };

/** The policy of a running server, and the older ones that runs are pinned to (R12). */
export interface PolicyHolder {
  current(): CompiledPolicy;
  /** The policy of that version; undefined when it was never loaded here or 16 newer ones came since. */
  byVersion(version: string): CompiledPolicy | undefined;
  /** Compiles and takes over, or reports the error and keeps the current policy. Never throws. */
  replace(files: readonly PolicyFile[]): ReplaceResult;
}

export function createPolicyHolder(initial: CompiledPolicy, options: PolicyOptions = {}): PolicyHolder {
  let current = initial;
  // In the order of use: the first is the one to forget.
  const versions = new Map([[initial.version, initial]]);
  return {
    current: () => current,
    byVersion: (version) => versions.get(version),
    replace: (files) => {
      try {
        current = compilePolicy(files, options);
      } catch (thrown) {
        return { ok: false, error: toPlatformError(thrown, 'policy_invalid') };
      }
      versions.delete(current.version);
      versions.set(current.version, current);
      for (const version of versions.keys()) {
        if (versions.size <= POLICY_LIMITS.versionsKept + 1) break;
        versions.delete(version);
      }
      return { ok: true, version: current.version };
    },
  };
}
