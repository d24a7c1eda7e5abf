import { PlatformError } from '@openeaap/kernel';

/**
 * The `seq` after which a client wants to go on; null when it does not say (an `EventSource`
 * that has seen nothing sends no header, or an empty one). Throws `invalid_input`.
 */
export function readLastEventId(value: string | readonly string[] | undefined): number | null {
  if (value === undefined || value === '') return null;
  if (typeof value === 'string' && /^\d{1,15}$/.test(value)) return Number(value);
  throw new PlatformError('invalid_input', 'Last-Event-ID must be the id of an event of this stream: a whole number, 0 or more.', {
    details: { field: 'Last-Event-ID', cure: 'Send the id of the last event that you have seen, or leave it out to begin at the first.' },
  });
}
