import type { Clock } from '@openeaap/kernel';
import { PlatformError } from '@openeaap/kernel';

/** What an orchestrator's probes are told. */
export interface Readiness {
  /** Rejects with `unavailable` when requests should go elsewhere; `details.failed` names the checks. */
  readonly checkReady: () => Promise<void>;
  /** Rejects with `unavailable` only when this process can never go on and should be ended. */
  readonly checkLive: () => Promise<void>;
  /** Never ready again: the program is about to stop. */
  readonly drain: () => void;
}

export interface ReadinessOptions {
  /** Asks the database for a row. */
  readonly ping: () => Promise<unknown>;
  /** Could the node show lately that it lives? */
  readonly alive: () => boolean;
  /** Resolves when the platform cannot go on. */
  readonly died: Promise<PlatformError>;
  readonly clock: Clock;
  /** How long the database may take. Probes of Kubernetes should wait longer than this. */
  readonly timeoutMs: number;
}

interface Failure {
  readonly check: 'draining' | 'heartbeat' | 'database';
  readonly message: string;
}

export function createReadiness(options: ReadinessOptions): Readiness {
  let draining = false;
  let lost: PlatformError | null = null;
  let asking: Promise<Failure | null> | null = null;
  void options.died.then((error) => (lost = error));

  return {
    checkReady: async () => {
      // However many probes come, the database is asked once at a time.
      asking ??= askDatabase().finally(() => (asking = null));
      const database = await asking;
      const failures = [draining ? DRAINING : null, options.alive() ? null : SILENT, database].filter((failure) => failure !== null);
      if (failures.length === 0) return;
      throw new PlatformError('unavailable', failures.map(({ message }) => message).join(' '), { details: { failed: failures.map(({ check }) => check) } });
    },
    checkLive: async () => {
      if (lost !== null) throw new PlatformError('unavailable', `This process cannot go on: ${lost.message}`, { cause: lost });
    },
    drain: () => {
      draining = true;
    },
  };

  /** A database that takes the question and never answers is as bad as one that is gone. */
  async function askDatabase(): Promise<Failure | null> {
    const answered = new AbortController();
    const late = options.clock.sleep(options.timeoutMs, answered.signal).then(
      () => ({ check: 'database', message: `The database did not answer within ${options.timeoutMs} ms.` }) as const,
      () => null,
    );
    const answer = options.ping().then(
      () => null,
      () => ({ check: 'database', message: 'The database cannot be reached.' }) as const,
    );
    return Promise.race([answer, late]).finally(() => answered.abort());
  }
}

const DRAINING: Failure = { check: 'draining', message: 'This node is stopping and takes no new work.' };
const SILENT: Failure = { check: 'heartbeat', message: 'This node cannot show that it lives and drives no runs.' };
