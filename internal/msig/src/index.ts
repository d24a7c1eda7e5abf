/** The model gateway (MSIG): the one way from the platform to a model. */
export { BACKEND_TYPES, describeInactiveSettings, parseGatewayConfig, ROUTING_STRATEGIES } from './config.ts';
export type { BackendConfig, BackendType, GatewayConfig, SemanticCacheConfig } from './config.ts';
export { createGateway } from './gateway.ts';
export type { Attribution, BackendHealth, ChatOptions, CompleteOptions, CompletionAnswer, Gateway, GatewayDeps, GatewayEvent, GatewayHealth, ModelInfo } from './gateway.ts';
export { createOpenAiChat } from './openai-chat.ts';
export type { OpenAiChat, OpenAiChatCall, OpenAiChatDeps } from './openai-chat.ts';
export { parseCompletion } from './parse-completion.ts';
export type { Completion } from './parse-completion.ts';
export { createTokenBudget } from './token-budget.ts';
export type { TokenBudget, TokenGrant } from './token-budget.ts';
export { withOpenAiEnvironment } from './openai-environment.ts';
export type { OpenAiEnvironment } from './openai-environment.ts';
export type { StepUsage } from './usage-meter.ts';
