import { getEventListeners } from 'node:events';
import { describe, expect, test, vi } from 'vitest';
import { createBell, linkSignals, unlessAborted } from './signal.ts';

const never = (): AbortSignal => new AbortController().signal;

describe('linkSignals', () => {
  test('aborts with the first of its parents, and with its reason', () => {
    const [a, b] = [new AbortController(), new AbortController()];
    const linked = linkSignals([a.signal, b.signal]);
    b.abort('b');
    expect(linked.signal.reason).toBe('b');
    expect(linked.timedOut()).toBe(false);
  });

  test('a parent that had aborted before counts at once', () => {
    expect(linkSignals([never(), AbortSignal.abort('gone')]).signal.reason).toBe('gone');
  });

  test('aborts when its time is up, and says that it was the time', () => {
    vi.useFakeTimers();
    const linked = linkSignals([never()], 50);
    vi.advanceTimersByTime(49);
    expect(linked.signal.aborted).toBe(false);
    vi.advanceTimersByTime(1);
    expect([linked.signal.aborted, linked.timedOut()]).toEqual([true, true]);
    vi.useRealTimers();
  });

  test('released, it holds on to no parent and no timer', () => {
    vi.useFakeTimers();
    const parent = new AbortController();
    const linked = linkSignals([parent.signal], 50);
    linked.release();
    expect([getEventListeners(parent.signal, 'abort').length, vi.getTimerCount()]).toEqual([0, 0]);
    parent.abort();
    expect(linked.signal.aborted).toBe(false);
    vi.useRealTimers();
  });

  test('once it has aborted, it holds on to no parent either', () => {
    const [a, b] = [new AbortController(), new AbortController()];
    linkSignals([a.signal, b.signal]);
    a.abort();
    expect(getEventListeners(b.signal, 'abort')).toHaveLength(0);
  });
});

describe('unlessAborted', () => {
  const gone = (): Error => new Error('gone');

  test('gives what the work gives, and leaves no listener behind', async () => {
    const { signal } = new AbortController();
    await expect(unlessAborted(signal, Promise.resolve(7), gone)).resolves.toBe(7);
    expect(getEventListeners(signal, 'abort')).toHaveLength(0);
  });

  test('work that hangs is left, and its late failure is nobody\'s', async () => {
    const controller = new AbortController();
    let fail: (error: Error) => void = () => undefined;
    const answer = unlessAborted(controller.signal, new Promise<never>((_resolve, reject) => (fail = reject)), gone);
    controller.abort();
    await expect(answer).rejects.toThrow('gone');
    fail(new Error('late'));
  });
});

describe('createBell', () => {
  test('a ring wakes who waits', async () => {
    const bell = createBell();
    const waited = bell.wait(60_000, never());
    bell.ring();
    await expect(waited).resolves.toBeUndefined();
  });

  test('a ring before the wait is remembered, once', async () => {
    vi.useFakeTimers();
    const bell = createBell();
    bell.ring();
    bell.ring();
    await bell.wait(60_000, never());
    let isOver = false;
    const second = bell.wait(1_000, never()).then(() => (isOver = true));
    await Promise.resolve();
    expect(isOver).toBe(false);
    vi.advanceTimersByTime(1_000);
    await second;
    vi.useRealTimers();
  });

  test('a stop ends the wait', async () => {
    const stop = new AbortController();
    const waited = createBell().wait(60_000, stop.signal);
    stop.abort();
    await expect(waited).resolves.toBeUndefined();
    await expect(createBell().wait(60_000, stop.signal)).resolves.toBeUndefined();
  });
});
