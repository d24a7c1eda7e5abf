import { describe, expect, it } from 'vitest';
import { withinMs } from './within-ms.ts';

describe('work that may take so long', () => {
  it('is done, has failed, or is late', async () => {
    expect(await withinMs(1_000, Promise.resolve(1))).toEqual({ kind: 'done', value: 1 });
    const reason = new Error('no');
    expect(await withinMs(1_000, Promise.reject(reason))).toEqual({ kind: 'failed', reason });
    expect(await withinMs(1, new Promise(() => undefined))).toEqual({ kind: 'late' });
  });

  it('that fails too late ends nothing', async () => {
    let fail: (error: Error) => void = () => undefined;
    const work = new Promise<void>((_resolve, reject) => (fail = reject));
    expect(await withinMs(1, work)).toEqual({ kind: 'late' });
    // Vitest ends the run for a rejection that nobody takes.
    fail(new Error('late'));
    await new Promise((resolve) => setImmediate(resolve));
  });

  it('has what arrived while the process was busy, though its time was up', async () => {
    const answer = new Promise<string>((resolve) => setTimeout(() => setImmediate(() => resolve('in time')), 4));
    const waited = withinMs(5, answer);
    for (const end = performance.now() + 30; performance.now() < end; );
    expect(await waited).toEqual({ kind: 'done', value: 'in time' });
  });
});
