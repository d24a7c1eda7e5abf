/** The client of OpenEAAP's REST API: fetch and web streams alone, so it runs in Node, Deno, Bun, at the edge and in browsers. */
export { ApiError } from './api-error.ts';
export type { ApiErrorCode } from './api-error.ts';
export { createClient } from './client.ts';
export type { ApprovalDecision, ApprovalQuery, CallOptions, Client, ClientOptions, Feedback, ListQuery, NewAgent, NewRun, RunQuery, WaitOptions } from './client.ts';
export { isFinal } from './run-events.ts';
export type { DeltaEvent, EventData, ListedEvent, StoredEvent, StreamEvent } from './run-events.ts';
export type { ApiRequest } from './send-request.ts';
export type { StreamOptions } from './stream-run.ts';
export type { ActStep, Agent, AgentConfiguration, AgentModel, Approval, Decision, Lineage, Page, PluginInfo, Run, RunCreated, Step, ThinkStep, ToolInfo, Usage, Verdict } from './views.ts';
