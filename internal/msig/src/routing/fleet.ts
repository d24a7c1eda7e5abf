import type { PlatformError } from '@openeaap/kernel';
import type { Access } from '../access.ts';
import type { BackendConfig } from '../config/gateway-config.ts';
import type { ModelRequest } from '../request/model-request.ts';
import type { Asker } from './model-catalog.ts';

/** One server of a backend, and the right to ask it now. */
export interface Place {
  /** Base URL, one of the backend's `endpoints`; empty for a backend without a server. */
  readonly endpoint: string;
  /** The answer has begun: a probe has then shown what it was for, however long the answer is. May be left out. */
  readonly began: () => void;
  /** Once, when the try has ended. */
  readonly leave: (seen: TryOutcome) => void;
}

export interface TryOutcome {
  /** null: it answered. An abort by the caller (`cancelled`) says nothing about the server. */
  readonly error: PlatformError | null;
  /** null: nothing came. */
  readonly firstByteMs: number | null;
  readonly totalMs: number;
}

export interface BackendHealth {
  readonly name: string;
  /** `unknown` before its first call. `down`: no server of it may be asked, or it has only failed or refused so far, or refused the latest five. */
  readonly state: 'unknown' | 'up' | 'down';
  /** Safe to show. */
  readonly detail: string;
  readonly breaker: 'closed' | 'open' | 'half_open';
  readonly inFlight: number;
  readonly queued: number;
  /** Exponentially weighted; null before the first answer. */
  readonly firstByteMs: number | null;
  readonly totalMs: number | null;
}

/** For metrics and the log. */
export type FleetEvent =
  | { readonly kind: 'breaker'; readonly backend: string; readonly endpoint: string; readonly state: BackendHealth['breaker'] }
  /** A server does much worse than the others of its backend and gets nothing for a while. */
  | { readonly kind: 'ejected'; readonly backend: string; readonly endpoint: string; readonly reason: 'errors' | 'latency'; readonly forMs: number }
  /** A server asked for a pause (429 with a retry-after). */
  | { readonly kind: 'cooling'; readonly backend: string; readonly endpoint: string; readonly forMs: number }
  /** `hit`: to the server that holds the beginning; `placed`: nobody held it; `escaped`: the one that should have got it had too much to do. */
  | { readonly kind: 'affinity'; readonly backend: string; readonly outcome: 'hit' | 'placed' | 'escaped' }
  | { readonly kind: 'queue'; readonly backend: string; readonly outcome: 'served' | 'full' | 'timeout' | 'left' | 'closed'; readonly waitedMs: number }
  | { readonly kind: 'retry'; readonly backend: string; readonly granted: boolean };

export interface Plan {
  /** Best first, never empty. */
  readonly backends: readonly BackendConfig[];
  /**
   * Those of them that stand in for another, wherever they come: while that one is away they come
   * first. None, where only fallbacks can answer this request at all: then they are who is asked.
   */
  readonly fallbacks: readonly BackendConfig[];
}

/** All backends as they are now: which may answer, how they do, and who may ask them next. */
export interface Fleet {
  /**
   * The backends that may answer. Errors: `not_found` (no such model), `permission_denied` (not for
   * this key), `invalid_input` (no backend can do this kind of request, or has room for so long a
   * prompt), `policy_denied` (Confidential, and every backend is external).
   */
  readonly plan: (request: ModelRequest, access: Access) => Plan;
  /** The backends that some name leads to which this key may ask for, the default one first. */
  readonly visibleModels: (asker: Asker) => readonly BackendConfig[];
  /** The first of those that `model` stands for, by the same names as a plan. Errors: `not_found`, `permission_denied`. */
  readonly find: (model: string, asker: Asker) => BackendConfig;
  /**
   * A place at one of the backend's servers, waited for in a bounded queue. Errors:
   * `model_unavailable` (`details.reason`: `breaker_open`, `queue_full`, `queue_timeout`, with
   * `retry_after_ms`), the signal's reason.
   */
  readonly enter: (backend: BackendConfig, request: ModelRequest, access: Access, call: { readonly signal: AbortSignal; readonly deadlineMs: number; readonly avoid: readonly string[] }) => Promise<Place>;
  /** Whether `enter` would give a place at a server that is not in `avoid`: another try need not wait then. */
  readonly hasOther: (backend: BackendConfig, avoid: readonly string[]) => boolean;
  /** Takes one retry from the budget; false: there have been too many for the traffic. */
  readonly takeRetry: (backend: BackendConfig) => boolean;
  readonly health: () => readonly BackendHealth[];
  readonly close: () => Promise<void>;
}
