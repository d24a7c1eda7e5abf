import { addUsage, NO_USAGE } from '@openeaap/kernel';
import type { TokenUsage } from '@openeaap/kernel';

/** What the gateway itself saw of one step, whatever the runtime says about it. */
export interface StepUsage {
  readonly usage: TokenUsage;
  /** Chats, failed ones included. */
  readonly calls: number;
  /** Of the latest chat; empty when there was none. */
  readonly backend: string;
  readonly model: string;
  /** Sum over the chats. */
  readonly latencyMs: number;
}

export interface UsageMeter {
  readonly add: (stepId: string, seen: Omit<StepUsage, 'calls'>) => void;
  /** Returns what was seen for the step and forgets it; zeroes when nothing was. */
  readonly take: (stepId: string) => StepUsage;
}

/** Steps whose usage nobody has taken; the oldest are forgotten first. */
export const METERED_STEPS_MAX = 10_000;

const NOTHING_SEEN: StepUsage = { usage: NO_USAGE, calls: 0, backend: '', model: '', latencyMs: 0 };

export function createUsageMeter(maxSteps: number = METERED_STEPS_MAX): UsageMeter {
  const steps = new Map<string, StepUsage>();
  return {
    add: (stepId, seen) => {
      const before = steps.get(stepId) ?? NOTHING_SEEN;
      steps.delete(stepId);
      steps.set(stepId, {
        usage: addUsage(before.usage, seen.usage),
        calls: before.calls + 1,
        backend: seen.backend,
        model: seen.model,
        latencyMs: before.latencyMs + seen.latencyMs,
      });
      for (const oldest of steps.keys()) {
        if (steps.size <= maxSteps) break;
        steps.delete(oldest);
      }
    },
    take: (stepId) => {
      const seen = steps.get(stepId) ?? NOTHING_SEEN;
      steps.delete(stepId);
      return seen;
    },
  };
}
