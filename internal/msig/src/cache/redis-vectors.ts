import { RESP_TYPES } from 'redis';
import { PlatformError } from '@openeaap/kernel';
import type { RedisLink } from './redis-link.ts';
import type { VectorMatch, VectorPlace, VectorStore } from './vector-store.ts';

/**
 * Vector sets, which are in Redis from 8.0 on. A set for each scope, an element for each question
 * with what the guard compares as its attributes, the answers as keys with a life of their own.
 * A server without vector sets, and one that is away, is stood in for by `fallback`.
 */
export interface RedisVectorsOptions {
  readonly prefix: string;
  /** Elements of one scope. */
  readonly maxEntries: number;
  readonly fallback: VectorStore;
  readonly log: (line: string) => void;
}

const WRITE_TIMEOUT_MS = 500;
const AS_BYTES = { [RESP_TYPES.BLOB_STRING]: Buffer } as const;

export function createRedisVectors(link: RedisLink, { prefix, maxEntries, fallback, log }: RedisVectorsOptions): VectorStore {
  const hasVectors = createVectorCheck(link, log);
  const setKey = (scope: string): string => `${prefix}v1:${scope}`;
  const answerKey = ({ scope, id }: Omit<VectorPlace, 'tenantId'>): string => `${prefix}s1:${scope}:${id}`;

  const remove = async (scope: string, id: string): Promise<void> => {
    await link.run((client) => client.sendCommand(['VREM', setKey(scope), id]), WRITE_TIMEOUT_MS);
  };

  /** Elements have no life of their own, so sets that are full lose some, whichever. */
  const makeRoom = async (scope: string): Promise<void> => {
    const size = await link.run((client) => client.sendCommand<number>(['VCARD', setKey(scope)]));
    if (size === null || size < maxEntries) return;
    const some = await link.run((client) => client.sendCommand<readonly string[]>(['VRANDMEMBER', setKey(scope), String(size - maxEntries + 1)]));
    for (const id of some ?? []) await remove(scope, id);
  };

  return {
    search: async (query) => {
      if (!(await hasVectors())) return fallback.search(query);
      const args = ['VSIM', setKey(query.scope), 'FP32', toBytes(query.vector), 'WITHSCORES', 'COUNT', String(query.limit)];
      const found = await link.run((client) => client.sendCommand<readonly string[]>(args));
      if (found === null) throw away();
      const near = toPairs(found).filter(({ similarity }) => similarity >= query.least);
      const facts = await Promise.all(near.map(({ id }) => link.run((client) => client.sendCommand<string | null>(['VGETATTR', setKey(query.scope), id]))));
      return near.flatMap(({ id, similarity }, at): readonly VectorMatch[] => {
        const { facts: fact, untilMs } = parseAttributes(facts[at] ?? null);
        return fact === null || untilMs <= query.nowMs ? [] : [{ id, similarity, facts: fact }];
      });
    },
    add: async (entry) => {
      if (!(await hasVectors())) return fallback.add(entry);
      const { scope, id, vector, facts, answer, nowMs, untilMs } = entry;
      const lifeMs = Math.ceil(untilMs - nowMs);
      if (lifeMs <= 0) return;
      await makeRoom(scope);
      const attributes = JSON.stringify({ facts, until_ms: untilMs });
      const done = await link.run(async (client) => {
        // The answer first: an element without one is a look in vain.
        await client.set(answerKey(entry), Buffer.from(answer), { expiration: { type: 'PX', value: lifeMs } });
        await client.sendCommand(['VADD', setKey(scope), 'FP32', toBytes(vector), id, 'NOQUANT', 'SETATTR', attributes]);
        // As long as its last element; a life that is longer already stays.
        await client.sendCommand(['PEXPIRE', setKey(scope), String(lifeMs), 'NX']);
        return client.sendCommand(['PEXPIRE', setKey(scope), String(lifeMs), 'GT']);
      }, WRITE_TIMEOUT_MS);
      if (done === null) throw away();
    },
    load: async (place) => {
      if (!(await hasVectors())) return fallback.load(place);
      const bytes = await link.run((client) => client.withTypeMapping(AS_BYTES).get(answerKey(place)));
      if (bytes === null && link.isUp()) await remove(place.scope, place.id);
      return bytes;
    },
    close: () => fallback.close(),
  };
}

/** Asked once for each connection: after a reconnect it may be another server. */
function createVectorCheck(link: RedisLink, log: (line: string) => void): () => Promise<boolean> {
  let seen = { connection: 0, hasVectors: false };
  return async () => {
    if (!link.isUp()) return false;
    const connection = link.connections();
    if (seen.connection === connection) return seen.hasVectors;
    const info = await link.run((client) => client.sendCommand<readonly unknown[]>(['COMMAND', 'INFO', 'VADD', 'VSIM']));
    if (info === null) return false;
    seen = { connection, hasVectors: info.length === 2 && info.every(Array.isArray) };
    if (!seen.hasVectors) log('This Redis has no vector sets (they come with 8.0): the semantic cache keeps its vectors in the process.');
    return seen.hasVectors;
  };
}

const away = (): PlatformError => new PlatformError('unavailable', 'Redis did not answer in time.');

function toBytes({ buffer, byteOffset, byteLength }: Float32Array): Buffer {
  return Buffer.from(buffer, byteOffset, byteLength);
}

/** The server's score is 1 for the same direction and 0 for the opposite one: (1 + cosine) / 2. */
function toPairs(found: readonly string[]): readonly { readonly id: string; readonly similarity: number }[] {
  return found.flatMap((id, at) => (at % 2 === 0 ? [{ id, similarity: 2 * Number(found[at + 1]) - 1 }] : []));
}

function parseAttributes(text: string | null): { readonly facts: string | null; readonly untilMs: number } {
  try {
    const value = JSON.parse(text ?? '{}') as { readonly facts?: unknown; readonly until_ms?: unknown };
    return { facts: typeof value.facts === 'string' ? value.facts : null, untilMs: typeof value.until_ms === 'number' ? value.until_ms : 0 };
  } catch {
    return { facts: null, untilMs: 0 };
  }
}
