import type { Notice, RunEvent, RunStatus } from '@openeaap/kernel';
import { describe, expect, test } from 'vitest';
import type { StreamItem } from './event-hub.ts';
import { createEventHub } from './event-hub.ts';

/** A store of one run that the test fills. The poll is an hour away, so only notices wake a reader. */
function world(options: { readonly pollMs?: number } = {}) {
  const state: { events: RunEvent[]; status: RunStatus; looks: number; now: number } = { events: [], status: 'running', looks: 0, now: 0 };
  const posted: Notice[] = [];
  const hub = createEventHub({
    readEvents: async ({ afterSeq, limit }) => {
      state.looks += 1;
      return { status: state.status, events: state.events.filter((event) => event.seq > afterSeq).slice(0, limit) };
    },
    readPositions: async (runs) => new Map(runs.map(({ runId }) => [runId, { lastSeq: state.events.length, status: state.status }])),
    post: (notice) => void posted.push(notice),
    now: () => state.now,
    onError: () => undefined,
    pollMs: options.pollMs ?? 3_600_000,
  });
  const store = (count: number, status: RunStatus = 'running'): void => {
    for (let n = 0; n < count; n += 1) state.events.push({ runId: 'r', seq: state.events.length + 1, type: 'step_thought', data: {}, at: new Date(0) });
    state.status = status;
  };
  const add = (count: number, status: RunStatus = 'running'): void => {
    store(count, status);
    hub.committed('r');
  };
  return { hub, add, store, state, posted };
}

const seqOf = (item: StreamItem): number | string => (item.kind === 'event' ? item.event.seq : item.delta.text);
const from = (afterSeq: number) => ({ tenantId: 't', runId: 'r', afterSeq });

async function collect(items: AsyncIterable<StreamItem>): Promise<(number | string)[]> {
  const seen: (number | string)[] = [];
  for await (const item of items) seen.push(seqOf(item));
  return seen;
}

describe('event hub', () => {
  test('R8: a reader gets what is stored and what comes, each once and in order, to the end', async () => {
    const { hub, add } = world();
    add(450);
    const reading = collect(hub.open(from(3), new AbortController().signal));
    await Promise.resolve();
    add(2);
    add(1, 'completed');
    expect(await reading).toEqual(Array.from({ length: 450 }, (_, n) => n + 4));
    expect(hub.readers()).toBe(0);
  });

  test('R8: after the end of the run a reader gets all of it and is done', async () => {
    const { hub, add } = world();
    add(5, 'failed');
    expect(await collect(hub.open(from(0), new AbortController().signal))).toEqual([1, 2, 3, 4, 5]);
  });

  test('a commit while the reader looks is not slept through', async () => {
    const { hub, add } = world();
    const iterator = hub.open(from(0), new AbortController().signal)[Symbol.asyncIterator]();
    const first = iterator.next();
    add(1);
    expect((await first).value).toMatchObject({ kind: 'event', event: { seq: 1 } });
    const second = iterator.next();
    add(1, 'completed');
    expect((await second).value).toMatchObject({ kind: 'event', event: { seq: 2 } });
    expect((await iterator.next()).done).toBe(true);
  });

  test('a reader that goes away is forgotten, and whoever never reads costs a bounded number of deltas', async () => {
    const { hub } = world();
    const gone = new AbortController();
    const iterator = hub.open(from(0), gone.signal)[Symbol.asyncIterator]();
    const waiting = iterator.next();
    for (let n = 0; n < 10_000; n += 1) hub.delta({ runId: 'r', stepNo: 1, text: String(n) });
    expect((await waiting).value).toMatchObject({ kind: 'delta' });
    gone.abort();
    await iterator.return?.(undefined);
    expect(hub.readers()).toBe(0);
  });

  test('R8: what another node commits is seen by its notice, and without one at the next look', async () => {
    const { hub, store } = world();
    const noticed = collect(hub.open(from(0), new AbortController().signal));
    await Promise.resolve();
    store(3, 'completed');
    hub.hear({ kind: 'events', runId: 'r' });
    expect(await noticed).toEqual([1, 2, 3]);

    const silent = world({ pollMs: 5 });
    const looked = collect(silent.hub.open(from(0), new AbortController().signal));
    await Promise.resolve();
    silent.store(2, 'failed');
    expect(await looked).toEqual([1, 2]);
    silent.hub.close();
  });

  test('a node with readers asks for notices; the one that drives the run sends them only to who asked, and not for ever', () => {
    const { hub, state, posted } = world();
    hub.committed('r');
    hub.delta({ runId: 'r', stepNo: 1, text: 'a' });
    expect(posted).toEqual([]);
    hub.hear({ kind: 'watch', runIds: ['r', 'other'] });
    hub.committed('r');
    hub.delta({ runId: 'r', stepNo: 1, text: 'b' });
    expect(posted).toEqual([{ kind: 'events', runId: 'r' }, { kind: 'delta', delta: { runId: 'r', stepNo: 1, text: 'b' } }]);
    state.now += 60_000;
    hub.committed('r');
    expect(posted).toHaveLength(2);
    void hub.open(from(0), new AbortController().signal)[Symbol.asyncIterator]().next();
    expect(posted.at(-1)).toEqual({ kind: 'watch', runIds: ['r'] });
  });

  test('a delta of another node is shown to the readers of this one', async () => {
    const { hub, add } = world();
    const reading = collect(hub.open(from(0), new AbortController().signal));
    await new Promise((resolve) => setImmediate(resolve));
    hub.hear({ kind: 'delta', delta: { runId: 'r', stepNo: 1, text: 'thinking' } });
    await new Promise((resolve) => setImmediate(resolve));
    add(1, 'completed');
    expect(await reading).toEqual(['thinking', 1]);
  });

  test('a thousand readers of one run that wake together cost one look, not a thousand', async () => {
    const { hub, add, state } = world();
    const readers = Array.from({ length: 1_000 }, () => collect(hub.open(from(0), new AbortController().signal)));
    await new Promise((resolve) => setImmediate(resolve));
    state.looks = 0;
    add(1);
    await new Promise((resolve) => setImmediate(resolve));
    add(1, 'completed');
    const seen = await Promise.all(readers);
    expect(new Set(seen.map(String))).toEqual(new Set(['1,2']));
    expect(state.looks).toBeLessThan(20);
    expect(hub.readers()).toBe(0);
  });
});
