import type { TokenUsage } from './chat.ts';
import type { Decision } from './decision.ts';
import type { ErrorCode } from './error.ts';
import type { JsonObject, JsonValue } from './json.ts';
import type { LineageRef } from './lineage.ts';
import type { ProposedCall } from './tool.ts';

/**
 * The journal of a run is its steps in order of `no`. It is the whole memory of the run:
 * strategies are pure functions of it, and nothing else survives a crash or needs to.
 */
export type Step = ThinkStep | ActStep;

interface StepBase {
  /** 1, 2, 3 … within the run. */
  readonly no: number;
  readonly id: string;
  /** R12: what the run is pinned to. */
  readonly policyVersion: string;
  readonly agentVersion: string;
  readonly startedAt: Date;
  readonly finishedAt: Date | null;
}

export interface ThinkStep extends StepBase {
  readonly kind: 'think';
  readonly decision: Decision;
  /** `failed`: no usable proposal; the error is shown to the runtime at the next think. */
  readonly status: 'done' | 'failed';
  readonly proposal: Proposal | null;
  readonly error: StepError | null;
  readonly usage: TokenUsage;
  /** Backend that answered, or empty. */
  readonly model: string;
  /** What the strategy wants to find again; small. */
  readonly strategyState: JsonValue;
  /** What the runtime says it did by itself: a claim, not proof. */
  readonly reportedByRuntime: readonly JsonObject[];
}

/** What a runtime wants to happen next: calls, or an answer that ends the run. */
export interface Proposal {
  readonly thought: string;
  readonly calls: readonly ProposedCall[];
  /** The conclusion; set exactly when the run is to end. */
  readonly output: JsonValue | null;
}

export type ActStatus =
  /** Refused before the PDP: unknown tool, or arguments that break its schema. */
  | 'invalid'
  | 'denied'
  | 'waiting_approval'
  /** Decided and committed, not begun. */
  | 'intended'
  /** Begun; without a result after a crash, its outcome is unknown (R4). */
  | 'started'
  | 'waiting_resolution'
  | 'done'
  | 'failed'
  | 'rejected'
  | 'expired'
  /** Allowed in a dry run: what would have been done is recorded, nothing was. */
  | 'dry_run';

export interface ActStep extends StepBase {
  readonly kind: 'act';
  /** The think that proposed it. */
  readonly thinkNo: number;
  readonly callId: string;
  readonly tool: string;
  /** What is run: the proposed arguments, or those of an approver's edit. */
  readonly args: JsonValue;
  readonly decision: Decision | null;
  readonly approvalId: string | null;
  readonly status: ActStatus;
  readonly attempts: number;
  /** Knowledge that the result came from. */
  readonly lineage: readonly LineageRef[];
  readonly result: JsonValue | null;
  /** The result looked like an attempt to give the agent instructions. */
  readonly suspicious: boolean;
  readonly error: StepError | null;
}

export interface StepError {
  readonly code: ErrorCode;
  readonly message: string;
}

const SETTLED: ReadonlySet<ActStatus> = new Set(['invalid', 'denied', 'done', 'failed', 'rejected', 'expired', 'dry_run']);

/** A settled act has an outcome that the runtime can be told. */
export function isSettled(act: ActStep): boolean {
  return SETTLED.has(act.status);
}

/** What the runtime is told of a settled act: always JSON with either `output` or `error`. */
export function toObservation(act: ActStep): JsonObject {
  if (act.status === 'done' || act.status === 'dry_run') return { output: act.result };
  const message = act.error?.message ?? `The call ended as ${act.status}.`;
  return { error: { code: act.error?.code ?? 'internal', message } };
}
