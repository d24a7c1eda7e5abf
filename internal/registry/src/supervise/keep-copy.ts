import type { Clock } from '@openeaap/kernel';
import { PlatformError, linkSignals, toPlatformError } from '@openeaap/kernel';
import type { PeerOffer, PluginPeer } from './plugin-peer.ts';

export type CopyStatus = 'starting' | 'ready' | 'sick' | 'incompatible' | 'refused' | 'conflict' | 'down' | 'stopped';

export interface CopyState {
  readonly status: CopyStatus;
  /** Safe to show; says what is wrong and the cure. */
  readonly detail: string;
  /** How often it had to be started again. */
  readonly restarts: number;
}

/** One copy of a plugin that is kept alive: opened, looked at, and opened again when it is gone. */
export interface Copy {
  readonly state: () => CopyState;
  /** null: no steps at the moment. */
  readonly peer: () => PluginPeer | null;
  /** Resolves after the first verdict, good or bad. */
  readonly settled: Promise<void>;
  readonly close: (graceMs: number) => Promise<void>;
}

export interface CopyTimes {
  readonly healthEveryMs: number;
  readonly healthTimeoutMs: number;
  readonly backoffMs: { readonly first: number; readonly longest: number };
  /** After so long without trouble the waits begin anew. */
  readonly calmMs: number;
}

export const COPY_TIMES: CopyTimes = { healthEveryMs: 3_000, healthTimeoutMs: 2_000, backoffMs: { first: 200, longest: 30_000 }, calmMs: 60_000 };
/** A busy process may miss a look; a dead one misses all of them. */
const MISSED_LOOKS = 3;
const STOP_GRACE_MS = 2_000;

export interface KeepCopyOptions {
  readonly open: (signal: AbortSignal) => Promise<PluginPeer>;
  /** Takes the offer over, or throws PlatformError `conflict` or `invalid_input`: then the copy gets no steps. */
  readonly admit: (offer: PeerOffer) => void;
  readonly onChange: () => void;
  readonly times: CopyTimes;
  readonly clock: Clock;
}

export function keepCopy(options: KeepCopyOptions): Copy {
  const { times, clock } = options;
  const stop = new AbortController();
  let state: CopyState = { status: 'starting', detail: 'It is being started.', restarts: 0 };
  let live: PluginPeer | null = null;
  let graceMs = STOP_GRACE_MS;
  let tellSettled: () => void = () => undefined;
  const settled = new Promise<void>((resolve) => {
    tellSettled = resolve;
  });
  const set = (status: CopyStatus, detail: string): void => {
    if (state.status === status && state.detail === detail) return;
    state = { ...state, status, detail };
    if (status !== 'starting') tellSettled();
    options.onChange();
  };
  const over = keep();

  return {
    state: () => state,
    peer: () => (state.status === 'ready' ? live : null),
    settled,
    close: async (grace) => {
      graceMs = grace;
      stop.abort();
      await over;
    },
  };

  async function keep(): Promise<void> {
    for (let failures = 0; !stop.signal.aborted; ) {
      const openedAt = clock.now().getTime();
      await openAndWatch();
      if (stop.signal.aborted) break;
      failures = clock.now().getTime() - openedAt > times.calmMs ? 0 : failures + 1;
      state = { ...state, restarts: state.restarts + 1 };
      await clock.sleep(Math.min(times.backoffMs.first * 2 ** Math.max(0, failures - 1), times.backoffMs.longest), stop.signal);
    }
    set('stopped', 'It was stopped.');
    tellSettled();
  }

  /** From the opening to the loss of one copy. Never rejects. */
  async function openAndWatch(): Promise<void> {
    let peer: PluginPeer | null = null;
    try {
      peer = await options.open(stop.signal);
      options.admit(peer.offer);
      peer.onOffer?.((offer) => admitAgain(offer));
      live = peer;
      set('ready', 'It is serving.');
      const reason = await lost(peer);
      if (!stop.signal.aborted) set('down', `${reason} It is started again.`);
    } catch (thrown) {
      if (!stop.signal.aborted) set(statusOf(thrown), toPlatformError(thrown).message);
    } finally {
      live = null;
      await peer?.close(stop.signal.aborted ? graceMs : STOP_GRACE_MS);
    }
  }

  /** What it offers now may collide with others: then it gets no steps until it offers something else. */
  function admitAgain(offer: PeerOffer): void {
    try {
      options.admit(offer);
      options.onChange();
    } catch (thrown) {
      set(statusOf(thrown), toPlatformError(thrown).message);
    }
  }

  /** Resolves with why the copy cannot be used any more. */
  async function lost(peer: PluginPeer): Promise<string> {
    const watch = new AbortController();
    const { signal, release } = linkSignals([stop.signal, watch.signal]);
    try {
      return await Promise.race([peer.closed, look(peer, signal), aborted(stop.signal)]);
    } finally {
      watch.abort();
      release();
    }
  }

  /** A look says nothing about what the copy offers. */
  function recover(): void {
    if (state.status === 'sick') set('ready', 'It is serving.');
  }

  async function look(peer: PluginPeer, signal: AbortSignal): Promise<string> {
    for (let missed = 0; !signal.aborted; ) {
      await clock.sleep(times.healthEveryMs, signal);
      if (signal.aborted) break;
      try {
        const health = await peer.checkHealth(times.healthTimeoutMs);
        missed = 0;
        if (signal.aborted) break;
        if (health.serving) recover();
        else set('sick', health.detail === '' ? 'It says that it cannot serve.' : `It says that it cannot serve: ${health.detail}`);
      } catch (thrown) {
        missed += 1;
        if (signal.aborted) break;
        const { message } = toPlatformError(thrown);
        if (missed >= MISSED_LOOKS) return message;
        if (state.status === 'ready' && missed > 1) set('sick', message);
      }
    }
    return 'It was stopped.';
  }
}

function statusOf(thrown: unknown): CopyStatus {
  if (!(thrown instanceof PlatformError)) return 'down';
  switch (thrown.code) {
    case 'unsupported':
      return 'incompatible';
    case 'conflict':
      return 'conflict';
    case 'invalid_input':
    case 'unauthenticated':
      return 'refused';
    default:
      return 'down';
  }
}

const aborted = (signal: AbortSignal): Promise<string> =>
  new Promise((resolve) => {
    if (signal.aborted) return resolve('It was stopped.');
    signal.addEventListener('abort', () => resolve('It was stopped.'), { once: true });
  });
