import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { PlatformError } from '@openeaap/kernel';
import type { LedgerEntry } from './accountant.ts';
import { createLedger } from './ledger.ts';
import type { LedgerDeps, UsageRow } from './ledger.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function entry(over: Partial<LedgerEntry> & { readonly userId?: string } = {}): LedgerEntry {
  const { userId = 'alice', ...rest } = over;
  return {
    calls: 1, promptTokens: 10, completionTokens: 2, cachedTokens: 4, reasoningTokens: 1, costUsdNanos: 3_000, estimated: false,
    access: { tenantId: 't', runId: 'r', stepId: 's', agentId: 'a', userId, traceId: '' },
    kind: 'chat', backend: 'local', model: 'qwen', cache: 'miss', outcome: 'ok', latencyMs: 20.4, at: new Date('2026-11-24T12:34:56Z'), ...rest,
  };
}

function open(over: Partial<LedgerDeps> = {}) {
  const written: { readonly id: string; readonly rows: readonly UsageRow[] }[] = [];
  const errors: string[] = [];
  let serial = 0;
  const ledger = createLedger({ write: async (id, rows) => void written.push({ id, rows }), newId: () => `batch-${++serial}`, onError: (error) => errors.push(String(error)), ...over });
  const calls = (): number => written.flatMap(({ rows }) => rows).reduce((sum, row) => sum + row.calls, 0);
  return { ledger, written, errors, calls };
}

const away = new PlatformError('unavailable', 'away');

describe('the ledger', () => {
  test('adds calls up and writes them once a second', async () => {
    const { ledger, written } = open();
    ledger.record(entry());
    ledger.record(entry({ outcome: 'model_unavailable', estimated: true, costUsdNanos: 200 }));
    ledger.record(entry({ cache: 'hit' }));
    await vi.advanceTimersByTimeAsync(999);
    expect(written).toEqual([]);
    await vi.advanceTimersByTimeAsync(1);
    expect(written).toHaveLength(1);
    const [first, second] = written[0]?.rows ?? [];
    expect(first).toEqual({
      tenantId: 't', hour: new Date('2026-11-24T12:00:00Z'), keyId: '', userId: 'alice', agentId: 'a', runId: 'r', backend: 'local', model: 'qwen', kind: 'chat', cache: 'miss',
      calls: 2, failed: 1, promptTokens: 20, completionTokens: 4, cachedTokens: 8, reasoningTokens: 2, costUsdNanos: 3_200, estimated: 1, latencyMs: 40,
    });
    expect(second).toMatchObject({ cache: 'hit', calls: 1 });
    await vi.advanceTimersByTimeAsync(10_000);
    expect(written).toHaveLength(1);
  });

  test('what is told of a call later adds to its tokens and money, and to no number of calls', async () => {
    const { ledger, written } = open();
    ledger.record(entry({ outcome: 'cancelled', promptTokens: 0, completionTokens: 0, costUsdNanos: 0 }));
    ledger.record(entry({ calls: 0, latencyMs: 0 }));
    await ledger.close();
    expect(written[0]?.rows).toMatchObject([{ calls: 1, failed: 1, estimated: 0, promptTokens: 10, completionTokens: 2, costUsdNanos: 3_000, latencyMs: 20 }]);
  });

  test('a batch whose write failed is sent again as it was, and what came meanwhile after it', async () => {
    const sent: [string, number][] = [];
    let isAway = true;
    const { ledger, errors } = open({
      write: async (id, rows) => {
        sent.push([id, rows.length]);
        if (isAway) throw away;
      },
    });
    ledger.record(entry());
    await vi.advanceTimersByTimeAsync(1_000);
    ledger.record(entry({ userId: 'bob' }));
    await vi.advanceTimersByTimeAsync(2_000);
    isAway = false;
    await vi.advanceTimersByTimeAsync(2_000);
    expect(sent).toEqual([['batch-1', 1], ['batch-1', 1], ['batch-1', 1], ['batch-1', 1], ['batch-2', 1]]);
    expect(errors).toEqual([String(away)]);
  });

  test('while the store is away memory is bounded and no call is lost, only its details', async () => {
    let isAway = true;
    const rows: UsageRow[] = [];
    const { ledger } = open({
      maxRows: 10,
      write: async (_id, batch) => {
        if (isAway) throw away;
        rows.push(...batch);
      },
    });
    for (let index = 0; index < 500; index += 1) ledger.record(entry({ userId: `u${index}`, costUsdNanos: 1_000 }));
    isAway = false;
    await ledger.close();
    expect(rows.reduce((sum, { calls }) => sum + calls, 0)).toBe(500);
    expect(rows.reduce((sum, { costUsdNanos }) => sum + costUsdNanos, 0)).toBe(500_000);
    expect(rows.length).toBeLessThanOrEqual(51);
    expect(rows.filter(({ userId }) => userId === '')).toMatchObject([{ calls: 450, tenantId: 't', backend: 'local' }]);
  });

  test('what the store refuses for good holds up nothing that comes after it', async () => {
    const kept: string[] = [];
    const { ledger, errors } = open({
      write: async (id) => {
        if (id === 'batch-1') throw new PlatformError('internal', 'refused');
        kept.push(id);
      },
    });
    ledger.record(entry());
    await vi.advanceTimersByTimeAsync(1_000);
    ledger.record(entry());
    await vi.advanceTimersByTimeAsync(10_000);
    expect(kept).toEqual(['batch-2']);
    expect(errors.at(-1)).toContain('1 model calls were refused');
  });

  test('closing writes what there is, and says what it could not', async () => {
    const good = open();
    good.ledger.record(entry());
    await good.ledger.close();
    expect(good.calls()).toBe(1);
    const bad = open({ write: async () => Promise.reject(away) });
    bad.ledger.record(entry());
    bad.ledger.record(entry());
    const closed = bad.ledger.close();
    await vi.advanceTimersByTimeAsync(1_000);
    await closed;
    expect(bad.errors.at(-1)).toContain('2 model calls could not be written');
  });

  test('closing gives up what the store refuses, and writes the good batches behind it', async () => {
    const kept: string[] = [];
    const { ledger, errors } = open({
      maxRows: 1,
      write: async (id) => {
        if (id === 'batch-1') throw new PlatformError('internal', 'refused');
        kept.push(id);
      },
    });
    for (const userId of ['a', 'b', 'c']) ledger.record(entry({ userId }));
    await ledger.close();
    expect(kept).toEqual(['batch-2', 'batch-3']);
    expect(errors.at(-1)).toContain('1 model calls were refused');
  });

  test('closing tries again after a pause, while the store may come back', async () => {
    let tries = 0;
    const { ledger, errors } = open({
      write: async () => {
        if ((tries += 1) < 3) throw away;
      },
    });
    ledger.record(entry());
    const closed = ledger.close();
    await vi.advanceTimersByTimeAsync(499);
    expect(tries).toBe(1);
    await vi.advanceTimersByTimeAsync(501);
    await closed;
    expect([tries, errors]).toEqual([3, [String(away)]]);
  });

  test('closing ends also while a write hangs, and says how many calls may be lost', async () => {
    const { ledger, errors } = open({ write: () => new Promise(() => undefined) });
    ledger.record(entry());
    await vi.advanceTimersByTimeAsync(1_000);
    ledger.record(entry());
    const closed = ledger.close();
    await vi.advanceTimersByTimeAsync(4_001);
    await closed;
    expect(errors).toEqual([expect.stringContaining('2 model calls could not be written')]);
  });

  test('of the agents that the clients of a key make up so many are told apart in an hour', async () => {
    const { ledger, written } = open();
    const from = (index: number, keyId: string, at = '2026-11-24T12:34:56Z') => ledger.record(entry({ at: new Date(at), access: { ...entry().access, agentId: `a${index}`, keyId } }));
    for (let index = 0; index < 150; index += 1) from(index, 'k1');
    from(0, 'k1');
    from(149, 'k2');
    for (let index = 0; index < 150; index += 1) from(index, '');
    from(149, 'k1', '2026-11-24T13:00:00Z');
    await ledger.close();
    const rows = written.flatMap((batch) => batch.rows);
    const of = (keyId: string) => rows.filter((row) => row.keyId === keyId);
    expect([of('k1').length, of('k2').length, of('').length]).toEqual([102, 1, 150]);
    expect(of('k1').filter(({ agentId }) => agentId === '')).toMatchObject([{ calls: 50 }]);
    expect(of('k1').filter(({ agentId }) => agentId === 'a149')).toHaveLength(1);
  });

  test('a name of a client or a server is cut to what the store takes, and two that it stores alike are one row', async () => {
    const { ledger, written } = open();
    ledger.record(entry({ model: 'x'.repeat(10_000), access: { ...entry().access, agentId: 'a'.repeat(1_000) } }));
    ledger.record(entry({ model: 'qwen' }));
    ledger.record(entry({ model: 'qw\u0000en\ud800' }));
    await ledger.close();
    expect(written[0]?.rows.map(({ model, agentId, calls: count }) => [model.length, agentId.length, count])).toEqual([[255, 255, 1], [4, 1, 2]]);
  });
});
