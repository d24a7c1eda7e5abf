import type { RunEvent, RunStatus } from '@openeaap/kernel';
import { systemClock } from '@openeaap/kernel';
import { describe, expect, test } from 'vitest';
import type { StreamItem } from './event-hub.ts';
import { createEventHub } from './event-hub.ts';

/** A store of one run that the test fills. The poll is an hour away, so only notices wake a reader. */
function world() {
  const state: { events: RunEvent[]; status: RunStatus } = { events: [], status: 'running' };
  const hub = createEventHub({
    readEvents: async ({ afterSeq, limit }) => ({ status: state.status, events: state.events.filter((event) => event.seq > afterSeq).slice(0, limit) }),
    sleep: systemClock.sleep,
    pollMs: 3_600_000,
  });
  const add = (count: number, status: RunStatus = 'running'): void => {
    for (let n = 0; n < count; n += 1) state.events.push({ runId: 'r', seq: state.events.length + 1, type: 'step_thought', data: {}, at: new Date(0) });
    state.status = status;
    hub.committed('r');
  };
  return { hub, add };
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
});
