import { createHmac, hash } from 'node:crypto';
import { toCanonicalJson } from '@openeaap/kernel';
import type { JsonObject } from '@openeaap/kernel';
import type { CacheCall } from './answer-cache.ts';
import { toCanonicalText } from './canonical-text.ts';

/** Names of answers: keyed hashes, so that who sees a key cannot try out what was asked. */
export interface CacheKeys {
  /** Of everything that makes the answer and of who may see it. Equal JSON with other order, space or escapes has the same. */
  readonly exact: (call: Scoped) => ExactKey;
  /** The same without the question, for vectors are only compared within one; `compared`: who makes the vectors and the facts. Only of a faithful body. */
  readonly scope: (call: Scoped, rest: JsonObject, compared: string) => string;
  /** Keys that are remembered. */
  readonly size: () => number;
}

export interface ExactKey {
  readonly key: string;
  /** The parsed body says what the text says. */
  readonly isFaithful: boolean;
}

export type Scoped = Pick<CacheCall, 'request' | 'access' | 'identity'>;

/**
 * Members that change nothing in an answer. What is not known here counts. `stream` is counted as
 * the request was understood.
 */
const SILENT_MEMBERS: ReadonlySet<string> = new Set(['user', 'metadata', 'store', 'safety_identifier', 'prompt_cache_key', 'prompt_cache_retention', 'prompt_cache_options', 'service_tier', 'priority', 'stream']);
/** A response says again what it was asked with: a hit would show one who asks what another one wrote. */
const SILENT_MEMBERS_OF_RESPONSES: ReadonlySet<string> = new Set(['stream']);

const silentMembersOf = ({ request }: Scoped): ReadonlySet<string> => (request.kind === 'responses' ? SILENT_MEMBERS_OF_RESPONSES : SILENT_MEMBERS);

/** Texts whose key is remembered, so that the same bytes are not read again; some 200 bytes each. */
const REMEMBERED_MAX = 2_048;

export function createCacheKeys(hashKey: string): CacheKeys {
  // Two generations: taking the oldest out of one Map looks at all the gaps before it.
  let remembered = new Map<string, ExactKey>();
  let older = new Map<string, ExactKey>();
  // Made once: an HMAC object for each request is more work for the garbage collector than the hash itself.
  const secret = createHmac('sha256', hashKey).update('answers').digest('base64url');
  const keyed = (text: string): string => hash('sha256', `${secret}\n${text}`, 'hex');
  return {
    exact: (call) => {
      const who = whoOf(call);
      const raw = hash('sha256', `${who}\n${call.request.text}`, 'base64url');
      const known = remembered.get(raw) ?? older.get(raw);
      if (known !== undefined) return known;
      const { text, isFaithful } = toCanonicalText(call.request.text, silentMembersOf(call));
      const exact = { key: keyed(`${who}\n${text}`), isFaithful };
      if (remembered.size >= REMEMBERED_MAX) {
        older = remembered;
        remembered = new Map();
      }
      remembered.set(raw, exact);
      return exact;
    },
    scope: (call, rest, compared) => {
      const silent = silentMembersOf(call);
      const loud = Object.fromEntries(Object.entries(rest).filter(([key]) => !silent.has(key)));
      return keyed(`${whoOf(call)}\n${JSON.stringify(compared)}\n${toCanonicalJson(loud)}`);
    },
    size: () => remembered.size + older.size,
  };
}

/** JSON, so that no label can look like two, and no name like the next one. */
function whoOf({ request, access, identity }: Scoped): string {
  const labels = [...new Set(access.labels)].sort();
  return JSON.stringify([access.tenantId, request.kind, identity, labels, access.sensitivity ?? 1, request.isStream, request.wantsUsage, request.wantsUsageOnEveryChunk]);
}
