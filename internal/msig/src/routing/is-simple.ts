import type { RoutingConfig } from '../config/gateway-config.ts';
import type { ModelRequest } from '../request/model-request.ts';
import { promptFactsOf } from './prompt-facts.ts';
import type { PromptFacts } from './prompt-facts.ts';

/**
 * The rule by which a request is simple, so that a small model will do: its prompt has at most
 * `maxPromptTokens` (estimated), it has at most `maxTurns` messages of user and assistant, it asks
 * for at most `maxAnswerTokens` or does not say, and there are no tools, no JSON Schema for the
 * answer and nothing but text in it.
 */
export function isSimple(request: ModelRequest, limits: RoutingConfig['simple'], facts: PromptFacts = promptFactsOf(request)): boolean {
  return (
    facts.promptTokens <= limits.maxPromptTokens &&
    facts.turns <= limits.maxTurns &&
    (request.maxTokens ?? 0) <= limits.maxAnswerTokens &&
    !facts.hasTools &&
    !facts.hasSchema &&
    !facts.hasMedia
  );
}
