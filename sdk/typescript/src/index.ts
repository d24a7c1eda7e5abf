/** The SDK of OpenEAAP for TypeScript: tools and agents as a plugin. The client of the REST API is `@openeaap/sdk/client`. */
export { agent } from './agent.ts';
export type { AgentContext, AgentDefinition, AgentRequest, HostedAgentDefinition, JournalEntry, ModelAccess } from './agent.ts';
export { call, calls, finish, reflect } from './decision.ts';
export type { CallProposal, Decision, DecisionOptions } from './decision.ts';
export type { PluginProcess } from './environment.ts';
export type { InferInput, InputSchema, JsonSchema, StandardSchema } from './input-schema.ts';
export { serve } from './serve.ts';
export type { ServeOptions, Serving } from './serve.ts';
export { tool } from './tool.ts';
export type { Tool, ToolCallContext, ToolDefinition } from './tool.ts';
export { ConstraintViolated, ModelInvalidOutput, ModelUnavailable, StepFailure, ToolError, ToolUnavailable } from './tool-error.ts';
export { SDK_VERSION } from './version.ts';
export { PlatformError } from '@openeaap/kernel';
export type { JsonObject, JsonValue, LineageRef, Principal, ReasoningMode, ToolEffect } from '@openeaap/kernel';
export type { PluginLog, PluginLogEntry } from '@openeaap/adapter';
