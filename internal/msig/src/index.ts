/** The model gateway (MSIG): the one way from the platform to a model. */
export { BACKEND_TYPES, describeInactiveSettings, parseGatewayConfig, ROUTING_STRATEGIES } from './config/config.ts';
export type { BackendConfig, BackendType, GatewayConfig, SemanticCacheConfig } from './config/config.ts';
export { createGateway } from './gateway.ts';
export type { Attribution, BackendHealth, ChatOptions, CompleteOptions, CompletionAnswer, Gateway, GatewayDeps, GatewayEvent, GatewayHealth, ModelInfo } from './gateway.ts';
export { createOpenAiChat } from './backends/openai-chat.ts';
export type { OpenAiChat, OpenAiChatCall, OpenAiChatDeps } from './backends/openai-chat.ts';
export { parseCompletion } from './request/parse-completion.ts';
export type { Completion } from './request/parse-completion.ts';
export { createTokenBudget } from './accounting/token-budget.ts';
export type { TokenBudget, TokenGrant } from './accounting/token-budget.ts';
export { withOpenAiEnvironment } from './config/openai-environment.ts';
export type { OpenAiEnvironment } from './config/openai-environment.ts';
export type { StepUsage } from './accounting/usage-meter.ts';
