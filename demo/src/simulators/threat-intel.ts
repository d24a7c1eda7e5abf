import { createHash } from 'node:crypto';
import { isIP } from 'node:net';
import type { SimulatedRoute } from './simulated-server.ts';
import { badRequest, notFound } from './simulated-server.ts';

interface Reputation {
  readonly score: number;
  readonly tags: readonly string[];
}

/** The addresses of the demo's stories; 198.51.100.0/24 and 203.0.113.0/24 belong to nobody (RFC 5737). */
const KNOWN: ReadonlyMap<string, Reputation> = new Map([
  ['1.2.3.4', { score: 90, tags: ['botnet', 'c2'] }],
  ['198.51.100.7', { score: 86, tags: ['bruteforce', 'credential-stuffing'] }],
  ['198.51.100.23', { score: 74, tags: ['scanner', 'tor-exit'] }],
  ['203.0.113.9', { score: 55, tags: ['vpn-provider'] }],
  ['203.0.113.50', { score: 20, tags: ['residential'] }],
  ['8.8.8.8', { score: 0, tags: ['public-dns'] }],
]);

const OTHER_TAGS = ['hosting', 'residential', 'mobile', 'scanner', 'proxy'] as const;

export interface ThreatIntel {
  readonly route: SimulatedRoute;
  /** Lookups answered so far. */
  readonly lookups: () => number;
}

/**
 * `GET /v1/ip/{ip}` with any non-empty `x-api-key`, in the form of document section 13: `{ip, risk_score, tags}`.
 * Addresses without a story get a score below 60 from a hash of the seed: the same every time, and never worth a block.
 */
export function createThreatIntel(seed: string): ThreatIntel {
  let lookups = 0;
  return {
    lookups: () => lookups,
    route: ({ method, path, headers }) => {
      const [version, kind, ip = '', ...rest] = path;
      if (method !== 'GET' || version !== 'v1' || kind !== 'ip' || rest.length > 0) return notFound('resource');
      if (typeof headers['x-api-key'] !== 'string' || headers['x-api-key'] === '') return { status: 401, body: { error: 'x-api-key is missing' } };
      if (isIP(ip) === 0) return badRequest('not an IP address');
      lookups += 1;
      const { score, tags } = KNOWN.get(ip) ?? fromHash(seed, ip);
      return { status: 200, body: { ip, risk_score: score, tags, source: 'simulated-threat-intel' } };
    },
  };
}

function fromHash(seed: string, ip: string): Reputation {
  const [first = 0, second = 0] = createHash('sha256').update(`${seed}/${ip}`).digest();
  return { score: first % 60, tags: [OTHER_TAGS[second % OTHER_TAGS.length] ?? 'hosting'] };
}
