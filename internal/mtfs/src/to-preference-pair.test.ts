import { describe, expect, test } from 'vitest';
import { collectFeedback } from './collect-feedback.ts';
import type { NewPair, WaitingFeedback } from './collect-feedback.ts';
import { toPreferenceExample } from './to-preference-pair.ts';

const base = { score: -1 as const, correction: null, input: 'triage 1.2.3.4', output: 'block it' };

describe('toPreferenceExample', () => {
  test('a correction is chosen over what the agent said', () => {
    expect(toPreferenceExample({ ...base, correction: ' isolate and watch ' })).toEqual({ prompt: 'triage 1.2.3.4', chosen: 'isolate and watch', rejected: 'block it' });
  });

  test('a thumb without words makes the answer a good or a bad example', () => {
    expect(toPreferenceExample(base)).toEqual({ prompt: 'triage 1.2.3.4', chosen: null, rejected: 'block it' });
    expect(toPreferenceExample({ ...base, score: 1 })).toEqual({ prompt: 'triage 1.2.3.4', chosen: 'block it', rejected: null });
  });

  test('a correction that repeats the answer is no pair of different answers', () => {
    expect(toPreferenceExample({ ...base, correction: 'block it' })).toEqual({ prompt: 'triage 1.2.3.4', chosen: null, rejected: 'block it' });
  });

  test('a run without an answer teaches only by a correction', () => {
    expect(toPreferenceExample({ ...base, output: null })).toBeNull();
    expect(toPreferenceExample({ ...base, output: null, correction: 'look it up' })).toEqual({ prompt: 'triage 1.2.3.4', chosen: 'look it up', rejected: null });
  });

  test('input that is not text is its JSON', () => {
    expect(toPreferenceExample({ ...base, input: { id: 7 } })?.prompt).toBe('{"id":7}');
  });
});

test('collectFeedback takes every waiting piece once, in batches, also those that teach nothing', async () => {
  const waiting: WaitingFeedback[] = Array.from({ length: 250 }, (_, n) => ({ ...base, tenantId: 't', id: `f${n}`, runId: 'r', category: null, agentName: 'a', agentVersion: '1', output: n % 5 === 0 ? null : 'x' }));
  const kept: NewPair[] = [];
  const store = {
    listWaiting: async (limit: number) => waiting.slice(0, limit),
    collect: async (pair: NewPair) => {
      waiting.splice(waiting.findIndex((feedback) => feedback.id === pair.feedbackId), 1);
      if (pair.chosen === null && pair.rejected === null) return false;
      kept.push(pair);
      return true;
    },
  };
  expect(await collectFeedback({ store, ids: { newId: () => 'id', newTraceId: () => '' } })).toBe(200);
  expect(kept).toHaveLength(200);
  expect(waiting).toEqual([]);
});
