import type {
  AgentConfiguration,
  GovernanceConstraints,
  JsonObject,
  JsonValue,
  Principal,
  Proposal,
  ReasoningMode,
  Step,
  TokenUsage,
  ToolSpec,
} from '@openeaap/kernel';

/**
 * What a runtime plugin implements, in the process or behind gRPC: the TypeScript form of
 * `openeaap.runtime.v1.RuntimeService` (document section 11.1).
 *
 * A runtime only proposes: a thought with tool calls, or an output. The control plane decides,
 * acts and remembers. A runtime keeps nothing between two steps; whatever it needs again is in
 * the journal or in the `strategyState` that it returned before.
 */
export interface RuntimeAdapter {
  readonly handshake: () => Promise<RuntimeHandshake>;
  /**
   * One think. Errors: PlatformError `model_unavailable` (may be tried again),
   * `model_invalid_output` (the runtime is told and may correct itself), `cancelled`.
   */
  readonly executeStep: (request: ThinkRequest, context: ThinkContext) => Promise<ThinkResponse>;
  readonly healthCheck: () => Promise<PluginHealth>;
}

export interface RuntimeHandshake {
  readonly name: string;
  readonly version: string;
  /** Reasoning modes of an agent that names no entrypoint; empty: there is no such agent. */
  readonly reasoningModes: readonly ReasoningMode[];
  /** Agents that the runtime hosts by name; an agent of the platform names one as its `entrypoint`. */
  readonly agents: readonly HostedAgent[];
}

export interface HostedAgent {
  readonly name: string;
  readonly description: string;
  /** Empty: it has a way of its own. */
  readonly reasoningModes: readonly ReasoningMode[];
}

export interface ThinkRequest {
  readonly tenantId: string;
  readonly runId: string;
  readonly stepId: string;
  readonly stepNo: number;
  readonly agentId: string;
  readonly agentName: string;
  readonly agentVersion: string;
  readonly agent: AgentConfiguration;
  /** On whose behalf. */
  readonly principal: Principal;
  /** W3C trace context headers. */
  readonly traceContext: Readonly<Record<string, string>>;
  /** The input of the run. */
  readonly input: JsonValue;
  /** Every step so far, in order; all acts in it are settled. */
  readonly journal: readonly Step[];
  /** The tools that may be proposed; blocked ones are already left out. */
  readonly tools: readonly ToolSpec[];
  /** Short-lived secrets for this step alone, by name. */
  readonly ephemeralCredentials: Readonly<Record<string, string>>;
  readonly constraints: GovernanceConstraints;
}

export interface ThinkContext {
  readonly signal: AbortSignal;
  /** Text as it is produced; shown to whoever watches, never stored. */
  readonly onDelta: (text: string) => void;
}

export interface ThinkResponse {
  readonly proposal: Proposal;
  readonly strategyState: JsonValue;
  /** Tool calls that the runtime says it made by itself: a claim, stored as such. */
  readonly auditLogs: readonly JsonObject[];
  readonly metadata: ThinkMetadata;
}

export interface ThinkMetadata {
  readonly usage: TokenUsage;
  /** The backend that answered; empty when no model was asked. */
  readonly backend: string;
}

export interface PluginHealth {
  readonly serving: boolean;
  /** Safe to show. */
  readonly detail: string;
}
