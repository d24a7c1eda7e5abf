import type { Access } from '../access.ts';
import type { ModelRequest } from '../request/model-request.ts';

/** What leaves the house: counts and names, never what was found. */
export interface EgressFact {
  readonly access: Access;
  readonly backend: string;
  /** Host name of the endpoint. */
  readonly host: string;
  readonly kind: ModelRequest['kind'];
  readonly decision: 'masked' | 'clean' | 'denied';
  /** How often each recogniser or rule found something. */
  readonly found: Readonly<Record<string, number>>;
  /** Of the body as sent; 0 when denied. */
  readonly bytes: number;
  readonly reason: string | null;
}

/** Puts the originals back into what comes back. One for each answer: a stream has a state. */
export interface AnswerRestorer {
  /** JSON of one chunk in; those that can be passed on out, in order. Holds back no more than a placeholder's length. */
  readonly chunk: (json: string) => readonly string[];
  /** What was held back when the stream is over. */
  readonly end: () => readonly string[];
  readonly document: (json: string) => string;
}

export interface EgressPass {
  /** With placeholders in it, the same for equal values. */
  readonly request: ModelRequest;
  /** null: nothing was found, so nothing has to be put back. */
  readonly restorer: () => AnswerRestorer | null;
  readonly fact: EgressFact;
}

export interface EgressGuard {
  /**
   * The request as it may leave for an external backend. Fails closed: whatever cannot be looked
   * through (an image, an unknown field that holds text too deep) is refused rather than sent.
   * Errors: `policy_denied` (`details.reason`).
   */
  readonly prepare: (request: ModelRequest, access: Access, backend: { readonly name: string; readonly endpoint: string }) => EgressPass;
}
