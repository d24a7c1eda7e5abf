import { randomBytes, randomUUID } from 'node:crypto';
import type { ExecuteStepRequest, ExecuteStepResponse, HandshakeResponse } from '@openeaap/proto';
import { ExecuteStepRequest as ExecuteStepRequestMessage, StepKind, ToolEffect } from '@openeaap/proto';
import type { DeepPartial } from '@openeaap/proto';
import type { Answer, CallSettings, Peer, Target } from './connect-peer.ts';
import type { JsonValue } from './json-value.ts';
import type { PluginProcess } from './launch-plugin.ts';
import type { LeakWatch } from './leak-watch.ts';
import type { ModelDouble } from './model/model-double.ts';
import type { Timing } from './timing.ts';

/** How the agent under test comes to its proposals; found out by asking it. */
export type AgentNature =
  /** It follows the table of the agent `conformance` to the letter. */
  | 'program'
  /** It asks the gateway; what it says is text. */
  | 'model'
  /** Neither: only what holds for every agent can be tested. */
  | 'other';

export interface TestedAgent {
  readonly name: string;
  readonly nature: AgentNature;
}

/** A plugin that the kit started, and the connection to it. */
export interface Instance {
  readonly peer: Peer;
  readonly process: PluginProcess;
  readonly close: () => Promise<void>;
}

export interface LaunchWish {
  /** Default: a Unix socket in a private folder. */
  readonly listen?: string;
  /** Default: a random one. */
  readonly token?: string | null;
  /** Other variables for the process. */
  readonly extra?: Readonly<Record<string, string>>;
  /** How to connect, when the process speaks TLS. */
  readonly tls?: Target['tls'];
}

/** What checks work with: the plugin under test and everything around it. */
export interface Subject {
  /** The current connection; another one after a restart. */
  readonly peer: () => Peer;
  /** One more connection, to wherever. */
  readonly connect: (target: Target) => Peer;
  /** What the plugin said at first. */
  readonly offer: HandshakeResponse;
  readonly agent: TestedAgent | null;
  readonly model: ModelDouble;
  readonly watch: LeakWatch;
  readonly timing: Timing;
  /** null: the plugin was there before us. */
  readonly launcher: Launcher | null;
}

export interface Launcher {
  /** The process under test. */
  readonly current: () => PluginProcess;
  /** What all processes under test wrote, those before a restart included. */
  readonly outputs: () => readonly { readonly stdout: string; readonly stderr: string; readonly token: string | null }[];
  /** Kills the process under test, if it still runs, and starts a new one in its place. */
  readonly restart: () => Promise<void>;
  /** One more process beside it, connected. Errors: ConformanceError unreachable. */
  readonly startAnother: (wish?: LaunchWish) => Promise<Instance>;
  /** One more process, however it turns out. */
  readonly startUnconnected: (wish?: LaunchWish) => Promise<PluginProcess>;
}

export const PREFIX = 'conformance_';

/** Makes a string that occurs nowhere else. */
export const newMarker = (): string => `m${randomBytes(9).toString('hex')}`;

const TRACE_CONTEXT = { traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01' };
const PRINCIPAL = { userId: 'conformance-user', groups: ['security-ops'], clearance: 2 } as const;

export interface StepWish {
  readonly request?: DeepPartial<ExecuteStepRequest>;
  readonly call?: CallSettings;
  /** Default: the current connection. */
  readonly peer?: Peer;
}

/** A tool step as the control plane would send it. `args` that are a string are sent as they are. */
export function toolRequest(subject: Subject, tool: string, args: { readonly [key: string]: JsonValue } | string, change: DeepPartial<ExecuteStepRequest> = {}): ExecuteStepRequest {
  const names = subject.offer.tools.find((spec) => spec.name === tool)?.secrets ?? [];
  return ExecuteStepRequestMessage.fromPartial({
    runId: randomUUID(), stepId: randomUUID(), stepNo: 2, agentId: randomUUID(), tenantId: 'conformance',
    traceContext: TRACE_CONTEXT,
    kind: StepKind.STEP_KIND_TOOL,
    tool,
    inputPayload: typeof args === 'string' ? args : JSON.stringify(args),
    idempotencyKey: randomUUID(),
    ephemeralCredentials: Object.fromEntries(names.map((name) => [name, subject.watch.handOut(name)])),
    constraints: {},
    principal: PRINCIPAL,
    ...change,
  });
}

/** Makes a tool step and answers how it ended. */
export function callTool(subject: Subject, tool: string, args: { readonly [key: string]: JsonValue } | string, wish: StepWish = {}): Promise<Answer<ExecuteStepResponse>> {
  return (wish.peer ?? subject.peer()).step(toolRequest(subject, tool, args, wish.request), wish.call);
}

/** What an agent may propose in the checks; whether the plugin has them is another matter. */
const OFFERED: DeepPartial<ExecuteStepRequest>['tools'] = [
  { name: 'conformance_echo', version: '1', description: 'Returns its arguments.', inputSchema: '{"type":"object"}', effect: ToolEffect.TOOL_EFFECT_READ, timeoutMs: 30_000 },
  { name: 'lookup_address', version: '1', description: 'Looks up an address.', inputSchema: '{"type":"object","properties":{"ip":{"type":"string"},"note":{"type":"string"}}}', effect: ToolEffect.TOOL_EFFECT_READ, timeoutMs: 30_000 },
  { name: 'block_address', version: '1', description: 'Blocks an address.', inputSchema: '{"type":"object","properties":{"ip":{"type":"string"}}}', effect: ToolEffect.TOOL_EFFECT_DESTRUCTIVE, timeoutMs: 30_000 },
];

/** A think step as the control plane would send it, and the token that its model may be asked with. */
export function thinkRequest(subject: Subject, input: JsonValue, change: DeepPartial<ExecuteStepRequest> = {}): { readonly request: ExecuteStepRequest; readonly token: string } {
  const token = subject.watch.handOut('OPENEAAP_MODEL_TOKEN');
  const modes = subject.offer.agents.find((agent) => agent.name === subject.agent?.name)?.reasoningModes ?? [];
  const request = ExecuteStepRequestMessage.fromPartial({
    runId: randomUUID(), stepId: randomUUID(), stepNo: 1, agentId: randomUUID(), tenantId: 'conformance',
    traceContext: TRACE_CONTEXT,
    kind: StepKind.STEP_KIND_THINK,
    inputPayload: JSON.stringify(input),
    ephemeralCredentials: { OPENEAAP_MODEL_TOKEN: token, OPENEAAP_GATEWAY_URL: subject.model.url },
    constraints: { maxTokens: 512 },
    principal: PRINCIPAL,
    agent: {
      name: 'conformance', version: '1', entrypoint: subject.agent?.name ?? '',
      reasoning: modes.length === 0 || modes.includes('react') ? 'react' : (modes[0] ?? 'react'),
      systemPrompt: 'You follow the object that the user gives you.',
      model: { name: '', temperature: 0, maxTokens: 512, toolCalling: 'native' },
      settings: '{}',
    },
    tools: OFFERED,
    ...change,
  } as DeepPartial<ExecuteStepRequest>);
  return { request, token };
}

/** Makes a think step with a token that is good for as long as it lasts, as the platform's are. */
export async function think(subject: Subject, input: JsonValue, wish: StepWish = {}): Promise<Answer<ExecuteStepResponse>> {
  const { request, token } = thinkRequest(subject, input, wish.request);
  return withToken(subject, token, () => (wish.peer ?? subject.peer()).step(request, wish.call));
}

export async function withToken<T>(subject: Subject, token: string, act: () => Promise<T>): Promise<T> {
  subject.model.admit(token);
  try {
    return await act();
  } finally {
    subject.model.revoke(token);
  }
}
