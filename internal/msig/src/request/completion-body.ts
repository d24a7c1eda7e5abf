import { isJsonObject } from '@openeaap/kernel';
import { isOpenAiHost } from './chat-completions-request.ts';
import type { ModelRequest } from './model-request.ts';
import { replaceMembers } from './replace-members.ts';

export interface CompletionTarget {
  readonly model: string;
  readonly origin: string;
  /** Most tokens of each choice; null: as the client asks. */
  readonly maxTokens: number | null;
}

/** The client's own body, but for what the gateway decides: the model, the tokens, and that usage is told. */
export function toCompletionBody(completion: ModelRequest, target: CompletionTarget): string {
  const { body, isStream, choices } = completion;
  const options = body['stream_options'];
  return replaceMembers(completion.text, {
    model: JSON.stringify(target.model),
    stream: isStream ? 'true' : null,
    stream_options: isStream ? JSON.stringify({ ...(isJsonObject(options) ? options : {}), include_usage: true }) : null,
    n: choices === 1 ? null : String(choices),
    ...(target.maxTokens === null ? {} : capMembers(completion, target.maxTokens, target.origin)),
  });
}

/**
 * A cap must hold at every server. OpenAI refuses both names at once and its newer models refuse
 * the old one, so there the client's choice stands; servers elsewhere may know the old name only.
 */
function capMembers({ body }: ModelRequest, maxTokens: number, origin: string): Readonly<Record<string, string | null>> {
  const cap = String(maxTokens);
  const has = (name: string): boolean => typeof body[name] === 'number';
  if (!isOpenAiHost(origin)) return { max_tokens: cap, max_completion_tokens: has('max_completion_tokens') ? cap : null };
  return has('max_tokens') ? { max_tokens: cap, max_completion_tokens: null } : { max_tokens: null, max_completion_tokens: cap };
}
