import { LIMITS } from '@openeaap/kernel';
import type { JsonValue } from '@openeaap/kernel';
import type { ApiClient } from './api-client.ts';
import { fieldOf, listOf } from './view.ts';

/** Most pages that one command reads. */
const PAGES_CEILING = 50;

export interface Collected {
  readonly items: readonly JsonValue[];
  /** Where the next page begins; null: that was all. */
  readonly nextCursor: string | null;
}

export interface PageQuery {
  readonly path: string;
  readonly query?: Readonly<Record<string, string | undefined>>;
  /** Most items. */
  readonly limit: number;
  /** Of what the server sends, which items count. */
  readonly keep?: (item: JsonValue) => boolean;
}

/** Reads page after page of a list until there are `limit` items or no more. */
export async function collectPages(api: ApiClient, wanted: PageQuery): Promise<Collected> {
  const items: JsonValue[] = [];
  let cursor: string | undefined;
  for (let page = 0; page < PAGES_CEILING && items.length < wanted.limit; page += 1) {
    // With `keep`, how many of a page will count is not known before, so ask for full pages.
    const size = wanted.keep === undefined ? Math.min(wanted.limit - items.length, LIMITS.pageSizeCeiling) : LIMITS.pageSizeCeiling;
    const { body } = await api.request({ path: wanted.path, query: { ...wanted.query, limit: size, cursor } });
    items.push(...listOf(body, 'items').filter((item) => wanted.keep?.(item) ?? true));
    const next = fieldOf(body, 'next_cursor');
    cursor = typeof next === 'string' && next !== cursor ? next : undefined;
    if (cursor === undefined) break;
  }
  return { items: items.slice(0, wanted.limit), nextCursor: cursor ?? null };
}
