/** The model gateway (MSIG): the one way from the platform to a model. */
export { describeInactiveSettings, parseGatewayConfig } from './config/config.ts';
export { BACKEND_TYPES, ROUTING_STRATEGIES } from './config/gateway-config.ts';
export type { BackendConfig, BackendType, GatewayConfig, SemanticCacheConfig } from './config/gateway-config.ts';
export { createGateway } from './gateway.ts';
export type { Attribution, BackendHealth, ChatOptions, CompleteOptions, CompletionAnswer, Gateway, GatewayDeps, GatewayEvent, GatewayHealth, ModelInfo } from './gateway.ts';
export { createOpenAiChat } from './backends/openai-chat.ts';
export type { OpenAiChat, OpenAiChatCall, OpenAiChatDeps } from './backends/openai-chat.ts';
export { parseRequest } from './request/parse-request.ts';
export { REQUEST_KINDS } from './request/model-request.ts';
export type { ModelRequest, RequestKind } from './request/model-request.ts';
export { createTokenBudget } from './accounting/token-budget.ts';
export type { TokenBudget, TokenGrant } from './accounting/token-budget.ts';
export { withOpenAiEnvironment } from './config/openai-environment.ts';
export type { OpenAiEnvironment } from './config/openai-environment.ts';
export type { StepUsage } from './accounting/usage-meter.ts';
