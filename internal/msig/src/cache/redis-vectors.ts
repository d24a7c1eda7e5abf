import { RESP_TYPES } from 'redis';
import { isJsonObject, PlatformError } from '@openeaap/kernel';
import { parseJson } from '../parse-json.ts';
import type { RedisLink } from './redis-link.ts';
import type { VectorMatch, VectorPlace, VectorStore } from './vector-store.ts';

/**
 * Vector sets, as Redis has them from 8.2 on. A set for each scope, an element for each question
 * with what the guard compares as its attributes, the answers as keys with a life of their own, and
 * one index of all elements by the end of their time, for elements have none. A server without
 * vector sets, and one that is away, is stood in for by `fallback`.
 */
export interface RedisVectorsOptions {
  readonly prefix: string;
  /** Questions of all tenants together; what would expire first goes first. */
  readonly maxEntries: number;
  readonly fallback: VectorStore;
  readonly log: (line: string) => void;
}

const WRITE_TIMEOUT_MS = 500;
/** Elements that one search looks at for some whose time is not over. */
const FILTERED_MAX = 2_000;
/** Entries that one `add` takes out: more than it brings in, and few enough to be quick. */
const FORGOTTEN_MAX = 64;
const AS_BYTES = { [RESP_TYPES.BLOB_STRING]: Buffer } as const;

type Place = Omit<VectorPlace, 'tenantId'>;

export function createRedisVectors(link: RedisLink, { prefix, maxEntries, fallback, log }: RedisVectorsOptions): VectorStore {
  const hasVectors = createVectorCheck(link, log);
  const index = `${prefix}i1`;
  const setKey = (scope: string): string => `${prefix}v1:${scope}`;
  const answerKey = ({ scope, id }: Place): string => `${prefix}s1:${scope}:${id}`;

  const forget = async (places: readonly Place[]): Promise<void> => {
    await link.run(
      (client) => Promise.all(places.flatMap((place) => [client.unlink(answerKey(place)), client.sendCommand(['VREM', setKey(place.scope), place.id]), client.zRem(index, memberOf(place))])),
      WRITE_TIMEOUT_MS,
    );
  };

  /** What is over, and what is too much. Nodes that do it at the same time take out the same. */
  const makeRoom = async (nowMs: number): Promise<void> => {
    const seen = await link.run((client) => Promise.all([client.zCard(index), client.zRangeWithScores(index, 0, FORGOTTEN_MAX - 1)]), WRITE_TIMEOUT_MS);
    if (seen === null) return;
    const [size, first] = seen;
    const gone = first.filter(({ score }, at) => score <= nowMs || at < size - maxEntries);
    if (gone.length > 0) await forget(gone.map(({ value }) => placeOf(value)));
  };

  return {
    search: async (query) => {
      if (!(await hasVectors())) return fallback.search(query);
      const args = ['VSIM', setKey(query.scope), 'FP32', toBytes(query.vector), 'WITHSCORES', 'WITHATTRIBS', 'COUNT', String(query.limit), 'FILTER', `.until_ms > ${query.nowMs}`, 'FILTER-EF', String(FILTERED_MAX)];
      const found = await link.run((client) => client.sendCommand<readonly (string | null)[]>(args));
      if (found === null) throw away();
      return toMatches(found).filter(({ similarity }) => similarity >= query.least);
    },
    add: async (entry) => {
      if (!(await hasVectors())) return fallback.add(entry);
      const { scope, id, vector, facts, answer, nowMs, untilMs } = entry;
      const lifeMs = Math.ceil(untilMs - nowMs);
      if (lifeMs <= 0 || maxEntries < 1) return;
      const attributes = JSON.stringify({ facts, until_ms: untilMs });
      const done = await link.run(async (client) => {
        // An entry of the index without an element is forgotten in time, an element without its entry never; and one without an answer is a look in vain.
        await client.zAdd(index, { score: untilMs, value: memberOf(entry) });
        await client.set(answerKey(entry), Buffer.from(answer), { expiration: { type: 'PX', value: lifeMs } });
        await client.sendCommand(['VADD', setKey(scope), 'FP32', toBytes(vector), id, 'NOQUANT', 'SETATTR', attributes]);
        // As long as their last element; a life that is longer already stays.
        for (const key of [setKey(scope), index]) {
          await client.pExpire(key, lifeMs, 'NX');
          await client.pExpire(key, lifeMs, 'GT');
        }
        return true;
      }, WRITE_TIMEOUT_MS);
      if (done === null) throw away();
      await makeRoom(nowMs);
    },
    load: async (place) => {
      if (!(await hasVectors())) return fallback.load(place);
      const loaded = await link.run(async (client) => ({ bytes: await client.withTypeMapping(AS_BYTES).get(answerKey(place)) }));
      if (loaded === null) throw away();
      if (loaded.bytes === null) await forget([place]);
      return loaded.bytes;
    },
    close: () => fallback.close(),
  };
}

/** Scopes and ids are hexadecimal. */
const memberOf = ({ scope, id }: Place): string => `${scope}:${id}`;

function placeOf(member: string): Place {
  const at = member.indexOf(':');
  return { scope: member.slice(0, at), id: member.slice(at + 1) };
}

/** Asked once for each connection, however many want to know: after a reconnect it may be another server. */
function createVectorCheck(link: RedisLink, log: (line: string) => void): () => Promise<boolean> {
  let seen: { readonly connection: number; readonly answer: Promise<boolean> } | null = null;
  const ask = async (): Promise<boolean> => {
    const info = await link.run((client) => client.sendCommand<string>(['INFO', 'server']));
    if (info === null) {
      seen = null;
      return false;
    }
    const has = hasFilteredVectors(info);
    if (!has) log('This Redis has no vector sets that can be filtered (they come with 8.2): the semantic cache keeps its vectors in the process.');
    return has;
  };
  return async () => {
    if (!link.isUp()) return false;
    const connection = link.connections();
    if (seen?.connection !== connection) seen = { connection, answer: ask() };
    return seen.answer;
  };
}

function hasFilteredVectors(info: string): boolean {
  const [, major = '0', minor = '0'] = /^redis_version:(\d+)\.(\d+)/m.exec(info) ?? [];
  return Number(major) > 8 || (Number(major) === 8 && Number(minor) >= 2);
}

const away = (): PlatformError => new PlatformError('unavailable', 'Redis did not answer in time.');

function toBytes({ buffer, byteOffset, byteLength }: Float32Array): Buffer {
  return Buffer.from(buffer, byteOffset, byteLength);
}

/** Element, score and attributes in turn. The server's score is 1 for the same direction and 0 for the opposite one: (1 + cosine) / 2. */
function toMatches(found: readonly (string | null)[]): readonly VectorMatch[] {
  return found.flatMap((id, at): readonly VectorMatch[] => {
    if (at % 3 !== 0 || id === null) return [];
    const attributes = parseJson(found[at + 2] ?? '');
    const facts = isJsonObject(attributes) ? attributes['facts'] : undefined;
    return typeof facts === 'string' ? [{ id, similarity: 2 * Number(found[at + 1]) - 1, facts }] : [];
  });
}
