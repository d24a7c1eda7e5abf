import type { JsonObject, JsonValue, LineageRef, Principal, ToolSpec } from '@openeaap/kernel';

/** What a pack of tools implements, in the process or behind gRPC. */
export interface ToolAdapter {
  readonly handshake: () => Promise<ToolHandshake>;
  /**
   * Makes one call. Arguments have been validated against the tool's schema and allowed by the
   * PDP. With `dryRun` nothing in the world may change. Errors: PlatformError `tool_failed`
   * (final), `tool_unavailable` (may be tried again), `tool_timeout`, `cancelled`.
   */
  readonly call: (invocation: ToolInvocation, context: ToolContext) => Promise<ToolOutcome>;
  readonly healthCheck: () => Promise<{ readonly serving: boolean; readonly detail: string }>;
}

export interface ToolHandshake {
  readonly name: string;
  readonly version: string;
  readonly tools: readonly ToolSpec[];
}

export interface ToolInvocation {
  readonly tool: string;
  readonly args: JsonObject;
  /** The same for every try of the same step: pass it to the product that does the work. */
  readonly idempotencyKey: string;
  readonly runId: string;
  readonly stepId: string;
  readonly stepNo: number;
  /** The agent of the platform on whose behalf the call is made. */
  readonly agentId: string;
  readonly dryRun: boolean;
}

export interface ToolContext {
  readonly signal: AbortSignal;
  /** On whose behalf; tools that read data filter by it. */
  readonly principal: Principal;
  /** The secrets that the tool's spec names, and no others. */
  readonly secrets: Readonly<Record<string, string>>;
  /** W3C trace context headers to pass on. */
  readonly traceContext: Readonly<Record<string, string>>;
}

export interface ToolOutcome {
  readonly output: JsonValue;
  /** Knowledge that the output was made from, if any. */
  readonly lineage?: readonly LineageRef[];
}
