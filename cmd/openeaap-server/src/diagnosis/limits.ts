import { LIMITS } from '@openeaap/kernel';

const SECOND_MS = 1_000;
const MINUTE_MS = 60 * SECOND_MS;
const DAY_MS = 86_400 * SECOND_MS;
const GIB = 1_073_741_824;

/** From when on something is a warning, and from when on a problem. */
export const DIAGNOSIS = {
  /** One part of a diagnosis: a database that hangs must not hang the doctor. */
  partTimeoutMs: 10 * SECOND_MS,
  oldestServerVersion: 150_000,
  /** A durable step is one round trip and one flush; 10 ms already halve what a run does in a second. */
  roundTripMs: { warning: 10, problem: 200 },
  connectionShare: { warning: 0.8, problem: 0.95 },
  /** Times in the audit come from the nodes' clocks; leases only from the database's. */
  clockMs: { warning: 500, problem: 5_000 },
  nodes: 100,
  /** A dead node's runs are taken over within 10 s where any node has room. */
  deadOwnerMs: { warning: 6 * SECOND_MS, problem: 30 * SECOND_MS },
  dueMs: { warning: MINUTE_MS, problem: 10 * MINUTE_MS },
  /** No call may take longer than its ceiling, times its tries. */
  silentMs: { warning: 5 * MINUTE_MS, problem: LIMITS.toolTimeoutCeilingMs * LIMITS.toolAttempts + 5 * MINUTE_MS },
  /** Stuck runs that are counted; more is "or more". */
  stuckRuns: 1_000,
  overdueApprovalMs: MINUTE_MS,
  /** A writer that lives signs every few seconds. */
  unsignedMs: MINUTE_MS,
  nextPartitionDays: 3,
  /** Dead rows that autovacuum should have taken away by then. */
  deadRows: { share: 0.5, least: 100_000 },
  diskFreeBytes: { warning: 5 * GIB, problem: GIB },
  archiveAgeMs: 365 * DAY_MS,
  idleTransactionMs: { warning: MINUTE_MS, problem: 10 * MINUTE_MS },
} as const;
