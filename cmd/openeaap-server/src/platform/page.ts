import { PlatformError, isUuid } from '@openeaap/kernel';
import type { Page, PageRequest } from '@openeaap/http';

/** Pages by id: one row more than asked for tells whether there is another page. */
export async function pageById<T>(page: PageRequest, idOf: (item: T) => string, list: (query: { readonly before: string | undefined; readonly limit: number }) => Promise<readonly T[]>): Promise<Page<T>> {
  if (page.cursor !== null && !isUuid(page.cursor)) throw new PlatformError('invalid_input', 'This cursor was not made by this list.', { details: { field: 'cursor' } });
  const items = await list({ before: page.cursor ?? undefined, limit: page.limit + 1 });
  const shown = items.slice(0, page.limit);
  const last = shown.at(-1);
  return { items: shown, nextCursor: items.length > page.limit && last !== undefined ? idOf(last) : null };
}
