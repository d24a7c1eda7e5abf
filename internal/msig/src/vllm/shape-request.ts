import { createHmac } from 'node:crypto';
import { isJsonObject, PlatformError } from '@openeaap/kernel';
import type { JsonObject } from '@openeaap/kernel';
import type { Access } from '../access.ts';
import type { VllmConfig } from '../config/gateway-config.ts';
import type { ModelRequest, RequestKind } from '../request/model-request.ts';
import { cacheOwnerOf } from './cache-owner.ts';

export interface VllmShape {
  readonly access: Access;
  readonly config: VllmConfig;
  /** Secret, and the same at every node: nodes with different ones share no prefix in the server's cache. */
  readonly saltKey: string | Buffer;
}

/**
 * What a request to vLLM gets beside what the client wrote: top-level members as JSON text, null
 * takes one out. vLLM believes whoever reaches it, so what it would do for an operator is decided
 * here (docs/decisions/0024-vllm.md). Errors: `invalid_input` for members that only an operator may
 * set; `details.field` is the member.
 */
export function shapeForVllm(request: ModelRequest, { access, config, saltKey }: VllmShape): Readonly<Record<string, string | null>> {
  refuseOperatorMembers(request);
  return {
    ...takenOut(request.body),
    cache_salt: config.cacheSharing === 'all' ? null : `"${cacheSalt(cacheOwnerOf(access, config.cacheSharing), saltKey)}"`,
    priority: config.priority ? String(access.priority ?? 0) : null,
    ...OF_KIND[request.kind],
  };
}

/** Kept answers belong to whoever knows their id, and lie in the memory of one of several servers. */
const OF_KIND: Readonly<Record<RequestKind, Readonly<Record<string, string | null>>>> = {
  chat: {},
  completions: {},
  embeddings: {},
  rerank: {},
  responses: { store: 'false' },
};

/** 43 characters of base64url, as many as vLLM advises. */
function cacheSalt(owner: readonly string[], saltKey: string | Buffer): string {
  return createHmac('sha256', saltKey).update(JSON.stringify(['vllm cache_salt', ...owner])).digest('base64url');
}

const CURE_LEAVE_OUT = 'Leave it out.';
const CURE_KWARGS = 'Leave it out, or have the operator set it for the server.';

/** Member, and what the client can do instead. */
const OPERATOR_MEMBERS: ReadonlyMap<string, string> = new Map([
  ['chat_template', 'Leave it out: the model\'s own template is used; chat_template_kwargs may set its variables.'],
  ['kv_transfer_params', CURE_LEAVE_OUT],
  ['ec_transfer_params', CURE_LEAVE_OUT],
  // They reach the sampling parameters as they are: also kv_transfer_params and session_id, by another way.
  ['vllm_xargs', CURE_LEAVE_OUT],
  ['media_io_kwargs', CURE_KWARGS],
  ['mm_processor_kwargs', CURE_KWARGS],
  // Tensors that the server unpickles.
  ['prompt_embeds', 'Send the text as prompt.'],
  // Names of Python functions.
  ['logits_processors', CURE_LEAVE_OUT],
  ['previous_response_id', 'Send the earlier turns in input: answers are not kept.'],
  ['previous_input_messages', 'Send the earlier turns in input.'],
]);

function refuseOperatorMembers({ body }: ModelRequest): void {
  for (const name of Object.keys(body)) {
    const cure = OPERATOR_MEMBERS.get(name);
    if (cure !== undefined && isSet(body, name)) throw refused(name, cure);
  }
  // An answer in the background could only be fetched by its id.
  if (body['background'] === true) throw refused('background', 'Leave it out, and use stream for long answers.');
  const variables = body['chat_template_kwargs'];
  if (isJsonObject(variables) && isSet(variables, 'chat_template')) throw refused('chat_template_kwargs.chat_template', CURE_LEAVE_OUT);
}

/**
 * `request_id` names the request in the server's tables and log, `session_id` in its KV connectors:
 * with another's they would meet it there. Left out they are random or empty. Of a member that was
 * said twice we read the last; all of them go.
 */
function takenOut(body: JsonObject): Readonly<Record<string, null>> {
  const members: Record<string, null> = { request_id: null, session_id: null };
  for (const name of OPERATOR_MEMBERS.keys()) if (Object.hasOwn(body, name)) members[name] = null;
  return members;
}

/** Clients send null for what they do not want. */
function isSet(object: JsonObject, name: string): boolean {
  return (object[name] ?? null) !== null;
}

function refused(field: string, cure: string): PlatformError {
  return new PlatformError('invalid_input', `'${field}' is not taken for this model. ${cure}`, { details: { field } });
}
