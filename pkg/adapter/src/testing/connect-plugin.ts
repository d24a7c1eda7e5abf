import { Metadata, credentials as channelCredentials, makeClientConstructor } from '@grpc/grpc-js';
import type { CallOptions, ChannelCredentials, ClientUnaryCall, ServiceError } from '@grpc/grpc-js';
import { ExecuteStepRequest, HandshakeRequest, RuntimeServiceClient } from '@openeaap/proto';
import type { DeepPartial, ExecuteStepEvent, ExecuteStepResponse, HandshakeResponse, HealthCheckResponse } from '@openeaap/proto';
import { HEALTH_SERVICE } from '../serve/health-protocol.ts';

export interface Caller {
  readonly handshake: (request?: DeepPartial<HandshakeRequest>) => Promise<HandshakeResponse>;
  readonly health: () => Promise<HealthCheckResponse>;
  readonly step: (request: DeepPartial<ExecuteStepRequest>, options?: Partial<CallOptions>) => Promise<ExecuteStepResponse>;
  /** With the call, to cancel it. */
  readonly startStep: (request: DeepPartial<ExecuteStepRequest>) => { readonly call: ClientUnaryCall; readonly answer: Promise<ExecuteStepResponse> };
  readonly stream: (request: DeepPartial<ExecuteStepRequest>) => Promise<readonly ExecuteStepEvent[]>;
  readonly probe: (service?: string) => Promise<number>;
  readonly close: () => void;
}

/** The generated client, as any language's would call. */
export function connectPlugin(address: string, { token, credentials = channelCredentials.createInsecure() }: { readonly token?: string; readonly credentials?: ChannelCredentials } = {}): Caller {
  const options = { 'grpc.max_receive_message_length': -1, 'grpc.max_send_message_length': -1 };
  const client = new RuntimeServiceClient(address, credentials, options);
  const HealthClient = makeClientConstructor(HEALTH_SERVICE, 'Health');
  const healthClient = new HealthClient(address, credentials, options);
  const metadata = new Metadata();
  if (token !== undefined) metadata.set('authorization', `Bearer ${token}`);
  const unary = <R>(start: (done: (error: ServiceError | null, response: R) => void) => unknown): Promise<R> =>
    new Promise((resolve, reject) => void start((error, response) => (error === null ? resolve(response) : reject(error))));
  return {
    handshake: (request = { protocolVersions: [1] }) => unary((done) => client.handshake(HandshakeRequest.fromPartial(request), metadata, done)),
    health: () => unary((done) => client.healthCheck({}, metadata, done)),
    step: (request, options = {}) => unary((done) => client.executeStep(ExecuteStepRequest.fromPartial(request), metadata, options, done)),
    startStep: (request) => {
      let call: ClientUnaryCall | undefined;
      const answer = unary<ExecuteStepResponse>((done) => (call = client.executeStep(ExecuteStepRequest.fromPartial(request), metadata, done)));
      if (call === undefined) throw new Error('the call was not made');
      return { call, answer };
    },
    stream: (request) =>
      new Promise((resolve, reject) => {
        const events: ExecuteStepEvent[] = [];
        client.executeStepStream(ExecuteStepRequest.fromPartial(request), metadata).on('data', (event: ExecuteStepEvent) => events.push(event)).on('end', () => resolve(events)).on('error', reject);
      }),
    probe: async (service = '') => {
      const answer = await unary<{ readonly status: number }>((done) => (healthClient as unknown as { check: (request: object, done: unknown) => void }).check({ service }, done));
      return answer.status;
    },
    close: () => {
      client.close();
      healthClient.close();
    },
  };
}
