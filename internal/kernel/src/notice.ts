import type { StepDelta } from './event.ts';

/**
 * What nodes tell each other so that nobody has to wait for the next poll. Notices are hints: they may be lost, doubled
 * or late, and whoever gets one looks into the store, which alone is true.
 */
export type Notice =
  /** A run may be due. */
  | { readonly kind: 'due' }
  /** Somebody wants a running run to end. */
  | { readonly kind: 'cancel'; readonly runId: string }
  /** Readers on the sending node follow these runs: tell of their events and deltas for a while. */
  | { readonly kind: 'watch'; readonly runIds: readonly string[] }
  /** A run has new events. */
  | { readonly kind: 'events'; readonly runId: string }
  /** Plugins were declared, withdrawn, restarted or accepted. */
  | { readonly kind: 'plugins' }
  | { readonly kind: 'delta'; readonly delta: StepDelta };
