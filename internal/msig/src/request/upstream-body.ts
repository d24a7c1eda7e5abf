import { isJsonObject } from '@openeaap/kernel';
import type { ModelRequest } from './model-request.ts';
import { replaceMembers } from './replace-members.ts';

/** JSON of top-level members to set; null: to take out. */
export type Members = Readonly<Record<string, string | null>>;

export interface BodyTarget {
  readonly model: string;
  readonly origin: string;
  /** Most tokens of each choice; null: as the client asks. */
  readonly maxTokens: number | null;
  /** Further members, for servers that know more than the API; what is set here by itself holds against them. */
  readonly members?: Members;
}

/**
 * The client's own body, but for what the gateway decides: the model, the tokens, and that usage is
 * told. What the gateway has read is written anew, for of repeated keys a server may take another.
 */
export function toUpstreamBody(request: ModelRequest, target: BodyTarget): string {
  return replaceMembers(request.text, { ...target.members, model: JSON.stringify(target.model), ...ownMembers(request, target) });
}

function ownMembers(request: ModelRequest, { maxTokens, origin }: BodyTarget): Members {
  switch (request.kind) {
    case 'chat':
      return { ...streamMembers(request), n: countOf(request, 'n'), ...(maxTokens === null ? NOTHING : capChat(request, maxTokens, origin)) };
    case 'completions':
      return { ...streamMembers(request), n: countOf(request, 'n'), best_of: countOf(request, 'best_of'), ...(maxTokens === null ? NOTHING : { max_tokens: String(maxTokens) }) };
    case 'responses':
      return { stream: request.isStream ? 'true' : null, ...(maxTokens === null ? NOTHING : { max_output_tokens: String(maxTokens) }) };
    case 'embeddings':
    case 'rerank':
      return NOTHING;
  }
}

const NOTHING: Members = {};

function streamMembers({ body, isStream }: ModelRequest): Members {
  if (!isStream) return { stream: null, stream_options: null };
  const options = body['stream_options'];
  return { stream: 'true', stream_options: isJsonObject(options) ? JSON.stringify({ ...options, include_usage: true }) : '{"include_usage":true}' };
}

function countOf({ body }: ModelRequest, name: string): string | null {
  const count = body[name];
  return typeof count === 'number' && count !== 1 ? String(count) : null;
}

/**
 * A cap must hold at every server. OpenAI refuses both names at once and its newer models refuse
 * the old one, so there the client's choice stands; servers elsewhere may know the old name only.
 */
function capChat({ body }: ModelRequest, maxTokens: number, origin: string): Members {
  const cap = String(maxTokens);
  const has = (name: string): boolean => typeof body[name] === 'number';
  if (!isOpenAiHost(origin)) return { max_tokens: cap, max_completion_tokens: has('max_completion_tokens') ? cap : null };
  return has('max_tokens') ? { max_tokens: cap, max_completion_tokens: null } : { max_tokens: null, max_completion_tokens: cap };
}

/** OpenAI itself, or its models at Azure. */
function isOpenAiHost(origin: string): boolean {
  return /\.openai\.(azure\.)?com$/.test(new URL(origin).hostname);
}
