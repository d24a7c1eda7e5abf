import { isJsonObject } from '@openeaap/kernel';
import type { JsonValue } from '@openeaap/kernel';
import type { ModelRequest } from '../request/model-request.ts';
import type { CacheControl } from './answer-cache.ts';

/**
 * May one answer serve all requests that say the same? Not where the client asks for variety, where
 * the answer depends on what is stored at or fetched by the server, or where it changes something there.
 */
export function isRepeatable(request: ModelRequest, control: CacheControl): boolean {
  const { body, kind } = request;
  if (hasRemoteMedia(body)) return false;
  if (kind === 'embeddings' || kind === 'rerank') return true;
  return !wantsVariety(request, control) && !hasServerState(request) && !reachesOut(request);
}

/**
 * Several choices, or a temperature above 0 that was written down without a seed: who samples the
 * same prompt several times wants several answers. A request that says nothing of it takes what it
 * gets, and one that says how old or how long its answer may be has caches in mind.
 */
function wantsVariety({ body, choices }: ModelRequest, control: CacheControl): boolean {
  const bestOf = body['best_of'];
  if (choices > 1 || (typeof bestOf === 'number' && bestOf > 1)) return true;
  if (Array.isArray(body['prompt']) && body['prompt'].length > 1 && typeof body['prompt'][0] !== 'number') return true;
  const temperature = body['temperature'];
  const isHot = typeof temperature === 'number' && temperature > 0 && !isGiven(body['seed']);
  return isHot && control.maxAgeMs === null && control.ttlMs === null;
}

/** A response is stored where nothing is said of it, and a hit would give the id of another one's. */
function hasServerState({ body, kind }: ModelRequest): boolean {
  if (body['store'] === true || (kind === 'responses' && body['store'] !== false) || body['background'] === true) return true;
  if (['previous_response_id', 'conversation', 'kv_transfer_params', 'ec_transfer_params', 'session_id'].some((key) => isGiven(body[key]))) return true;
  // A prompt that is kept at the server, which may be edited there.
  return isJsonObject(body['prompt']);
}

/** Tools that the server itself uses (search, files, code, MCP) bring in the world as it is now; functions only ask the client. */
function reachesOut({ body }: ModelRequest): boolean {
  if (isGiven(body['web_search_options'])) return true;
  if (Array.isArray(body['modalities']) && body['modalities'].includes('audio')) return true;
  return Array.isArray(body['tools']) && body['tools'].some((tool) => isJsonObject(tool) && tool['type'] !== 'function' && tool['type'] !== 'custom');
}

const URL_KEY = /(?:^|_)url$/;
/** They hold a URL or the thing itself in base64. */
const MEDIA_KEY = /(?:^|_)(?:image|audio|video|file)$/;
const ID_KEY = /(?:^|_)file_ids?$|^uuid$|^vector_store_ids?$/;
const ELSEWHERE = /^(?!data:)[a-z][a-z0-9+.-]*:/i;

/** Media behind a URL or an id, anywhere in a body, may be another thing tomorrow. */
function hasRemoteMedia(value: JsonValue): boolean {
  if (Array.isArray(value)) return value.some(hasRemoteMedia);
  if (!isJsonObject(value)) return false;
  if (value['type'] === 'item_reference') return true;
  return Object.entries(value).some(([key, item]) => {
    if (ID_KEY.test(key) && (typeof item === 'string' || Array.isArray(item))) return true;
    if (typeof item === 'string') return URL_KEY.test(key) ? !item.startsWith('data:') : MEDIA_KEY.test(key) && ELSEWHERE.test(item);
    // What was spoken before is kept at the server.
    if (key === 'audio' && isJsonObject(item) && typeof item['id'] === 'string') return true;
    return typeof item === 'object' && hasRemoteMedia(item);
  });
}

const isGiven = (value: JsonValue | undefined): boolean => value !== undefined && value !== null;
