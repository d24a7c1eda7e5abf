import type { ApprovalDemand, GovernanceConstraints } from '@openeaap/kernel';
import type { PiiRule } from '@openeaap/security';
import type { IpRange } from './cidr.ts';
import type { CompiledCondition } from './condition/compile.ts';
import type { Glob } from './glob.ts';

/** A policy after parsing: every text is already what it means. All files are merged, in the order of their names. */
export interface PolicyRules {
  readonly piiEnabled: boolean;
  readonly piiRules: readonly PiiRule[];
  readonly gates: readonly Gate[];
  /** null: the policy has no rbac section, which is not the same as one without roles. */
  readonly roles: readonly Role[] | null;
  readonly scopes: readonly Scope[];
  readonly rules: readonly EffectRule[];
  readonly quotas: readonly Quota[];
  readonly constraints: GovernanceConstraints;
  /** Who says what became of a call without a gate whose outcome nobody knows; null: the policy does not say. */
  readonly uncertainOutcome: ApprovalDemand | null;
}

export interface Gate extends ApprovalDemand {
  /** `approval_gates.NAME`, or `approval_gates[INDEX]` when it has no name. */
  readonly id: string;
  readonly pattern: Glob;
  readonly condition: CompiledCondition;
}

export interface Role {
  readonly name: string;
  readonly members: readonly string[];
  readonly tools: readonly Glob[];
  readonly agents: readonly Glob[];
}

export interface Scope {
  readonly name: string;
  readonly pattern: Glob;
  /** As written, e.g. `input.ip`. */
  readonly field: string;
  readonly keys: readonly string[];
  readonly allow: readonly CidrText[];
  readonly deny: readonly CidrText[];
}

export interface CidrText {
  readonly text: string;
  readonly range: IpRange;
}

export interface EffectRule {
  readonly name: string;
  readonly effect: 'allow' | 'deny';
  readonly on: 'think' | 'act' | 'any';
  readonly pattern: Glob;
  readonly condition: CompiledCondition;
  readonly reason: string | null;
}

export type QuotaSubject = 'tenant' | 'user' | 'agent' | 'run' | 'tool';

export interface Quota {
  readonly name: string;
  readonly per: QuotaSubject;
  /** null: calls of every tool count together. */
  readonly pattern: Glob | null;
  /** Each null: not limited by this quota. */
  readonly tokensPerRun: number | null;
  readonly tokensPerDay: number | null;
  readonly callsPerMinute: number | null;
  readonly callsPerDay: number | null;
}
