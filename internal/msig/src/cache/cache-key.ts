import { createHmac, hash } from 'node:crypto';
import { toCanonicalJson } from '@openeaap/kernel';
import type { JsonObject, JsonValue } from '@openeaap/kernel';
import type { CacheCall } from './answer-cache.ts';
import { toCanonicalText } from './canonical-text.ts';

/** Names of answers: keyed hashes, so that who sees a key cannot try out what was asked. */
export interface CacheKeys {
  /** Of everything that makes the answer and of who may see it. Equal JSON with other order, space or escapes has the same. */
  readonly exact: (call: Scoped) => string;
  /** The same without the question, for vectors are only compared within one; null: the body cannot be trusted to mean what it says. */
  readonly scope: (call: Scoped, rest: JsonObject, embedder: string) => string | null;
}

export type Scoped = Pick<CacheCall, 'request' | 'access' | 'identity'>;

/**
 * Members that change nothing in an answer. What is not known here counts. `stream` and the wishes
 * for usage are counted as the request has them.
 */
const SILENT_MEMBERS: ReadonlySet<string> = new Set([
  'user', 'metadata', 'store', 'safety_identifier', 'prompt_cache_key', 'prompt_cache_retention', 'prompt_cache_options', 'service_tier', 'priority', 'stream', 'stream_options',
]);

/** Texts whose key is remembered, so that the same bytes are not read again; some 200 bytes each. */
const REMEMBERED_MAX = 2_048;

export function createCacheKeys(hashKey: string): CacheKeys {
  // Two generations: taking the oldest out of one Map looks at all the gaps before it.
  let remembered = new Map<string, string>();
  let older = new Map<string, string>();
  // Made once: an HMAC object for each request is more work for the garbage collector than the hash itself.
  const secret = createHmac('sha256', hashKey).update('answers').digest('base64url');
  const keyed = (text: string): string => hash('sha256', `${secret}\n${text}`, 'hex');
  return {
    exact: (call) => {
      const who = whoOf(call);
      const raw = hash('sha256', `${who}\n${call.request.text}`, 'base64url');
      const known = remembered.get(raw) ?? older.get(raw);
      if (known !== undefined) return known;
      const key = keyed(`${who}\n${toCanonicalText(call.request.text, SILENT_MEMBERS).text}`);
      if (remembered.size >= REMEMBERED_MAX) {
        older = remembered;
        remembered = new Map();
      }
      remembered.set(raw, key);
      return key;
    },
    scope: (call, rest, embedder) => {
      if (!toCanonicalText(call.request.text, SILENT_MEMBERS).isFaithful) return null;
      const loud = Object.fromEntries(Object.entries(rest).filter(([key]) => !SILENT_MEMBERS.has(key)));
      return keyed(`${whoOf(call)}\n${JSON.stringify(embedder)}\n${toCanonicalJson(loud)}`);
    },
  };
}

/** JSON, so that no label can look like two, and no name like the next one. */
function whoOf({ request, access, identity }: Scoped): string {
  const labels = [...new Set(access.labels)].sort();
  const options = request.body['stream_options'];
  const obfuscation: JsonValue = typeof options === 'object' && options !== null && 'include_obfuscation' in options ? options['include_obfuscation'] ?? null : null;
  return JSON.stringify([access.tenantId, request.kind, identity, labels, access.sensitivity ?? 1, request.isStream, request.wantsUsage, request.wantsUsageOnEveryChunk, obfuscation]);
}
