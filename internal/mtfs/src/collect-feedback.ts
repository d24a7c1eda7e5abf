import type { Clock, Ids } from '@openeaap/kernel';
import type { CollectableFeedback } from './to-preference-pair.ts';
import { toPreferenceExample } from './to-preference-pair.ts';

export interface WaitingFeedback extends CollectableFeedback {
  readonly tenantId: string;
  readonly id: string;
  readonly runId: string;
  readonly category: string | null;
  readonly agentName: string;
  readonly agentVersion: string;
}

export interface NewPair {
  readonly tenantId: string;
  readonly id: string;
  readonly runId: string;
  readonly feedbackId: string;
  readonly agentName: string;
  readonly agentVersion: string;
  readonly prompt: string;
  readonly chosen: string | null;
  readonly rejected: string | null;
  readonly category: string | null;
}

export interface FeedbackStore {
  /** Feedback on ended runs that is not collected yet, oldest first. */
  readonly listWaiting: (limit: number) => Promise<readonly WaitingFeedback[]>;
  /** Marks the feedback collected and keeps the pair, both or neither; once however often it is called. */
  readonly collect: (pair: NewPair) => Promise<boolean>;
}

const BATCH = 100;

/** Turns what waits into rows of the preference data set; returns how many rows were made. */
export async function collectFeedback(deps: { readonly store: FeedbackStore; readonly ids: Ids }): Promise<number> {
  let made = 0;
  for (;;) {
    const waiting = await deps.store.listWaiting(BATCH);
    for (const feedback of waiting) {
      const example = toPreferenceExample(feedback) ?? { prompt: '', chosen: null, rejected: null };
      const { tenantId, runId, agentName, agentVersion, category } = feedback;
      if (await deps.store.collect({ tenantId, id: deps.ids.newId(), runId, feedbackId: feedback.id, agentName, agentVersion, category, ...example })) made += 1;
    }
    if (waiting.length < BATCH) return made;
  }
}

export interface FeedbackCollector {
  /** Collects what waits now. */
  readonly collectNow: () => Promise<number>;
  readonly close: () => Promise<void>;
}

/** Looks for feedback that could not be collected when it was given, because its run had not ended. */
export function startFeedbackCollector(deps: {
  readonly store: FeedbackStore;
  readonly ids: Ids;
  readonly clock: Clock;
  readonly intervalMs?: number;
  readonly onError: (error: unknown) => void;
}): FeedbackCollector {
  const closing = new AbortController();
  const loop = (async (): Promise<void> => {
    while (!closing.signal.aborted) {
      await collectFeedback(deps).catch(deps.onError);
      await deps.clock.sleep(deps.intervalMs ?? 5_000, closing.signal);
    }
  })();
  return {
    collectNow: () => collectFeedback(deps),
    close: async () => {
      closing.abort();
      await loop;
    },
  };
}
