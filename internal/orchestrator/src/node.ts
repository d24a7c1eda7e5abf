import { PlatformError, createBell, linkSignals, toPlatformError } from '@openeaap/kernel';
import type { ClaimedRun } from '@openeaap/kernel';
import type { DriveDeps } from './deps.ts';
import { driveRun } from './drive-run.ts';
import { escalateOwned } from './escalate-approvals.ts';

/**
 * One node: claims runs, drives each, and shows that it lives. A node without the role of the orchestrator only shows
 * that it lives: it writes decisions and audit rows of its own.
 *
 * Invariants: it drives a run at most once at a time; it claims no more than `concurrentRuns`; once
 * it could not show that it lives for `deadAfterMs` it lets go of every run before anybody else may
 * take them over (R2).
 */
export interface OrchestratorNode {
  readonly id: string;
  /** There may be something to claim: look now instead of at the next poll. */
  readonly wake: () => void;
  /** Stops what a run of this node is doing so that it looks at its signals (R7); false: not here. */
  readonly interrupt: (runId: string) => boolean;
  readonly runsInHand: () => number;
  /** False once the node has failed to show that it lives. */
  readonly alive: () => boolean;
  /** Claims and begins nothing more, gives what is under way `drainMs` to end and be written down, then lets go. */
  readonly stop: (drainMs: number) => Promise<void>;
}

export interface NodeOptions {
  readonly nodeId: string;
  readonly host: string;
  readonly pid: number;
  readonly version: string;
  readonly roles: readonly string[];
  /** Claims and drives runs. */
  readonly drives: boolean;
  /** 256: far below what one node drives, far above what its tool workers take. */
  readonly concurrentRuns?: number;
  readonly heartbeatMs?: number;
  /** Four missed heartbeats. With the poll it keeps a dead node's runs waiting for less than 10 s. */
  readonly deadAfterMs?: number;
  /** The backstop behind wake(), and how often runs are looked for that nobody drives. */
  readonly pollMs?: number;
}

/** Most runs taken by one claim: some for the other nodes, and no claim that takes long. */
const CLAIM_LIMIT = 50;
/** How long one look at the escalations may take before the next begins. */
const ESCALATION_LIMIT_MS = 30_000;

interface Hand {
  readonly stop: AbortController;
  interrupt: AbortController;
  ended: Promise<void>;
}

export async function startNode(deps: DriveDeps, options: NodeOptions): Promise<OrchestratorNode> {
  const { nodeId } = options;
  const concurrentRuns = options.concurrentRuns ?? 256;
  const heartbeatMs = options.heartbeatMs ?? 1_500;
  const deadAfterMs = options.deadAfterMs ?? 6_000;
  const pollMs = options.pollMs ?? 1_000;
  const inHand = new Map<string, Hand>();
  const stopping = new AbortController();
  const over = new AbortController();
  const bell = createBell();
  /** So that the first look is for orphans too. */
  let lookedForOrphansAt = -Infinity;
  let lastBeatAt = performance.now();
  let isAlive = true;

  await deps.store.registerNode({ id: nodeId, host: options.host, pid: options.pid, version: options.version, roles: options.roles });
  const loops = Promise.all([options.drives ? claimLoop() : undefined, heartbeatLoop(), options.drives ? escalationLoop() : undefined]);

  return {
    id: nodeId,
    wake: bell.ring,
    interrupt,
    runsInHand: () => inHand.size,
    alive: () => isAlive,
    stop: async (drainMs) => {
      stopping.abort();
      await Promise.race([Promise.all([...inHand.values()].map((hand) => hand.ended)), deps.clock.sleep(drainMs, over.signal)]);
      letGo('The node is stopping.');
      await Promise.all([...inHand.values()].map((hand) => hand.ended));
      over.abort();
      await loops;
      // A claim that was under way may have brought more; they have begun nothing.
      await Promise.all([...inHand.values()].map((hand) => hand.ended));
      await deps.store.stopNode(nodeId).catch((thrown: unknown) => deps.log.warn({ err: thrown }, 'could not sign off; the runs wait for the heartbeat to grow old'));
    },
  };

  /** Never rejects. */
  async function claimLoop(): Promise<void> {
    while (!stopping.signal.aborted) {
      const waitMs = await look();
      if (waitMs > 0) await bell.wait(waitMs, stopping.signal);
    }
  }

  /** Takes what there is; ms until the next look. */
  async function look(): Promise<number> {
    if (limit() <= 0 || !isAlive) return pollMs;
    try {
      if (performance.now() - lookedForOrphansAt >= pollMs) {
        lookedForOrphansAt = performance.now();
        const wanted = limit();
        const orphans = await deps.store.claimOrphans({ nodeId, limit: wanted, deadAfterMs, inHand: [...inHand.keys()] });
        for (const run of orphans) take(run);
        // There may be more, and they have waited for a dead node already.
        if (orphans.length === wanted) lookedForOrphansAt = -Infinity;
      }
      if (limit() <= 0) return pollMs;
      const { runs, nextDueMs } = await deps.store.claimDue({ nodeId, limit: limit() });
      for (const run of runs) take(run);
      if (limit() <= 0) return pollMs;
      return lookedForOrphansAt === -Infinity ? 0 : Math.min(pollMs, nextDueMs ?? pollMs);
    } catch (thrown) {
      deps.log.warn({ err: thrown, code: toPlatformError(thrown).code }, 'could not claim runs');
      return pollMs;
    }
  }

  function limit(): number {
    return Math.min(CLAIM_LIMIT, concurrentRuns - inHand.size);
  }

  function take(claimed: ClaimedRun): void {
    const { id, lastSeq } = claimed.run;
    const earlier = inHand.get(id);
    earlier?.stop.abort(new PlatformError('fenced', 'The run was claimed again.'));
    const hand: Hand = { stop: new AbortController(), interrupt: new AbortController(), ended: Promise.resolve() };
    inHand.set(id, hand);
    deps.watch.committed(id, lastSeq, false);
    hand.ended = drive(claimed, hand, earlier?.ended).finally(() => {
      if (inHand.get(id) === hand) inHand.delete(id);
      bell.ring();
    });
  }

  /** A run is driven once at a time: what drove it before comes to its end first. */
  async function drive(claimed: ClaimedRun, hand: Hand, earlier: Promise<void> | undefined): Promise<void> {
    await earlier;
    await driveRun(claimed, deps, {
      stop: hand.stop.signal,
      rest: stopping.signal,
      interrupt: () => hand.interrupt.signal,
      renewInterrupt: () => {
        hand.interrupt = new AbortController();
      },
    });
  }

  function interrupt(runId: string): boolean {
    const hand = inHand.get(runId);
    hand?.interrupt.abort(new PlatformError('cancelled', 'The run was cancelled.'));
    return hand !== undefined;
  }

  /** Goes on while runs are drained. Never rejects. */
  async function heartbeatLoop(): Promise<void> {
    while (!over.signal.aborted) {
      await beat();
      await deps.clock.sleep(isAlive ? Math.min(heartbeatMs, msLeft()) : heartbeatMs, over.signal);
    }
  }

  /** Beside the heartbeat, which must never wait for a commit. Never rejects. */
  async function escalationLoop(): Promise<void> {
    while (!stopping.signal.aborted) {
      await deps.clock.sleep(heartbeatMs, stopping.signal);
      if (inHand.size === 0 || !isAlive || stopping.signal.aborted) continue;
      const written = new AbortController();
      // A database that is away must not hold up a stop; what is asked twice is written once.
      const ready = linkSignals([written.signal, stopping.signal]);
      void escalateOwned({ store: deps.store, nodeId })
        .catch((thrown: unknown) => deps.log.warn({ err: thrown, code: toPlatformError(thrown).code }, 'escalations could not be written; they will be tried again'))
        .finally(() => written.abort());
      await deps.clock.sleep(ESCALATION_LIMIT_MS, ready.signal).finally(ready.release);
    }
  }

  /** Until this node must let go, a heartbeat before others may take its runs over. */
  function msLeft(): number {
    return Math.max(0, lastBeatAt + deadAfterMs - heartbeatMs - performance.now());
  }

  async function beat(): Promise<void> {
    const sentAt = performance.now();
    const wasAlive = isAlive;
    try {
      isAlive = await within(deps.store.beatNode(nodeId), wasAlive ? Math.min(heartbeatMs * 2, msLeft()) : heartbeatMs * 2);
      lastBeatAt = sentAt;
      if (isAlive && !wasAlive) bell.ring();
      if (isAlive) for (const runId of await within(deps.store.listCancelledRuns(nodeId), heartbeatMs)) interrupt(runId);
    } catch (thrown) {
      deps.log.warn({ err: thrown }, 'a heartbeat failed');
      if (msLeft() === 0) isAlive = false;
    }
    if (!isAlive) letGo('This node could not show that it lives.');
  }

  /** A database that hangs must look like one that is gone. */
  async function within<T>(answer: Promise<T>, limitMs: number): Promise<T> {
    const answered = new AbortController();
    const late = deps.clock.sleep(limitMs, answered.signal).then(() => {
      throw new PlatformError('unavailable', 'The database did not answer in time.');
    });
    try {
      return await Promise.race([answer, late]);
    } finally {
      late.catch(() => undefined);
      answered.abort();
    }
  }

  function letGo(reason: string): void {
    for (const hand of inHand.values()) hand.stop.abort(new PlatformError('fenced', reason));
  }
}
