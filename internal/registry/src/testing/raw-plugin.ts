import { Server, ServerCredentials, status } from '@grpc/grpc-js';
import type { ServerUnaryCall, ServerWritableStream, sendUnaryData } from '@grpc/grpc-js';
import type { ExecuteStepEvent, ExecuteStepRequest, ExecuteStepResponse, HandshakeRequest, HandshakeResponse, HealthCheckRequest, HealthCheckResponse } from '@openeaap/proto';
import { ExecuteStepResponse as Response, HandshakeResponse as Handshake, RuntimeServiceService, ToolEffect, ToolSpec } from '@openeaap/proto';

/** A plugin of a stranger: it answers what a test tells it to, whether the protocol allows it or not. */
export interface RawPlugin {
  readonly address: string;
  /** What came in, oldest first. */
  readonly steps: ExecuteStepRequest[];
  readonly tokens: string[];
  /** How many calls the other side has given up. */
  cancelled: number;
  handshake: Partial<HandshakeResponse>;
  healthy: boolean | 'silent';
  /** A response, an error of gRPC, or nothing at all. */
  execute: (request: ExecuteStepRequest) => Promise<Partial<ExecuteStepResponse>> | Partial<ExecuteStepResponse> | 'silent';
  /** Events of a stream, when the handshake offers it. */
  stream: (request: ExecuteStepRequest) => readonly ExecuteStepEvent[];
  /** At once: connections are cut. */
  readonly stop: () => void;
}

/** A gRPC status that a handler fails with. */
export class RawStatus extends Error {
  readonly code: number;

  constructor(code: number) {
    super(status[code]);
    this.code = code;
  }
}

export const aTool = (name: string, rest: Partial<ToolSpec> = {}): ToolSpec =>
  ToolSpec.fromPartial({ name, version: '1', description: 'd', inputSchema: '{"type":"object","properties":{"q":{"type":"string"}}}', effect: ToolEffect.TOOL_EFFECT_READ, ...rest });

export const aHandshake = (tools: readonly ToolSpec[], rest: Partial<HandshakeResponse> = {}): HandshakeResponse =>
  Handshake.fromPartial({ protocolVersion: 1, protocolVersions: [1], name: 'raw', version: '1', sdk: { language: 'test', version: '0' }, tools: [...tools], ...rest });

/** `address`: a port of its own on loopback unless one is given, so that a test can bring a plugin back at its address. */
export async function startRawPlugin(tools: readonly ToolSpec[], rest: Partial<Pick<RawPlugin, 'execute' | 'healthy' | 'stream'>> & { readonly handshake?: Partial<HandshakeResponse>; readonly address?: string } = {}): Promise<RawPlugin> {
  const server = new Server();
  const plugin: Omit<RawPlugin, 'address' | 'stop'> = {
    steps: [],
    tokens: [],
    cancelled: 0,
    handshake: aHandshake(tools, rest.handshake ?? {}),
    healthy: rest.healthy ?? true,
    execute: rest.execute ?? ((request) => ({ outputPayload: request.inputPayload })),
    stream: rest.stream ?? (() => []),
  };
  server.addService(RuntimeServiceService, {
    handshake: (call: ServerUnaryCall<HandshakeRequest, HandshakeResponse>, done: sendUnaryData<HandshakeResponse>) => {
      plugin.tokens.push(String(call.metadata.get('authorization')[0] ?? ''));
      done(null, Handshake.fromPartial(plugin.handshake));
    },
    healthCheck: (_call: ServerUnaryCall<HealthCheckRequest, HealthCheckResponse>, done: sendUnaryData<HealthCheckResponse>) => {
      if (plugin.healthy !== 'silent') done(null, { serving: plugin.healthy, detail: plugin.healthy ? '' : 'no model' });
    },
    executeStep: (call: ServerUnaryCall<ExecuteStepRequest, ExecuteStepResponse>, done: sendUnaryData<ExecuteStepResponse>) => {
      plugin.steps.push(call.request);
      call.on('cancelled', () => {
        plugin.cancelled += 1;
      });
      void answer(call.request, done);
    },
    executeStepStream: (call: ServerWritableStream<ExecuteStepRequest, ExecuteStepEvent>) => {
      plugin.steps.push(call.request);
      for (const event of plugin.stream(call.request)) call.write(event);
      call.end();
    },
  });
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync(rest.address ?? '127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) => (error === null ? resolve(bound) : reject(error)));
  });
  return Object.assign(plugin, {
    address: `127.0.0.1:${port}`,
    stop: () => server.forceShutdown(),
  });

  async function answer(request: ExecuteStepRequest, done: sendUnaryData<ExecuteStepResponse>): Promise<void> {
    try {
      const given = await plugin.execute(request);
      if (given !== 'silent') done(null, Response.fromPartial(given));
    } catch (thrown) {
      done({ code: thrown instanceof RawStatus ? thrown.code : status.UNKNOWN, message: 'the secret inside' });
    }
  }
}
