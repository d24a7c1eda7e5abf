import type { RoutingConfig } from '../config/gateway-config.ts';
import { PREFIX_BLOCKS_MAX } from './prefix-chain.ts';
import type { PrefixChain } from './prefix-chain.ts';
import type { Server } from './server.ts';

export interface Wish {
  /** Empty: too short a prompt, or nobody to choose from. */
  readonly chain: PrefixChain;
  /** Endpoints that this call has asked in vain. */
  readonly avoid: readonly string[];
}

export interface ChooseOptions {
  readonly maxConcurrent: number;
  readonly affinity: RoutingConfig['affinity'];
  /** 0 up to 1. */
  readonly random: () => number;
}

export interface Choice {
  readonly server: Server;
  /** null: the beginning of the prompt played no part. */
  readonly affinity: 'hit' | 'placed' | 'escaped' | null;
}

/** A block of the prefix chain; a smaller least prefix needs smaller blocks to be seen. */
const BLOCK_CHARS = 256;
/** A full KV cache makes a server as slow as if it had so many times the work. */
const FULL_FACTOR = 4;

export function blockCharsOf({ minPrefixChars }: RoutingConfig['affinity']): number {
  return Math.min(BLOCK_CHARS, minPrefixChars);
}

/**
 * The server for one request. `busy`: those that may be asked have all their places taken; `closed`:
 * none may be asked. In this order: a server whose breaker wants a probe gets it; what was ejected
 * is used only when nothing else may be asked, what was asked in vain only when nothing else has a
 * place; then the server that holds the beginning of the prompt, unless it has too much to do; for a
 * new beginning the one that every gateway would choose (rendezvous hashing); else the less loaded
 * of two at random.
 */
export function chooseServer(servers: readonly Server[], wish: Wish, options: ChooseOptions): Choice | 'busy' | 'closed' {
  const usable = usableOf(servers);
  if (usable.length === 0) return 'closed';
  const free = usable.filter((server) => server.inFlight() < options.maxConcurrent);
  if (free.length === 0) return 'busy';
  const probed = wish.avoid.length === 0 ? free.find((server) => server.admits() === 'probe') : undefined;
  if (probed !== undefined) return { server: probed, affinity: null };
  const fresh = orAll(free, ({ endpoint }) => !wish.avoid.includes(endpoint));
  return chooseAmong(orAll(fresh, (server) => server.admits() === 'yes'), wish.chain, options);
}

/** Whether `chooseServer` would choose one that was not asked in vain. */
export function hasOther(servers: readonly Server[], { avoid, maxConcurrent }: Pick<Wish, 'avoid'> & Pick<ChooseOptions, 'maxConcurrent'>): boolean {
  return usableOf(servers).some((server) => server.inFlight() < maxConcurrent && !avoid.includes(server.endpoint));
}

/** What was ejected, only when nothing else may be asked. */
function usableOf(servers: readonly Server[]): readonly Server[] {
  return orAll(servers.filter((server) => server.admits() !== 'no'), (server) => !server.isEjected());
}

/** Those that pass, or all where none does. */
function orAll(servers: readonly Server[], passes: (server: Server) => boolean): readonly Server[] {
  if (servers.length === 1) return servers;
  const passed = servers.filter(passes);
  return passed.length === 0 ? servers : passed;
}

function chooseAmong(servers: readonly Server[], chain: PrefixChain, options: ChooseOptions): Choice {
  const { affinity, random } = options;
  const blocksMin = Math.min(PREFIX_BLOCKS_MAX, Math.ceil(affinity.minPrefixChars / blockCharsOf(affinity)));
  const key = chain[blocksMin - 1];
  if (servers.length === 1 || key === undefined) return { server: lighterOfTwo(servers, random), affinity: null };
  const holder = longestHolder(servers, chain, blocksMin);
  const wanted = holder ?? byRendezvous(servers, key);
  if (hasRoom(wanted, servers, affinity.maxImbalance)) return { server: wanted, affinity: holder === null ? 'placed' : 'hit' };
  return { server: lighterOfTwo(servers.filter((server) => server !== wanted), random), affinity: 'escaped' };
}

/** Of several that hold as much, the lightest. */
function longestHolder(servers: readonly Server[], chain: PrefixChain, blocksMin: number): Server | null {
  let best: Server | null = null;
  let longest = blocksMin;
  for (const server of servers) {
    const blocks = server.prefixes.match(chain);
    if (blocks < longest || (best !== null && blocks === longest && isLighter(best, server))) continue;
    best = server;
    longest = blocks;
  }
  return best;
}

/** The same for every gateway that sees the same servers, and for most beginnings also when one comes or goes. */
function byRendezvous(servers: readonly Server[], key: number): Server {
  return servers.reduce((best, server) => (mix(key ^ server.hash) > mix(key ^ best.hash) ? server : best));
}

/** The finish of MurmurHash3: every bit of the key changes half of those of the result. */
function mix(key: number): number {
  let hash = key;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85_eb_ca_6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2_b2_ae_35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

function hasRoom(server: Server, servers: readonly Server[], maxImbalance: number): boolean {
  const load = server.load();
  const loads = servers.map((each) => each.load());
  if (load.isFull && loads.some((each) => !each.isFull)) return false;
  return load.outstanding <= Math.min(...loads.map(({ outstanding }) => outstanding)) + maxImbalance;
}

function lighterOfTwo(servers: readonly Server[], random: () => number): Server {
  const at = Math.floor(random() * servers.length);
  // Another one, for a server compared with itself is one at random.
  const other = (at + 1 + Math.floor(random() * (servers.length - 1))) % servers.length;
  const [a, b] = [servers[at], servers[other]];
  if (a === undefined || b === undefined) throw new RangeError('There is no server to choose from.');
  return isLighter(a, b) ? a : b;
}

/** By what a request would wait: the time to the first byte, for each that is before it. Where a time is not known, the number before it decides. */
function isLighter(a: Server, b: Server): boolean {
  const [aMs, bMs] = [a.fadedFirstByteMs(), b.fadedFirstByteMs()];
  const isKnown = aMs !== null && bMs !== null;
  return workOf(a) * (isKnown ? Math.max(1, aMs) : 1) <= workOf(b) * (isKnown ? Math.max(1, bMs) : 1);
}

function workOf(server: Server): number {
  const { outstanding, waiting, isFull } = server.load();
  return (1 + outstanding + waiting) * (isFull ? FULL_FACTOR : 1);
}
