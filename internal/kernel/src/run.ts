import type { TokenUsage } from './chat.ts';
import type { ErrorCode } from './error.ts';
import type { JsonValue } from './json.ts';
import type { Principal } from './principal.ts';
import type { Priority } from './priority.ts';

export type RunStatus = 'pending' | 'running' | 'paused' | 'completed' | 'failed' | 'cancelled';

/** The legal transitions; the store refuses all others. */
export const TRANSITIONS: Readonly<Record<RunStatus, readonly RunStatus[]>> = {
  pending: ['running', 'cancelled'],
  /** `running` to `running`: another node took over a dead node's run. */
  running: ['running', 'paused', 'completed', 'failed', 'cancelled'],
  paused: ['running', 'cancelled'],
  completed: [],
  failed: [],
  cancelled: [],
};

export const TERMINAL: ReadonlySet<RunStatus> = new Set(['completed', 'failed', 'cancelled']);
export const RUN_STATUSES = Object.keys(TRANSITIONS) as readonly RunStatus[];

export const isTerminal = (status: RunStatus): boolean => TERMINAL.has(status);
export const canTransition = (from: RunStatus, to: RunStatus): boolean => TRANSITIONS[from].includes(to);

/** One job of one agent. Pinned to an agent version and a policy version (R12). */
export interface Run {
  readonly tenantId: string;
  readonly id: string;
  readonly agentId: string;
  readonly agentName: string;
  readonly agentVersion: string;
  readonly policyVersion: string;
  readonly principal: Principal;
  readonly traceId: string;
  readonly idempotencyKey: string | null;
  readonly priority: Priority;
  readonly status: RunStatus;
  readonly input: JsonValue;
  readonly output: JsonValue | null;
  readonly error: RunError | null;
  /** What a paused run waits for. */
  readonly pauseReason: PauseReason | null;
  /** Where it came from, e.g. `api`, `trigger:siem`, `retry:<run id>`. */
  readonly source: string;
  readonly stepCount: number;
  /** Number of its newest event. */
  readonly lastSeq: number;
  readonly usage: TokenUsage;
  /** It begins no earlier; null: it was due at once. */
  readonly startAt: Date | null;
  readonly cancelRequestedAt: Date | null;
  readonly createdAt: Date;
  readonly startedAt: Date | null;
  readonly finishedAt: Date | null;
}

export interface RunError {
  readonly code: ErrorCode;
  readonly message: string;
  /** What the user is told in place of an answer (R11). */
  readonly fallbackText?: string;
}

export type PauseReason = 'approval' | 'uncertain_outcome';

/** R2: what every commit of a running run is fenced by. */
export interface Lease {
  readonly tenantId: string;
  readonly runId: string;
  readonly nodeId: string;
  readonly epoch: number;
}
