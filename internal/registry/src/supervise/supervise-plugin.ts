import type { ThinkContext, ThinkRequest, ThinkResponse, ToolContext, ToolInvocation, ToolOutcome } from '@openeaap/adapter';
import { NOTHING_CHANGED } from '@openeaap/adapter';
import type { Clock } from '@openeaap/kernel';
import { PlatformError, createBell } from '@openeaap/kernel';
import type { Copy, CopyState, CopyTimes } from './keep-copy.ts';
import { keepCopy } from './keep-copy.ts';
import type { OpenPeer, PeerOffer, PluginPeer } from './plugin-peer.ts';

/** All copies of one declared plugin, behind one door: steps go to the copy that has least to do. */
export interface SupervisedPlugin {
  readonly name: string;
  /** What it offers; while it is down, what it offered last; null: it never came up. */
  readonly offer: () => PeerOffer | null;
  readonly copies: () => readonly CopyState[];
  readonly isReady: () => boolean;
  /** Waits for a copy; see `PluginPeer` for the errors, and `tool_unavailable` with `sent: false` when there is none in time. */
  readonly callTool: (invocation: ToolInvocation, context: ToolContext, timeoutMs: number) => Promise<ToolOutcome>;
  /** A think changes nothing, so it is tried again with another copy when one breaks. Errors: `unavailable` when there is none in time. */
  readonly think: (request: ThinkRequest, context: ThinkContext) => Promise<ThinkResponse>;
  /** Resolves when every copy has been judged once, good or bad. */
  readonly settled: Promise<void>;
  /** No new steps; those under way get `graceMs`. */
  readonly close: (graceMs: number) => Promise<void>;
}

export interface SuperviseOptions {
  readonly name: string;
  readonly replicas: number;
  readonly open: OpenPeer;
  readonly admit: (offer: PeerOffer) => void;
  readonly onChange: () => void;
  readonly times: CopyTimes;
  readonly clock: Clock;
}

/** How long a call waits for a copy that is on its way: a crashed one is back within a second or two. */
export const WAIT_FOR_COPY_MS = 10_000;
const THINK_TRIES = 3;
/** Of a call that the plugin says it did not begin, or that changed nothing: a stopping or a busy copy, a product that is away. */
const CALL_TRIES = 3;
const CALL_RETRY_MS = 200;
/** A think may take as long as its run lets it: the signal ends it. This is the ceiling on the wire. */
const THINK_CEILING_MS = 600_000;

export function supervisePlugin(options: SuperviseOptions): SupervisedPlugin {
  let offer: PeerOffer | null = null;
  let closing = false;
  const busy = new Map<PluginPeer, number>();
  const bell = createWaiters();
  const copies: readonly Copy[] = Array.from({ length: options.replicas }, (_, replica) =>
    keepCopy({
      open: (signal) => options.open(replica, signal),
      admit: (given) => {
        options.admit(given);
        offer = given;
      },
      onChange: () => {
        bell.ring();
        options.onChange();
      },
      times: options.times,
      clock: options.clock,
    }),
  );

  return {
    name: options.name,
    offer: () => offer,
    copies: () => copies.map((copy) => copy.state()),
    isReady: () => copies.some((copy) => copy.peer() !== null),
    callTool: async (invocation, context, timeoutMs) => {
      for (let tries = 1; ; tries += 1) {
        const peer = await acquire(Math.min(WAIT_FOR_COPY_MS, timeoutMs), context.signal, 'tool_unavailable');
        try {
          return await work(peer, () => peer.callTool(invocation, context, timeoutMs));
        } catch (thrown) {
          if (!hasChangedNothing(thrown)) throw thrown;
          if (tries >= CALL_TRIES || context.signal.aborted) throw new PlatformError(thrown.code, thrown.message, { details: { ...thrown.details, sent: false }, cause: thrown });
          await options.clock.sleep(CALL_RETRY_MS * tries, context.signal);
        }
      }
    },
    think: async (request, context) => {
      for (let tries = 1; ; tries += 1) {
        const peer = await acquire(THINK_CEILING_MS, context.signal, 'unavailable');
        try {
          return await work(peer, () => peer.think(request, context, THINK_CEILING_MS));
        } catch (thrown) {
          if (tries >= THINK_TRIES || context.signal.aborted || !mayTryAgain(thrown)) throw thrown;
        }
      }
    },
    settled: Promise.all(copies.map((copy) => copy.settled)).then(() => undefined),
    close: async (graceMs) => {
      closing = true;
      bell.ring();
      await drained(graceMs);
      await Promise.all(copies.map((copy) => copy.close(graceMs)));
    },
  };

  async function work<T>(peer: PluginPeer, step: () => Promise<T>): Promise<T> {
    try {
      return await step();
    } finally {
      const left = (busy.get(peer) ?? 1) - 1;
      if (left === 0) busy.delete(peer);
      else busy.set(peer, left);
      bell.ring();
    }
  }

  /** The copy with least to do. Errors: `code`, with `sent: false`. */
  async function acquire(waitMs: number, signal: AbortSignal, code: 'tool_unavailable' | 'unavailable'): Promise<PluginPeer> {
    const until = options.clock.now().getTime() + waitMs;
    for (;;) {
      if (signal.aborted) throw new PlatformError('cancelled', 'The step was stopped.', { details: { sent: false } });
      const peer = closing ? null : leastBusy();
      if (peer !== null) {
        busy.set(peer, (busy.get(peer) ?? 0) + 1);
        return peer;
      }
      const leftMs = until - options.clock.now().getTime();
      if (closing || leftMs <= 0) throw new PlatformError(code, unavailable(), { details: { sent: false, plugin: options.name } });
      await bell.wait(leftMs, signal);
    }
  }

  function leastBusy(): PluginPeer | null {
    const free = copies.flatMap((copy) => {
      const peer = copy.peer();
      const load = peer === null ? 0 : (busy.get(peer) ?? 0);
      return peer === null || (peer.offer.maxConcurrentSteps > 0 && load >= peer.offer.maxConcurrentSteps) ? [] : [{ peer, load }];
    });
    return free.reduce<{ peer: PluginPeer; load: number } | null>((best, next) => (best === null || next.load < best.load ? next : best), null)?.peer ?? null;
  }

  function unavailable(): string {
    const ready = copies.filter((copy) => copy.peer() !== null).length;
    if (ready > 0) return `All ${ready} copies of the plugin "${options.name}" are busy; nothing was done.`;
    return `The plugin "${options.name}" is down; nothing was done. ${copies[0]?.state().detail ?? ''}`.trim();
  }

  async function drained(graceMs: number): Promise<void> {
    const until = options.clock.now().getTime() + graceMs;
    const never = new AbortController().signal;
    while (busy.size > 0 && options.clock.now().getTime() < until) await bell.wait(until - options.clock.now().getTime(), never);
  }
}

/** `retryable` on the wire: the plugin vouches for it. */
const hasChangedNothing = (thrown: unknown): thrown is PlatformError => thrown instanceof PlatformError && thrown.details[NOTHING_CHANGED] === true;

/** The connection broke, the copy was gone before the step was sent, or it refused to begin. What the agent itself says is final. */
const mayTryAgain = (thrown: unknown): boolean => thrown instanceof PlatformError && (thrown.details['broke'] === true || (hasChangedNothing(thrown) && thrown.code === 'unavailable') || (thrown.details['sent'] === false && thrown.code === 'unavailable'));

/** Many may wait at once; a ring wakes all of them. */
function createWaiters(): { readonly ring: () => void; readonly wait: (ms: number, signal: AbortSignal) => Promise<void> } {
  const waiting = new Set<() => void>();
  return {
    ring: () => {
      for (const wake of waiting) wake();
    },
    wait: async (ms, signal) => {
      const bell = createBell();
      waiting.add(bell.ring);
      try {
        await bell.wait(ms, signal);
      } finally {
        waiting.delete(bell.ring);
      }
    },
  };
}
