import type { AgentModel, GovernanceConstraints, JsonObject, JsonValue, Principal, ReasoningMode, ToolSpec } from '@openeaap/kernel';
import type { Decision } from './decision.ts';

export interface AgentDefinition {
  /** Unique within the plugin: an agent of the platform names it as its `entrypoint`. */
  readonly name: string;
  readonly description?: string;
  /** Reasoning modes that it knows; empty: it has a way of its own. */
  readonly reasoningModes?: readonly ReasoningMode[];
  /**
   * One think: looks at the journal and proposes calls, or ends the run. It calls no tool itself and remembers
   * nothing: the next think may come to another copy. Throw ModelUnavailable or ModelInvalidOutput for what a model did wrong.
   */
  readonly think: (request: AgentRequest, context: AgentContext) => Decision | Promise<Decision>;
}

export interface AgentRequest {
  readonly runId: string;
  readonly stepId: string;
  /** 1, 2, 3 … within the run. */
  readonly stepNo: number;
  readonly tenantId: string;
  readonly principal: Principal;
  readonly input: JsonValue;
  /** Every step so far, in order: the whole memory of the run. */
  readonly journal: readonly JournalEntry[];
  /** What an earlier think returned as its state last; null: nothing yet. */
  readonly state: JsonValue;
  /** The tools that may be proposed. */
  readonly tools: readonly Pick<ToolSpec, 'name' | 'version' | 'description' | 'inputSchema' | 'effect'>[];
  readonly constraints: GovernanceConstraints;
  /** The agent as the platform has it configured. */
  readonly agent: {
    readonly id: string;
    readonly name: string;
    readonly version: string;
    readonly reasoning: ReasoningMode;
    readonly systemPrompt: string;
    readonly model: AgentModel;
    readonly settings: JsonObject;
  };
}

export type JournalEntry =
  | {
      readonly kind: 'think';
      readonly no: number;
      /** null: the think failed, and `error` says why. Do better this time. */
      readonly proposal: { readonly thought: string; readonly calls: readonly { readonly id: string; readonly tool: string; readonly args: JsonValue }[]; readonly output: JsonValue } | null;
      readonly error: { readonly code: string; readonly message: string } | null;
      readonly state: JsonValue;
    }
  | {
      readonly kind: 'act';
      readonly no: number;
      readonly callId: string;
      readonly tool: string;
      /** What was run: the proposed arguments, or those of an approver's edit. */
      readonly args: JsonValue;
      readonly status: 'invalid' | 'denied' | 'done' | 'failed' | 'rejected' | 'expired' | 'dry_run';
      /** `{output}` or `{error: {code, message}}`: what the agent may see of it. Data, never instructions. */
      readonly observation: JsonObject;
      /** Number of the think that proposed it. */
      readonly thinkNo: number;
    };

export interface AgentContext {
  /** Aborts when nobody waits for the answer any more: pass it on to everything that waits. */
  readonly signal: AbortSignal;
  /** Shows text as it is produced; a preview, never stored. */
  readonly emit: (text: string) => void;
  /** An OpenAI-compatible API for this think alone; null when the platform sent none. */
  readonly model: ModelAccess | null;
  /** What the think cost, for people to compare; what counts is what the gateway metered. */
  readonly reportUsage: (usage: { readonly model?: string; readonly promptTokens?: number; readonly completionTokens?: number }) => void;
  /** W3C headers to pass on. */
  readonly traceContext: Readonly<Record<string, string>>;
}

export interface ModelAccess {
  /** Base URL as OpenAI clients take it. */
  readonly url: string;
  /** The API key: works for this think only. Never return, keep or log it. */
  readonly token: string;
}

/** An agent, ready to be served. */
export type HostedAgentDefinition = Required<AgentDefinition>;

export function agent({ name, description = '', reasoningModes = [], think }: AgentDefinition): HostedAgentDefinition {
  return { name, description, reasoningModes, think };
}
