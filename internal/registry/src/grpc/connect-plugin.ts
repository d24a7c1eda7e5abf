import { Metadata, connectivityState, credentials, status } from '@grpc/grpc-js';
import type { ChannelCredentials, ClientUnaryCall, ServiceError } from '@grpc/grpc-js';
import type { PluginOffer } from '@openeaap/adapter';
import { offerFromWire } from '@openeaap/adapter';
import { PlatformError, unlessAborted } from '@openeaap/kernel';
import type { ExecuteStepRequest, ExecuteStepResponse, HandshakeResponse, HealthCheckResponse } from '@openeaap/proto';
import { ExecuteStepRequest as Request, RuntimeServiceClient } from '@openeaap/proto';
import { isLoopbackTarget } from '../declare/is-loopback-target.ts';
import type { LaunchedTls } from '../launch/launcher.ts';
import { toCallError } from './to-call-error.ts';

/** The protocol versions that this control plane speaks. */
export const PROTOCOL_VERSIONS: readonly number[] = [1];
/** A journal of many steps with results of 64 KiB each. */
export const MESSAGE_BYTES = 33_554_432;
/** What gRPC receives when it says nothing else. */
const DEFAULT_MESSAGE_BYTES = 4_194_304;
const RECONNECT_MS = { first: 200, longest: 5_000 } as const;
/** For the stream and unary calls alike: how long a plugin may take to accept the connection before a call counts as not sent. */
const READY_MS = 5_000;

export interface PluginConnection {
  readonly offer: PluginOffer;
  /** Errors: PlatformError; `details.sent` is false when the plugin certainly never saw the step. */
  readonly execute: (request: ExecuteStepRequest, options: StepOptions) => Promise<ExecuteStepResponse>;
  /** Errors: PlatformError `unavailable`. */
  readonly health: (timeoutMs: number) => Promise<HealthCheckResponse>;
  /** Resolves when the connection is lost: whoever answers next may offer something else. Never rejects. */
  readonly lost: Promise<string>;
  readonly close: () => void;
}

export interface StepOptions {
  readonly signal: AbortSignal;
  readonly timeoutMs: number;
  /** Given: the plugin is asked for text as it is produced, if it can. */
  readonly onDelta: ((text: string) => void) | null;
}

export interface ConnectOptions {
  readonly plugin: string;
  readonly target: string;
  readonly tls: LaunchedTls | SystemTls | null;
  readonly token: string | null;
  readonly platformVersion: string;
  /** For the connection and the handshake together. */
  readonly timeoutMs: number;
}

/** Public authorities, no certificate of our own. */
export interface SystemTls {
  readonly ca: string | null;
  readonly clientCert: string | null;
  readonly clientKey: string | null;
  readonly serverName: string | null;
}

/**
 * Connects to one copy of a plugin and shakes hands. Errors: PlatformError `unavailable` (not there, or not yet),
 * `unauthenticated`, `unsupported` (no protocol version in common), `invalid_input` (what it offers cannot be used).
 */
export async function connectPlugin(options: ConnectOptions, signal: AbortSignal): Promise<PluginConnection> {
  const client = new RuntimeServiceClient(options.target, toCredentials(options), {
    'grpc.max_receive_message_length': MESSAGE_BYTES,
    'grpc.max_send_message_length': -1,
    'grpc.initial_reconnect_backoff_ms': RECONNECT_MS.first,
    'grpc.max_reconnect_backoff_ms': RECONNECT_MS.longest,
    // All addresses of a name: Kubernetes gives one for each replica.
    'grpc.service_config': JSON.stringify({ loadBalancingConfig: [{ round_robin: {} }] }),
    'grpc.enable_retries': 0,
    ...(options.tls?.serverName == null ? {} : { 'grpc.ssl_target_name_override': options.tls.serverName, 'grpc.default_authority': options.tls.serverName }),
  });
  const metadata = new Metadata();
  if (options.token !== null) metadata.set('authorization', `Bearer ${options.token}`);
  try {
    const answer = await unlessAborted(signal, ready(client, options.timeoutMs, options).then(() => shakeHands(client, metadata, options)), () => new PlatformError('cancelled', 'The start was stopped.'));
    const offer = toOffer(answer, options.plugin);
    return {
      offer,
      execute: (request, step) => execute({ client, metadata, plugin: options.plugin, offer }, request, step),
      health: (timeoutMs) => health(client, metadata, options.plugin, timeoutMs),
      lost: whenLost(client, options),
      close: () => client.close(),
    };
  } catch (thrown) {
    client.close();
    throw thrown;
  }
}

function toCredentials({ plugin, target, tls }: ConnectOptions): ChannelCredentials {
  if (tls !== null) return credentials.createSsl(toBuffer(tls.ca), toBuffer(tls.clientKey), toBuffer(tls.clientCert));
  if (!isLoopbackTarget(target)) throw new PlatformError('invalid_input', `The plugin "${plugin}" at ${target} would be spoken to in plain text, which is for loopback and Unix sockets only. Give it tls.`, { details: { field: 'tls' } });
  return credentials.createInsecure();
}

const toBuffer = (pem: string | null): Buffer | null => (pem === null ? null : Buffer.from(pem));

function ready(client: RuntimeServiceClient, timeoutMs: number, { plugin, target }: Pick<ConnectOptions, 'plugin' | 'target'>): Promise<void> {
  return new Promise((resolve, reject) => {
    client.waitForReady(Date.now() + timeoutMs, (error) => {
      if (error === undefined) resolve();
      else reject(new PlatformError('unavailable', `The plugin "${plugin}" cannot be reached at ${target}: nothing accepted a connection within ${timeoutMs} ms. Is it running, and does it speak ${target.startsWith('unix:') ? 'gRPC' : 'gRPC with the same TLS settings'}?`, { cause: error }));
    });
  });
}

/** With several addresses behind one name the connection is lost when the last of them is. */
function whenLost(client: RuntimeServiceClient, { plugin, target }: ConnectOptions): Promise<string> {
  const channel = client.getChannel();
  return new Promise((resolve) => {
    const watch = (): void => {
      const state = channel.getConnectivityState(false);
      if (state !== connectivityState.READY) return resolve(`The connection to the plugin "${plugin}" at ${target} was lost.`);
      channel.watchConnectivityState(state, Infinity, watch);
    };
    watch();
  });
}

async function shakeHands(client: RuntimeServiceClient, metadata: Metadata, options: ConnectOptions): Promise<HandshakeResponse> {
  const request = { protocolVersions: [...PROTOCOL_VERSIONS], controlPlaneVersion: options.platformVersion, pluginName: options.plugin, maxMessageBytes: MESSAGE_BYTES };
  return new Promise((resolve, reject) => {
    client.handshake(request, metadata, { deadline: Date.now() + options.timeoutMs }, (error, answer) => {
      if (error === null) return resolve(answer);
      reject(toHandshakeError(error, options));
    });
  });
}

function toHandshakeError(error: ServiceError, { plugin, target, timeoutMs }: ConnectOptions): PlatformError {
  switch (error.code) {
    case status.UNAUTHENTICATED:
    case status.PERMISSION_DENIED:
      return new PlatformError('unauthenticated', `The plugin "${plugin}" at ${target} refused our token or certificate. Check token_env and tls of its declaration.`, { cause: error });
    case status.UNIMPLEMENTED:
      return new PlatformError('unsupported', `What answers at ${target} for the plugin "${plugin}" is not an OpenEAAP plugin: it does not know openeaap.runtime.v1.RuntimeService.`, { cause: error });
    case status.DEADLINE_EXCEEDED:
      return new PlatformError('unavailable', `The plugin "${plugin}" at ${target} accepted the connection and did not answer the handshake within ${timeoutMs} ms.`, { cause: error });
    case status.RESOURCE_EXHAUSTED:
      return new PlatformError('invalid_input', `The handshake of the plugin "${plugin}" is larger than ${MESSAGE_BYTES} bytes. Offer fewer tools, or shorter schemas.`, { cause: error });
    default:
      return new PlatformError('unavailable', `The handshake with the plugin "${plugin}" at ${target} failed (${status[error.code] ?? error.code}).`, { cause: error });
  }
}

function toOffer(answer: HandshakeResponse, plugin: string): PluginOffer {
  const theirs = answer.protocolVersions.slice(0, 20);
  if (!PROTOCOL_VERSIONS.includes(answer.protocolVersion)) {
    const newer = theirs.length > 0 && Math.min(...theirs) > Math.max(...PROTOCOL_VERSIONS);
    throw new PlatformError(
      'unsupported',
      `The plugin "${plugin}" speaks version ${theirs.join(', ') || String(answer.protocolVersion || 'none')} of the plugin protocol, this platform ${PROTOCOL_VERSIONS.join(', ')}. ${newer ? 'Upgrade the platform, or use an older SDK in the plugin' : 'Upgrade the SDK of the plugin'}.`,
    );
  }
  try {
    return offerFromWire(answer);
  } catch (thrown) {
    if (!(thrown instanceof PlatformError)) throw thrown;
    throw new PlatformError('invalid_input', `The plugin "${plugin}" offers what cannot be used: ${thrown.message}`, { cause: thrown, details: thrown.details });
  }
}

interface Channel {
  readonly client: RuntimeServiceClient;
  readonly metadata: Metadata;
  readonly plugin: string;
  readonly offer: PluginOffer;
}

async function execute(channel: Channel, request: ExecuteStepRequest, options: StepOptions): Promise<ExecuteStepResponse> {
  const limit = channel.offer.maxMessageBytes === 0 ? DEFAULT_MESSAGE_BYTES : channel.offer.maxMessageBytes;
  const bytes = couldExceed(request, limit) ? Request.encode(request).finish().length : 0;
  if (bytes > limit) {
    throw notSent('payload_too_large', `The step is ${bytes} bytes and the plugin "${channel.plugin}" receives at most ${limit}. Raise its max_message_bytes, or give the agent fewer steps.`);
  }
  if (options.signal.aborted) throw notSent('cancelled', 'The step was stopped.');
  await ready(channel.client, Math.min(READY_MS, options.timeoutMs), { plugin: channel.plugin, target: 'its address' }).catch(() => {
    throw notSent('unavailable', `The plugin "${channel.plugin}" is not there at the moment.`);
  });
  return options.onDelta !== null && channel.offer.streaming ? stream(channel, request, options, options.onDelta) : unary(channel, request, options);
}

/** Most steps are far below the limit, and encoding them once more only to see that costs what sending them costs. */
function couldExceed(request: ExecuteStepRequest, limit: number): boolean {
  const journal = request.journal.reduce((sum, { step }) => sum + (step?.$case === 'act' ? step.value.args.length + step.value.observation.length : 0) + (step?.$case === 'think' ? step.value.strategyState.length + (step.value.proposal?.thought.length ?? 0) : 0), 0);
  return (journal + request.inputPayload.length) * 4 + FIXED_BYTES > limit;
}

/** Prompts, tools and everything else of a step; the lists of the API keep it below. */
const FIXED_BYTES = 2_097_152;

const notSent = (code: 'payload_too_large' | 'cancelled' | 'unavailable', message: string): PlatformError => new PlatformError(code, message, { details: { sent: false } });

function unary({ client, metadata, plugin }: Channel, request: ExecuteStepRequest, { signal, timeoutMs }: StepOptions): Promise<ExecuteStepResponse> {
  return new Promise((resolve, reject) => {
    const call: ClientUnaryCall = client.executeStep(request, metadata, { deadline: Date.now() + timeoutMs }, (error, answer) => {
      signal.removeEventListener('abort', cancel);
      if (error === null) resolve(answer);
      else reject(toCallError(error, plugin, signal.aborted));
    });
    const cancel = (): void => call.cancel();
    signal.addEventListener('abort', cancel, { once: true });
  });
}

function stream({ client, metadata, plugin }: Channel, request: ExecuteStepRequest, { signal, timeoutMs }: StepOptions, onDelta: (text: string) => void): Promise<ExecuteStepResponse> {
  return new Promise((resolve, reject) => {
    const call = client.executeStepStream(request, metadata, { deadline: Date.now() + timeoutMs });
    const cancel = (): void => call.cancel();
    let answer: ExecuteStepResponse | null = null;
    const end = (error: Error | null): void => {
      signal.removeEventListener('abort', cancel);
      if (error !== null) return reject(error);
      if (answer === null) return reject(new PlatformError('internal', `The plugin "${plugin}" ended the stream of a step without a response.`));
      resolve(answer);
    };
    signal.addEventListener('abort', cancel, { once: true });
    call.on('data', ({ event }) => {
      if (answer !== null) {
        call.cancel();
        return end(new PlatformError('internal', `The plugin "${plugin}" sent more after the response of a step.`));
      }
      if (event?.$case === 'delta') onDelta(event.value);
      else if (event?.$case === 'response') answer = event.value;
    });
    call.on('error', (error: ServiceError) => end(toCallError(error, plugin, signal.aborted)));
    call.on('end', () => end(null));
  });
}

function health(client: RuntimeServiceClient, metadata: Metadata, plugin: string, timeoutMs: number): Promise<HealthCheckResponse> {
  return new Promise((resolve, reject) => {
    client.healthCheck({}, metadata, { deadline: Date.now() + timeoutMs }, (error, answer) => {
      if (error === null) return resolve({ serving: answer.serving, detail: answer.detail.slice(0, 500) });
      const hung = error.code === status.DEADLINE_EXCEEDED;
      reject(new PlatformError('unavailable', hung ? `The plugin "${plugin}" did not answer a health check within ${timeoutMs} ms.` : `The health check of the plugin "${plugin}" failed (${status[error.code] ?? error.code}).`, { cause: error }));
    });
  });
}
