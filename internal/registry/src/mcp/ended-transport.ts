import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js';

/** A transport that can say why it ended. */
export interface EndedTransport extends Transport {
  /** In words, for the middle of a sentence; null: it has not. */
  readonly ended: () => string | null;
  /** Ends it at once, for a reason. */
  readonly giveUp: (why: string) => void;
}

/** The reason when it was us. */
export const STOPPED = 'it was stopped';
