import type { JsonObject } from './json.ts';
import { LIMITS } from './limits.ts';

export type AgentStatus = 'draft' | 'published' | 'deprecated';

export const REASONING_MODES = ['react', 'cot', 'tot'] as const;
export type ReasoningMode = (typeof REASONING_MODES)[number];

/** One immutable version of an agent; what a run is pinned to. */
export interface Agent {
  readonly tenantId: string;
  readonly id: string;
  readonly name: string;
  readonly version: string;
  readonly status: AgentStatus;
  readonly configuration: AgentConfiguration;
  readonly createdAt: Date;
  readonly updatedAt: Date;
}

/** `agents.configuration`: the prompt, the tools, the model and the limits. */
export interface AgentConfiguration {
  readonly description: string;
  /** Name of the runtime plugin; `native` is the one in the process. */
  readonly runtime: string;
  /** Which of the agents that the runtime hosts; empty: the runtime's only one. */
  readonly entrypoint: string;
  /** For the hosted agent; the platform does not look into it. */
  readonly settings: JsonObject;
  readonly reasoning: ReasoningMode;
  readonly systemPrompt: string;
  /** Names of the tools that the agent may propose; the PDP still decides each call. */
  readonly tools: readonly string[];
  readonly model: AgentModel;
  readonly maxSteps: number;
  readonly thinkTimeoutMs: number;
  /** Only say what would be done; no tool with an effect is called. */
  readonly dryRun: boolean;
  /** Told to the user when no model answers (R11). */
  readonly fallbackText: string;
}

export interface AgentModel {
  /** A backend's name or a capability; empty: the gateway's default. */
  readonly name: string;
  readonly temperature: number;
  /** Most completion tokens of one think. */
  readonly maxTokens: number;
  /** `native`: the model calls tools by the API; `text`: by the ReAct text form. */
  readonly toolCalling: 'native' | 'text';
  /** Further backends, models and capabilities that a step of the agent may ask for; not set: all. */
  readonly allowed?: readonly string[];
}

export const AGENT_DEFAULTS: AgentConfiguration = {
  description: '',
  runtime: 'native',
  entrypoint: '',
  settings: {},
  reasoning: 'react',
  systemPrompt: '',
  tools: [],
  /** Temperature 0: triage should answer the same alert the same way. */
  model: { name: '', temperature: 0, maxTokens: 2_048, toolCalling: 'native' },
  maxSteps: LIMITS.stepsPerRun,
  /** The document degrades to a fallback reply after 30 s (section 19). */
  thinkTimeoutMs: LIMITS.thinkTimeoutMs,
  dryRun: false,
  fallbackText: 'The assistant cannot be reached at the moment. Your request was kept; please try again later.',
};
