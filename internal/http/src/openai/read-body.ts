import type { IncomingMessage } from 'node:http';
import { PlatformError } from '@openeaap/kernel';

/** Of a body that is refused: so that the client reads why, instead of finding its connection reset. */
const DISCARDED_BYTES_MAX = 67_108_864;

/**
 * The body as text. Errors: `payload_too_large`, `cancelled` when the client leaves in the middle.
 * What was refused is read on and thrown away, up to a bound.
 */
export function readBody(request: IncomingMessage, limitBytes: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const pieces: Buffer[] = [];
    let bytes = 0;
    let isRefused = false;
    const onData = (piece: Buffer): void => {
      bytes += piece.byteLength;
      if (bytes <= limitBytes) return void pieces.push(piece);
      if (!isRefused) {
        isRefused = true;
        pieces.length = 0;
        reject(tooLarge(limitBytes));
      }
      if (bytes > limitBytes + DISCARDED_BYTES_MAX) request.destroy();
    };
    const onEnd = (): void => {
      request.off('close', onClose);
      if (isRefused) return;
      const [only] = pieces;
      resolve((pieces.length === 1 && only !== undefined ? only : Buffer.concat(pieces)).toString('utf8'));
    };
    const onClose = (): void => reject(new PlatformError('cancelled', 'The client left before its request was complete.'));
    request.on('data', onData);
    request.once('end', onEnd);
    request.once('close', onClose);
    // Its reason comes with the close.
    request.on('error', () => undefined);
  });
}

export function tooLarge(limitBytes: number): PlatformError {
  return new PlatformError('payload_too_large', `The body is larger than the ${limitBytes} bytes that this gateway takes. Send less: shorten the conversation, or send smaller images.`);
}

/** Bytes that a request says it has; null: it does not say. */
export function announcedBytes(request: IncomingMessage): number | null {
  const length = request.headers['content-length'];
  return length === undefined ? null : Number(length);
}

/** Reads the rest of a request that was answered before it was read. */
export function discard(request: IncomingMessage): void {
  let bytes = 0;
  request.on('error', () => undefined);
  request.on('data', (piece: Buffer) => {
    bytes += piece.byteLength;
    if (bytes > DISCARDED_BYTES_MAX) request.destroy();
  });
}
