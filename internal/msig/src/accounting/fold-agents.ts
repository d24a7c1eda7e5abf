import type { UsageRow } from './ledger.ts';

/** Names of agents that holders of one key may bring into the ledger in an hour, on one node. */
export const AGENTS_PER_KEY_MAX = 100;
/** Of all keys together. */
const AGENTS_MAX = 10_000;

type Place = Pick<UsageRow, 'tenantId' | 'keyId' | 'agentId'> & { readonly hourMs: number };

/**
 * With a key a client says itself which agent it is, and each name is a row of every hour: beyond so
 * many the calls are counted without one. Agents of the platform come without a key and are known.
 */
export function foldAgents(maxPerKey: number = AGENTS_PER_KEY_MAX): <P extends Place>(place: P) => P {
  const agents = new Map<string, Set<string>>();
  let hourMs = 0;
  let size = 0;
  return (place) => {
    if (place.keyId === '' || place.agentId === '') return place;
    if (place.hourMs > hourMs) {
      hourMs = place.hourMs;
      size = 0;
      agents.clear();
    }
    const key = `${place.tenantId}\0${place.keyId}`;
    const known = agents.get(key) ?? new Set();
    if (known.has(place.agentId)) return place;
    if (known.size >= maxPerKey || size >= AGENTS_MAX) return { ...place, agentId: '' };
    known.add(place.agentId);
    agents.set(key, known);
    size += 1;
    return place;
  };
}
