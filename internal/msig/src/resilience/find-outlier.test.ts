import { describe, expect, it } from 'vitest';
import { findOutlier } from './find-outlier.ts';
import type { ServerRecord } from './find-outlier.ts';

const record = (changes: Partial<ServerRecord> = {}): ServerRecord => ({ tries: 20, failedShare: 0, answers: 20, firstByteMs: 100, ...changes });
const peers = (...firstByteMs: readonly number[]) => firstByteMs.map((ms) => record({ firstByteMs: ms }));

describe('a server among its peers', () => {
  it.each([
    ['is slow', record({ firstByteMs: 301 }), peers(100, 100, 100), 'latency'],
    ['is three times as slow at most', record({ firstByteMs: 300 }), peers(100, 100, 100), null],
    ['is slow beside the usual one, not beside the slowest', record({ firstByteMs: 400 }), peers(100, 110, 2_000), 'latency'],
    ['is as slow as half of them', record({ firstByteMs: 400 }), peers(400, 100), null],
    ['is slow by a few milliseconds', record({ firstByteMs: 40 }), peers(1, 1), null],
    ['is too new to tell', record({ firstByteMs: 900, answers: 9 }), peers(100, 100), null],
    ['has peers that are too new to tell', record({ firstByteMs: 900 }), [record({ answers: 9 })], null],
    ['fails', record({ failedShare: 0.25 }), peers(100, 100), 'errors'],
    ['fails seldom', record({ failedShare: 0.15 }), peers(100, 100), null],
    ['fails as they all do', record({ failedShare: 0.6 }), [record({ failedShare: 0.25 }), record({ failedShare: 0.2 })], null],
    ['fails, but has hardly been asked', record({ failedShare: 1, tries: 9, answers: 0, firstByteMs: null }), peers(100, 100), null],
    ['is alone', record({ failedShare: 1, firstByteMs: 9_999 }), [], null],
  ] as const)('that %s', (_what, own, others, found) => {
    expect(findOutlier(own, others)).toBe(found);
  });
});
