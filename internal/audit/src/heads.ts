import type { KeyObject } from 'node:crypto';
import { createPublicKey, sign, verify } from 'node:crypto';
import type { Clock } from '@openeaap/kernel';
import type { Head } from './chain.ts';

/** A signed statement that a chain had reached a row. Kept in the database and outside of it. */
export interface SignedHead extends Head {
  /** RFC 3339, UTC, milliseconds. */
  readonly signedAt: string;
  /** SPKI PEM of the Ed25519 key. */
  readonly publicKey: string;
  /** Base64. */
  readonly signature: string;
}

export function signHead(head: Head, signedAt: Date, key: KeyObject): SignedHead {
  const at = signedAt.toISOString();
  return {
    ...head,
    signedAt: at,
    publicKey: createPublicKey(key).export({ type: 'spki', format: 'pem' }).toString(),
    signature: sign(null, toSignedText(head, at), key).toString('base64'),
  };
}

export function isHeadGenuine(head: SignedHead): boolean {
  try {
    return verify(null, toSignedText(head, head.signedAt), head.publicKey, Buffer.from(head.signature, 'base64'));
  } catch {
    return false;
  }
}

const toSignedText = (head: Head, signedAt: string): Buffer => Buffer.from(`openeaap.audit.head.v1\n${head.chainId}\n${head.seq}\n${head.hash}\n${signedAt}`);

export interface HeadSigner {
  /** Signs the head as it is now, if it has moved. Rejects when it could not be kept. */
  readonly signNow: () => Promise<void>;
  /** Signs a last time. */
  readonly close: () => Promise<void>;
}

export interface HeadSignerOptions {
  readonly key: KeyObject;
  readonly head: () => Head;
  readonly keep: (head: SignedHead) => Promise<void>;
  readonly clock: Clock;
  /** How much of a tail may be unsigned, in time. 5 s: a cut of more than that is seen. */
  readonly intervalMs?: number;
  readonly onError: (error: unknown) => void;
}

export function createHeadSigner(options: HeadSignerOptions): HeadSigner {
  const closing = new AbortController();
  let signedSeq = 0;
  const signNow = async (): Promise<void> => {
    const head = options.head();
    if (head.seq <= signedSeq) return;
    await options.keep(signHead(head, options.clock.now(), options.key));
    signedSeq = head.seq;
  };
  const loop = (async (): Promise<void> => {
    while (!closing.signal.aborted) {
      await options.clock.sleep(options.intervalMs ?? 5_000, closing.signal);
      await signNow().catch(options.onError);
    }
  })();
  return {
    signNow,
    close: async () => {
      closing.abort();
      await loop;
    },
  };
}
