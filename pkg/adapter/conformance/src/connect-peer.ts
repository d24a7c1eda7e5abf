import { Client, Metadata, credentials, status } from '@grpc/grpc-js';
import type { ChannelCredentials, ServiceError } from '@grpc/grpc-js';
import { ExecuteStepEvent, ExecuteStepRequest, ExecuteStepResponse, HandshakeRequest, HandshakeResponse, HealthCheckRequest, HealthCheckResponse, RuntimeServiceService } from '@openeaap/proto';
import { ConformanceError } from './conformance-error.ts';
import { GRPC_HEALTH_PATH, readServingStatus } from './grpc-health.ts';
import type { LeakWatch } from './leak-watch.ts';
import type { Timing } from './timing.ts';

/** Where a plugin is, and how one proves who one is there. */
export interface Target {
  /** `127.0.0.1:50051`, `unix:/path`, `dns:///name:50051`. */
  readonly address: string;
  /** null: plain text. */
  readonly tls: TargetTls | null;
  /** null: none is sent. */
  readonly token: string | null;
}

/** PEM texts; null: the system's authorities, no client certificate, the name in the address. */
export interface TargetTls {
  readonly ca: Buffer | null;
  readonly cert: Buffer | null;
  readonly key: Buffer | null;
  readonly serverName: string | null;
}

/** How a call ended. A status other than OK is an answer as well: many promises are about it. */
export type Answer<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly code: status; readonly details: string };

export interface CallSettings {
  /** Default: that of a quick call. */
  readonly deadlineMs?: number;
  readonly signal?: AbortSignal;
  /** Another token than the target's; null: none. */
  readonly token?: string | null;
}

/** One connection to a plugin. Calls never throw. Everything that comes back passes the leak watch. */
export interface Peer {
  readonly target: Target;
  readonly handshake: (protocolVersions: readonly number[], settings?: CallSettings) => Promise<Answer<HandshakeResponse>>;
  readonly health: (settings?: CallSettings) => Promise<Answer<HealthCheckResponse>>;
  /** Answers with a ServingStatus of grpc.health.v1. */
  readonly grpcHealth: (settings?: CallSettings) => Promise<Answer<number>>;
  /** A handshake of bytes of one's own making. */
  readonly handshakeWith: (bytes: Buffer, settings?: CallSettings) => Promise<Answer<HandshakeResponse>>;
  readonly step: (request: ExecuteStepRequest, settings?: CallSettings) => Promise<Answer<ExecuteStepResponse>>;
  readonly stepWith: (bytes: Buffer, settings?: CallSettings) => Promise<Answer<ExecuteStepResponse>>;
  /** All events until the stream ended, and how it ended. */
  readonly stream: (request: ExecuteStepRequest, settings?: CallSettings) => Promise<{ readonly events: readonly ExecuteStepEvent[]; readonly end: Answer<null> }>;
  /** Errors: ConformanceError unreachable. */
  readonly ready: (timeoutMs: number) => Promise<void>;
  readonly close: () => void;
}

/** What the kit receives at most; it says half of that in the handshake. */
const RECEIVE_BYTES = 67_108_864;
export const RECEIVES_BYTES = 33_554_432;
/** Events of one stream that are kept; a plugin that sends more floods us. */
const STREAM_EVENTS_MAX = 100_000;

interface Wire {
  readonly client: Client;
  readonly target: Target;
  readonly watch: LeakWatch;
  readonly timing: Timing;
}

export function connectPeer(target: Target, watch: LeakWatch, timing: Timing): Peer {
  const client = new Client(target.address, toCredentials(target.tls), {
    'grpc.max_receive_message_length': RECEIVE_BYTES,
    'grpc.max_send_message_length': -1,
    // Every peer has a connection of its own: what one instance does must not come from another.
    'grpc.use_local_subchannel_pool': 1,
    // A try again behind our back would hide what a plugin did.
    'grpc.enable_retries': 0,
    'grpc.initial_reconnect_backoff_ms': 50,
    'grpc.max_reconnect_backoff_ms': 500,
    ...(target.tls?.serverName == null ? {} : { 'grpc.ssl_target_name_override': target.tls.serverName, 'grpc.default_authority': target.tls.serverName }),
  });
  const wire: Wire = { client, target, watch, timing };
  const { handshake, healthCheck, executeStep } = RuntimeServiceService;
  const handshakeWith: Peer['handshakeWith'] = (bytes, settings = {}) => unary(wire, handshake.path, bytes, (answer) => HandshakeResponse.decode(answer), settings);
  const stepWith: Peer['stepWith'] = (bytes, settings = {}) => unary(wire, executeStep.path, bytes, (answer) => ExecuteStepResponse.decode(answer), settings);
  return {
    target,
    handshakeWith, stepWith,
    handshake: (versions, settings) => handshakeWith(toHandshakeBytes(versions), settings),
    health: (settings = {}) => unary(wire, healthCheck.path, Buffer.from(HealthCheckRequest.encode({}).finish()), (answer) => HealthCheckResponse.decode(answer), { deadlineMs: timing.healthMs, ...settings }),
    grpcHealth: (settings = {}) => unary(wire, GRPC_HEALTH_PATH, Buffer.alloc(0), readServingStatus, { deadlineMs: timing.healthMs, ...settings }),
    step: (request, settings) => stepWith(Buffer.from(ExecuteStepRequest.encode(request).finish()), settings),
    stream: (request, settings = {}) => readStream(wire, request, settings),
    ready: (timeoutMs) => waitUntilReady(client, target, timeoutMs),
    close: () => client.close(),
  };
}

export function toHandshakeBytes(protocolVersions: readonly number[]): Buffer {
  return Buffer.from(HandshakeRequest.encode({ protocolVersions, controlPlaneVersion: 'conformance', pluginName: 'conformance', maxMessageBytes: RECEIVES_BYTES }).finish());
}

function toCredentials(tls: TargetTls | null): ChannelCredentials {
  return tls === null ? credentials.createInsecure() : credentials.createSsl(tls.ca, tls.key, tls.cert);
}

const same = (bytes: Buffer): Buffer => bytes;

function unary<T>(wire: Wire, path: string, bytes: Buffer, decode: (bytes: Buffer) => T, settings: CallSettings): Promise<Answer<T>> {
  const method = path.slice(path.lastIndexOf('/') + 1);
  const read = (answer: Buffer): T => {
    wire.watch.inspect(answer, `a response of ${method}`);
    return decode(answer);
  };
  return new Promise((resolve) => {
    const call = wire.client.makeUnaryRequest(path, same, read, bytes, toMetadata(wire, settings), { deadline: toDeadline(wire, settings) }, (error, value) => {
      settings.signal?.removeEventListener('abort', cancel);
      resolve(error === null && value !== undefined ? { ok: true, value } : toFailure(wire, error, method));
    });
    const cancel = (): void => call.cancel();
    if (settings.signal?.aborted === true) cancel();
    settings.signal?.addEventListener('abort', cancel, { once: true });
  });
}

function readStream(wire: Wire, request: ExecuteStepRequest, settings: CallSettings): ReturnType<Peer['stream']> {
  const { path } = RuntimeServiceService.executeStepStream;
  const events: ExecuteStepEvent[] = [];
  const read = (bytes: Buffer): ExecuteStepEvent => {
    wire.watch.inspect(bytes, 'an event of ExecuteStepStream');
    return ExecuteStepEvent.decode(bytes);
  };
  const bytes = Buffer.from(ExecuteStepRequest.encode(request).finish());
  return new Promise((resolve) => {
    const call = wire.client.makeServerStreamRequest(path, same, read, bytes, toMetadata(wire, settings), { deadline: toDeadline(wire, settings) });
    const cancel = (): void => call.cancel();
    settings.signal?.addEventListener('abort', cancel, { once: true });
    call.on('data', (event: ExecuteStepEvent) => {
      if (events.push(event) >= STREAM_EVENTS_MAX) cancel();
    });
    call.on('error', (error: ServiceError) => resolve({ events, end: toFailure(wire, error, 'ExecuteStepStream') }));
    call.on('end', () => resolve({ events, end: { ok: true, value: null } }));
  });
}

function toMetadata(wire: Wire, settings: CallSettings): Metadata {
  const metadata = new Metadata();
  const token = settings.token === undefined ? wire.target.token : settings.token;
  if (token !== null) metadata.set('authorization', `Bearer ${token}`);
  return metadata;
}

const toDeadline = (wire: Wire, settings: CallSettings): Date => new Date(Date.now() + (settings.deadlineMs ?? wire.timing.callMs));

function toFailure(wire: Wire, error: ServiceError | null, method: string): Answer<never> {
  if (error === null) return { ok: false, code: status.INTERNAL, details: 'The call ended without an answer.' };
  wire.watch.inspect(Buffer.from(error.details), `a status message of ${method}`);
  return { ok: false, code: error.code, details: error.details };
}

function waitUntilReady(client: Client, target: Target, timeoutMs: number): Promise<void> {
  return new Promise((resolve, reject) => {
    client.waitForReady(new Date(Date.now() + timeoutMs), (error) => {
      if (error === undefined) resolve();
      else reject(new ConformanceError('unreachable', `No plugin could be reached at ${target.address} within ${timeoutMs} ms (${target.tls === null ? 'plain text' : 'TLS'}). Is it running, and is that its address?`));
    });
  });
}
