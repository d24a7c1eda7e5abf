import type { IncomingMessage } from 'node:http';
import { PlatformError, toPlatformError } from '@openeaap/kernel';

/** Of a body that is refused: so that the client reads why, instead of finding its connection reset. */
const DISCARDED_BYTES_MAX = 67_108_864;

export interface BodyLimits {
  readonly limitBytes: number;
  /** Told of each piece. Errors: those of the body. */
  readonly received: (bytes: number) => void;
}

/**
 * The body as text. Errors: `payload_too_large`, what `received` throws, `cancelled` when the client
 * has left or leaves in the middle. What is refused is not read on: see `discard`.
 */
export function readBody(request: IncomingMessage, { limitBytes, received }: BodyLimits): Promise<string> {
  // Of a client that left before, nothing comes any more: neither a piece, nor the end, nor the close.
  if (request.destroyed) return Promise.reject(left());
  return new Promise((resolve, reject) => {
    const pieces: Buffer[] = [];
    let bytes = 0;
    const settle = (): void => {
      request.off('data', onData);
      request.off('end', onEnd);
      request.off('close', onClose);
    };
    const onData = (piece: Buffer): void => {
      bytes += piece.byteLength;
      try {
        if (bytes > limitBytes) throw tooLarge(limitBytes);
        received(piece.byteLength);
        pieces.push(piece);
      } catch (thrown) {
        settle();
        reject(toPlatformError(thrown));
      }
    };
    const onEnd = (): void => {
      settle();
      const [only] = pieces;
      resolve((pieces.length === 1 && only !== undefined ? only : Buffer.concat(pieces)).toString('utf8'));
    };
    const onClose = (): void => {
      settle();
      reject(left());
    };
    request.on('data', onData);
    request.once('end', onEnd);
    request.once('close', onClose);
    // Its reason comes with the close.
    request.on('error', () => undefined);
  });
}

const left = (): PlatformError => new PlatformError('cancelled', 'The client left before its request was complete.');

export function tooLarge(limitBytes: number): PlatformError {
  return new PlatformError('payload_too_large', `The body is larger than the ${limitBytes} bytes that this gateway takes. Send less: shorten the conversation, or send smaller images.`);
}

/** Bytes that a request says it has; null: it does not say. */
export function announcedBytes(request: IncomingMessage): number | null {
  const length = request.headers['content-length'];
  return length === undefined ? null : Number(length);
}

/** Reads the rest of a request that was answered before it was read, and throws it away, up to a bound. */
export function discard(request: IncomingMessage): void {
  let bytes = 0;
  request.on('error', () => undefined);
  request.on('data', (piece: Buffer) => {
    bytes += piece.byteLength;
    if (bytes > DISCARDED_BYTES_MAX) request.destroy();
  });
}
