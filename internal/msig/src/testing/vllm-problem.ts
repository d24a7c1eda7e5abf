import type { JsonObject } from '@openeaap/kernel';
import type { RequestKind } from '../request/model-request.ts';
import { promptText, textOf, toTokens } from './vllm-words.ts';

export interface ProblemSettings {
  readonly model: string;
  readonly adapters: readonly string[];
  readonly maxModelLen: number;
  readonly priorityScheduling: boolean;
}

/** Why the double refuses a request, in vLLM's words. */
export interface Problem {
  readonly status: number;
  readonly type: string;
  readonly param: string | null;
  readonly message: string;
}

export function findProblem(body: JsonObject, kind: RequestKind, settings: ProblemSettings): Problem | null {
  const bad = (message: string, param: string | null = null): Problem => ({ status: 400, type: 'BadRequestError', param, message });
  const { priority = 0, cache_salt: salt = null } = body;
  const model = textOf(body['model'] ?? settings.model);
  if (model !== settings.model && !settings.adapters.includes(model)) {
    return { status: 404, type: 'NotFoundError', param: 'model', message: `The model \`${model}\` does not exist. Valid aliases: ${settings.model}.` };
  }
  if (salt === '' || (salt !== null && typeof salt !== 'string')) return bad('Parameter \'cache_salt\' must be a non-empty string if provided. (parameter=cache_salt)', 'cache_salt');
  if (priority !== 0 && !settings.priorityScheduling) return bad(`Got priority ${textOf(priority)} but Priority scheduling is not enabled.`);
  if ('chat_template' in body) return bad('Chat template is passed with request, but --trust-request-chat-template is not set. Refused request with untrusted chat template.');
  if (kind === 'chat' && !Array.isArray(body['messages'])) {
    return { status: 400, type: 'Bad Request', param: 'body.messages', message: `1 validation error:\n  {'type': 'missing', 'loc': 'body.messages', 'msg': 'Field required', 'input': '<dict of ${Object.keys(body).length} items>'}` };
  }
  const maxTokens = maxTokensOf(body) ?? 0;
  if (maxTokens > settings.maxModelLen) {
    return bad(`max_tokens=${maxTokens} cannot be greater than max_model_len=${settings.maxModelLen}. Please request fewer output tokens. (parameter=max_tokens, value=${maxTokens})`, 'max_tokens');
  }
  const promptTokens = toTokens(promptText(body)).length;
  if (promptTokens < settings.maxModelLen) return null;
  return bad(`This model's maximum context length is ${settings.maxModelLen} tokens. However, you requested 1 output tokens and your prompt contains ${promptTokens} input tokens. Please reduce the length of the input prompt or the number of requested output tokens. (parameter=input_tokens, value=${promptTokens})`, 'input_tokens');
}

export function maxTokensOf(body: JsonObject): number | null {
  const value = body['max_completion_tokens'] ?? body['max_tokens'] ?? body['max_output_tokens'];
  return typeof value === 'number' ? value : null;
}
