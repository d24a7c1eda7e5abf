import type { OpenAiRouted } from './port.ts';

/** What the client is told about where its answer comes from. Names go through as they are only where a header can hold them. */
export function withRouted(headers: Record<string, string | number>, routed: OpenAiRouted | null): Record<string, string | number> {
  if (routed === null) return headers;
  const { backend, cache } = routed;
  Object.assign(headers, routed.headers);
  headers['x-openeaap-backend'] = backend.replaceAll(/[^\u0020-\u007e]/g, '_');
  // Where it was found says more than that it was.
  headers['x-openeaap-cache'] = cache.state === 'hit' && cache.level !== null ? cache.level : cache.state;
  if (cache.ageMs !== null) headers['age'] = Math.floor(cache.ageMs / 1_000);
  if (cache.similarity !== null) headers['x-openeaap-similarity'] = cache.similarity.toFixed(4);
  return headers;
}
