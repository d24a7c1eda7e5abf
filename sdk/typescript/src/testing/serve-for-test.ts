import { credentials } from '@grpc/grpc-js';
import { thinkFromWire, thinkToWire, toolOutcomeFromWire, toolToWire } from '@openeaap/adapter';
import type { PluginLogEntry, ThinkRequest, ThinkResponse, ToolInvocation, ToolOutcome } from '@openeaap/adapter';
import { AGENT_DEFAULTS, NO_CONSTRAINTS } from '@openeaap/kernel';
import type { JsonObject } from '@openeaap/kernel';
import { RuntimeServiceClient } from '@openeaap/proto';
import type { ExecuteStepEvent, ExecuteStepRequest, ExecuteStepResponse, HandshakeResponse } from '@openeaap/proto';
import type { ServeOptions } from '../serve.ts';
import { serve } from '../serve.ts';

export interface Control {
  readonly handshake: () => Promise<HandshakeResponse>;
  readonly call: (tool: string, args?: JsonObject, rest?: Partial<ToolInvocation> & { readonly secrets?: Readonly<Record<string, string>> }) => Promise<ToolOutcome>;
  readonly think: (request?: Partial<ThinkRequest>) => Promise<ThinkResponse & { readonly deltas: readonly string[] }>;
  readonly log: readonly PluginLogEntry[];
  readonly output: readonly string[];
  /** As the signal to end. */
  readonly stop: () => void;
  readonly ended: Promise<void>;
  readonly close: () => Promise<void>;
}

/** A plugin of the SDK in this process, called as the control plane calls: generated client, real gRPC, the adapter's conversions. */
export async function serveForTest(options: Partial<ServeOptions>): Promise<Control> {
  const log: PluginLogEntry[] = [];
  const output: string[] = [];
  let stop: () => void = () => undefined;
  let end: () => void = () => undefined;
  const ended = new Promise<void>((resolve) => (end = resolve));
  const serving = await serve({
    name: 'test', version: '1.2.3', log: (entry) => log.push(entry), ...options,
    process: { environment: { OPENEAAP_PLUGIN_LISTEN: '127.0.0.1:0' }, writeOutput: (text) => output.push(text), writeError: () => undefined, onStop: (listener) => ((stop = listener), () => undefined), end: () => end() },
  });
  const client = new RuntimeServiceClient(serving.address, credentials.createInsecure());
  const step = (request: ExecuteStepRequest): Promise<ExecuteStepResponse> => new Promise((resolve, reject) => client.executeStep(request, (error, response) => (error === null ? resolve(response) : reject(error))));
  return {
    handshake: () => new Promise((resolve, reject) => client.handshake({ protocolVersions: [1], controlPlaneVersion: '', pluginName: '', maxMessageBytes: 0 }, (error, response) => (error === null ? resolve(response) : reject(error)))),
    call: async (tool, args = {}, { secrets = {}, ...rest } = {}) =>
      toolOutcomeFromWire(
        await step(toolToWire({ tool, args, idempotencyKey: 'r:2', runId: 'r', stepId: 's', stepNo: 2, agentId: 'a', dryRun: false, ...rest }, { principal: { tenantId: 't', userId: 'u', groups: ['g'], clearance: 2 }, secrets, traceContext: { traceparent: '00-x' } })),
      ),
    think: async (request = {}) => {
      const events: ExecuteStepEvent[] = [];
      await new Promise((resolve, reject) => client.executeStepStream(thinkToWire({ ...REQUEST, ...request })).on('data', (event: ExecuteStepEvent) => events.push(event)).on('end', resolve).on('error', reject));
      const last = events.at(-1)?.event;
      if (last?.$case !== 'response') throw new Error('no response');
      return { ...thinkFromWire(last.value), deltas: events.flatMap(({ event }) => (event?.$case === 'delta' ? [event.value] : [])) };
    },
    log,
    output,
    stop: () => stop(),
    ended,
    close: async () => {
      client.close();
      await serving.close();
    },
  };
}

const REQUEST: ThinkRequest = {
  tenantId: 't', runId: 'r', stepId: 's', stepNo: 1, agentId: 'a', agentName: 'triage', agentVersion: '1', agent: AGENT_DEFAULTS, principal: { tenantId: 't', userId: 'u', groups: [], clearance: 1 },
  traceContext: {}, input: 'hello', journal: [], tools: [], ephemeralCredentials: {}, constraints: NO_CONSTRAINTS,
};
