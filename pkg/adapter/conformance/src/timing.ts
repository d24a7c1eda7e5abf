/** How long things may take, in milliseconds. Tests of the kit itself use shorter ones. */
export interface Timing {
  /** From the start of a launched plugin until it listens. */
  readonly startMs: number;
  /** From its socket until the line that says so. */
  readonly lineMs: number;
  /** Until a plugin at a given address can be connected to. */
  readonly connectMs: number;
  /** Any call that is not meant to take long. */
  readonly callMs: number;
  /** A message of many MiB. */
  readonly bigMessageMs: number;
  /** A health check; the control plane waits no longer. */
  readonly healthMs: number;
  /** The whole of one check. */
  readonly checkMs: number;
  /** Until a cancelled or expired step is seen to have stopped. */
  readonly stopSeenMs: number;
  /** The short deadline that a step is given to see whether it heeds it. */
  readonly shortDeadlineMs: number;
  /** A step that is under way while something else is asked. */
  readonly busyMs: number;
  /** A step that nobody waits for the end of. */
  readonly longSleepMs: number;
  /** How long a plugin may finish its steps after SIGTERM. */
  readonly drainMs: number;
  /** What is given to a process beyond that, for its own end. */
  readonly drainGraceMs: number;
}

export const TIMING: Timing = {
  startMs: 20_000,
  lineMs: 2_000,
  connectMs: 5_000,
  callMs: 10_000,
  bigMessageMs: 30_000,
  healthMs: 2_000,
  checkMs: 60_000,
  stopSeenMs: 3_000,
  shortDeadlineMs: 400,
  busyMs: 1_500,
  longSleepMs: 60_000,
  // The plugin protocol says 10 s.
  drainMs: 10_000,
  drainGraceMs: 3_000,
};
