import { PlatformError } from '@openeaap/kernel';
import { isStorable } from './parse-json-body.ts';

/** base64url, so that it needs no escaping in a URL and nobody is tempted to build one. */
export const toCursor = (text: string | null): string | null => (text === null ? null : Buffer.from(text, 'utf8').toString('base64url'));

/** Throws `invalid_input` when it is not base64url of UTF-8 text; what the text means is for the port to check. */
export function fromCursor(cursor: string | undefined): string | null {
  if (cursor === undefined) return null;
  const text = Buffer.from(cursor, 'base64url').toString('utf8');
  if (text !== '' && isStorable(text) && Buffer.from(text, 'utf8').toString('base64url') === cursor) return text;
  throw new PlatformError('invalid_input', 'The cursor is not one that this API gave out.', {
    details: { field: 'cursor', in: 'query', cure: 'Use next_cursor of the page before as it is, or leave it out for the first page.' },
  });
}
