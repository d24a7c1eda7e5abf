/**
 * The limits of the platform, each with its unit. Everything that queues, loops, retries,
 * carries bytes or waits has one here, or in the configuration with this as its ceiling.
 */
export const LIMITS = {
  /** Body of a REST request. */
  requestBytes: 1_048_576,
  /** Input of a run, as JSON text. */
  runInputBytes: 262_144,
  /** What one tool call may return to the journal; more is cut and marked as cut. */
  toolResultBytes: 65_536,
  /** What a tool may send at all before the call is aborted. */
  toolResponseBytes: 4_194_304,
  /** Arguments of one tool call, as JSON text. */
  toolArgumentsBytes: 65_536,
  /** Text that a model may produce in one think. */
  modelReplyBytes: 1_048_576,
  toolCallsPerThink: 16,
  /** Steps of a run (thinks and acts together) unless the agent sets fewer. */
  stepsPerRun: 50,
  /** Most steps that an agent may ask for. */
  stepsPerRunCeiling: 1_000,
  /** How often in a row a model may err (unknown tool, bad arguments, no usable reply) before the run fails. */
  correctionsInARow: 3,
  thinkTimeoutMs: 30_000,
  thinkTimeoutCeilingMs: 600_000,
  toolTimeoutMs: 30_000,
  toolTimeoutCeilingMs: 600_000,
  /** Tries of one repeatable tool call that failed with a retryable code. */
  toolAttempts: 3,
  approvalTimeoutMs: 3_600_000,
  approvalTimeoutCeilingMs: 2_592_000_000,
  /** Rounds of votes about one call; each edit that others must still approve begins one. */
  approvalRounds: 20,
  /** How often one vote is counted anew because somebody else voted at the same moment. */
  approvalVoteAttempts: 64,
  /** How far ahead a run may be told to start. */
  startDelayMs: 2_592_000_000,
  /** A `start_at` that is in the past by no more than this is a slow request, not a mistake. */
  startAtGraceMs: 60_000,
  schedulesPerTenant: 1_000,
  scheduleNameChars: 100,
  cronChars: 255,
  /** Most missed fires that are caught up with; of more, the newest count. */
  scheduleCatchUpRuns: 100,
  /** A fire that is later than this was missed: no node was there. */
  scheduleLateMs: 60_000,
  /** From so many failures in a row on, each one is an alarm in the log, the metrics and the audit. */
  scheduleAlarmFailures: 3,
  idempotencyKeyChars: 255,
  feedbackChars: 16_384,
  pageSize: 50,
  pageSizeCeiling: 200,
  /** Age of an ended run before it may leave the database, and its idempotency key with it: 7 days. */
  archiveMinimumAgeMs: 604_800_000,
  /** Runs of one page of the archive, and of one file. */
  archivePageRuns: 500,
  /** Runs that one request may delete. */
  archiveDeleteRuns: 50,
} as const;
