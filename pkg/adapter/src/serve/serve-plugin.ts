import { lstat, unlink } from 'node:fs/promises';
import { connect } from 'node:net';
import { createSecureContext } from 'node:tls';
import { Server, ServerCredentials, status } from '@grpc/grpc-js';
import type { ServerOptions, ServerUnaryCall, ServerWritableStream, sendUnaryData } from '@grpc/grpc-js';
import { PlatformError, toPlatformError } from '@openeaap/kernel';
import { ErrorCode, ExecuteStepResponse, RuntimeServiceService } from '@openeaap/proto';
import type { ExecuteStepEvent, ExecuteStepRequest, HandshakeRequest, HandshakeResponse, HealthCheckResponse, RuntimeServiceServer } from '@openeaap/proto';
import type { HostedAgent, RuntimeAdapter, RuntimeHandshake } from '../runtime.ts';
import type { ToolAdapter } from '../tool-adapter.ts';
import type { PluginOffer } from '../wire/offer-wire.ts';
import { PROTOCOL_VERSIONS, agreeOnVersion, offerFromWire, offerToWire } from '../wire/offer-wire.ts';
import { WIRE_LIMITS } from '../wire/wire-limits.ts';
import { HEALTH_SERVICE, NOT_SERVING, SERVING } from './health-protocol.ts';
import type { ListenAddress } from './listen-address.ts';
import { formatListenAddress, isLocal, parseListenAddress } from './listen-address.ts';
import type { PluginLog } from './plugin-log.ts';
import type { PluginTls } from './plugin-settings.ts';
import { plainTextBeyondLoopback } from './plugin-settings.ts';
import { requireToken } from './require-token.ts';
import type { StepDesk } from './step-desk.ts';
import { createStepDesk } from './step-desk.ts';

export interface ServePluginOptions {
  readonly name: string;
  readonly version: string;
  /** Who serves: told in the handshake. */
  readonly sdk: { readonly language: string; readonly version: string };
  readonly runtime?: RuntimeAdapter;
  readonly tools?: ToolAdapter;
  /** `unix:/path`, `127.0.0.1:50051`; port 0: any. */
  readonly listen: string;
  /** null: calls are not asked for one. */
  readonly token?: string | null;
  /** null: plain text, which is refused beyond loopback and Unix sockets. */
  readonly tls?: PluginTls | null;
  /** Steps at once; more are refused with OVERLOADED, and the control plane holds them back. 0: no limit. */
  readonly maxConcurrentSteps?: number;
  /** Largest message that is received and sent. */
  readonly maxMessageBytes?: number;
  readonly log: PluginLog;
}

export interface ServedPlugin {
  /** As it can be connected to: with the port that was found for port 0. */
  readonly address: string;
  /** Takes no new steps, waits `graceMs` at most for those under way, then aborts them and ends. */
  readonly close: (graceMs: number) => Promise<void>;
}

/** Enough for a busy node, and a bound on what a flood of 32 MiB requests may hold. */
const CONCURRENT_STEPS = 64;
/** Calls at once on one connection, those that are refused and health checks included. */
const CONCURRENT_CALLS = 1_024;
/** Deltas are a preview: when nobody reads them as fast as they come, what is over this is dropped. */
const QUEUED_DELTAS = 256;
/** How long aborted steps get to notice, before their connections are cut. */
const ABORT_MS = 500;

/**
 * Serves adapters by the plugin protocol (docs/plugin-protocol.md).
 * Errors: invalid_input for settings and offers that cannot be used, with the cure; unavailable when the address is taken.
 */
export async function servePlugin(options: ServePluginOptions): Promise<ServedPlugin> {
  const address = parseListenAddress(options.listen);
  const tls = options.tls ?? null;
  if (tls === null && !isLocal(address)) throw plainTextBeyondLoopback(options.listen);
  let offer = await makeOffer(options);
  const desk = createStepDesk({ offer: () => offer, runtime: options.runtime ?? null, tools: options.tools ?? null, log: withoutErrors(options.log) });
  const ending = createEnding();
  const server = new Server(serverOptions(options));
  server.addService(RuntimeServiceService, {
    handshake: answerWith((request: HandshakeRequest) => makeOffer(options).then((made) => greet(request, (offer = made)))),
    healthCheck: answerWith(() => health(options, ending)),
    executeStep: unaryStep(desk, ending),
    executeStepStream: streamedStep(desk, ending),
  } satisfies RuntimeServiceServer);
  server.addService(HEALTH_SERVICE, { check: checkHealth(options, ending) });
  const bound = await bind(server, address, credentialsOf(tls));
  return {
    address: formatListenAddress(bound),
    close: async (graceMs) => {
      await drain(server, desk, ending, graceMs);
      if (bound.kind === 'unix') await unlink(bound.path).catch(() => undefined);
    },
  };
}

function serverOptions({ token = null, maxMessageBytes = WIRE_LIMITS.messageBytes }: ServePluginOptions): ServerOptions {
  return {
    'grpc.max_receive_message_length': maxMessageBytes,
    'grpc.max_send_message_length': maxMessageBytes,
    'grpc.max_concurrent_streams': CONCURRENT_CALLS,
    ...(token === null ? {} : { interceptors: [requireToken(token)] }),
  };
}

// -- the offer

/** Checked here as the control plane will check it: whoever wrote the plugin is told first. */
async function makeOffer(options: ServePluginOptions): Promise<PluginOffer> {
  const [runtime, tools] = await Promise.all([options.runtime?.handshake(), options.tools?.handshake()]);
  const offer: PluginOffer = {
    name: options.name,
    version: options.version,
    sdk: options.sdk,
    tools: tools?.tools ?? [],
    agents: runtime === undefined ? [] : agentsOf(runtime),
    streaming: runtime !== undefined,
    maxMessageBytes: options.maxMessageBytes ?? WIRE_LIMITS.messageBytes,
    maxConcurrentSteps: options.maxConcurrentSteps ?? CONCURRENT_STEPS,
  };
  return offerFromWire(offerToWire(offer, 0));
}

/** A runtime that thinks without naming agents is one agent, by the runtime's own name. */
function agentsOf({ name, reasoningModes, agents }: RuntimeHandshake): readonly HostedAgent[] {
  return reasoningModes.length === 0 ? agents : [{ name, description: '', reasoningModes }, ...agents];
}

function greet(request: HandshakeRequest, offer: PluginOffer): HandshakeResponse {
  const version = agreeOnVersion(PROTOCOL_VERSIONS, request.protocolVersions);
  // To a peer that speaks none of our versions the offer would mean nothing.
  return offerToWire(version === 0 ? { ...offer, tools: [], agents: [] } : offer, version);
}

/** A log that fails must not take steps with it. */
function withoutErrors(log: PluginLog): PluginLog {
  return (entry) => {
    try {
      log(entry);
    } catch {
      // Where it would be told is what has just failed.
    }
  };
}

// -- health

async function health({ runtime, tools }: ServePluginOptions, ending: Ending): Promise<HealthCheckResponse> {
  if (ending.begun()) return { serving: false, detail: 'shutting down' };
  const parts = await Promise.all([runtime, tools].filter((adapter) => adapter !== undefined).map(healthOf));
  return parts.find((part) => !part.serving) ?? { serving: true, detail: parts.map(({ detail }) => detail).filter((detail) => detail !== '').join('; ') };
}

async function healthOf(adapter: Pick<RuntimeAdapter | ToolAdapter, 'healthCheck'>): Promise<HealthCheckResponse> {
  try {
    return await adapter.healthCheck();
  } catch (thrown) {
    return { serving: false, detail: toPlatformError(thrown).message };
  }
}

function checkHealth(options: ServePluginOptions, ending: Ending) {
  return (call: ServerUnaryCall<{ readonly service: string }, unknown>, answer: sendUnaryData<unknown>): void => {
    if (call.request.service !== '') return answer({ code: status.NOT_FOUND, details: 'Only the server as a whole (an empty service name) has a health.' });
    void health(options, ending).then(({ serving }) => answer(null, { status: serving ? SERVING : NOT_SERVING }));
  };
}

// -- calls

function answerWith<Request, Response>(work: (request: Request) => Promise<Response>) {
  return (call: ServerUnaryCall<Request, Response>, answer: sendUnaryData<Response>): void => {
    work(call.request).then(
      (response) => answer(null, response),
      // Another try may find the adapter well again.
      (thrown: unknown) => answer({ code: status.UNAVAILABLE, details: toPlatformError(thrown).message }),
    );
  };
}

const UNKNOWN_KIND = { code: status.INVALID_ARGUMENT, details: 'kind must be STEP_KIND_THINK or STEP_KIND_TOOL; this plugin knows no other.' };
/** In the answer, not as a status: of a status nobody could tell that the step was not begun. */
const ENDING = ExecuteStepResponse.fromPartial({ error: { code: ErrorCode.ERROR_CODE_OVERLOADED, message: 'The plugin is stopping; the step was not begun.', retryable: true } });

function unaryStep(desk: StepDesk, ending: Ending): RuntimeServiceServer['executeStep'] {
  return (call, answer) => {
    if (ending.begun()) return answer(null, ENDING);
    const { signal, release } = ending.signalOf(call);
    void desk
      .execute(call.request, signal, () => undefined)
      .then((response) => (response === null ? answer(UNKNOWN_KIND) : answer(null, response)))
      .finally(release);
  };
}

function streamedStep(desk: StepDesk, ending: Ending): RuntimeServiceServer['executeStepStream'] {
  return (call) => {
    if (ending.begun()) return void call.end({ event: { $case: 'response', value: ENDING } });
    const { signal, release } = ending.signalOf(call);
    void stream(desk, call, signal).finally(release);
  };
}

async function stream(desk: StepDesk, call: ServerWritableStream<ExecuteStepRequest, ExecuteStepEvent>, signal: AbortSignal): Promise<void> {
  let answered = false;
  const onDelta = (text: string): void => {
    if (answered || signal.aborted || text === '' || call.writableLength >= QUEUED_DELTAS) return;
    call.write({ event: { $case: 'delta', value: text } });
  };
  const response = await desk.execute(call.request, signal, onDelta);
  answered = true;
  if (response === null) return void call.emit('error', UNKNOWN_KIND);
  call.write({ event: { $case: 'response', value: response } });
  call.end();
}

// -- the end

interface Ending {
  readonly begun: () => boolean;
  readonly begin: () => void;
  /** Aborts all steps under way. */
  readonly abort: () => void;
  /** Aborts when the call is cancelled or its deadline passes, and with `abort`. */
  readonly signalOf: (call: { readonly cancelled: boolean; readonly on: (event: 'cancelled', listener: () => void) => unknown }) => { readonly signal: AbortSignal; readonly release: () => void };
}

function createEnding(): Ending {
  let begun = false;
  const open = new Set<AbortController>();
  return {
    begun: () => begun,
    begin: () => (begun = true),
    abort: () => {
      for (const controller of open) controller.abort();
    },
    signalOf: (call) => {
      const controller = new AbortController();
      open.add(controller);
      call.on('cancelled', () => controller.abort());
      if (call.cancelled) controller.abort();
      return { signal: controller.signal, release: () => void open.delete(controller) };
    },
  };
}

async function drain(server: Server, desk: StepDesk, ending: Ending, graceMs: number): Promise<void> {
  ending.begin();
  const closed = new Promise<void>((resolve) => server.tryShutdown(() => resolve()));
  if (!(await within(closed, graceMs)) && desk.underWay() > 0) {
    ending.abort();
    await within(closed, ABORT_MS);
  }
  server.forceShutdown();
}

async function within(work: Promise<void>, ms: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<boolean>((resolve) => (timer = setTimeout(() => resolve(false), ms)));
  try {
    return await Promise.race([work.then(() => true), late]);
  } finally {
    clearTimeout(timer);
  }
}

// -- the socket

function credentialsOf(tls: PluginTls | null): ServerCredentials {
  if (tls === null) return ServerCredentials.createInsecure();
  const clientCa = tls.clientCa === null ? null : Buffer.from(tls.clientCa);
  try {
    // Found here, and not as an address that cannot be bound.
    createSecureContext({ cert: tls.cert, key: tls.key, ...(clientCa === null ? {} : { ca: clientCa }) });
  } catch (thrown) {
    throw new PlatformError('invalid_input', 'The TLS certificate or key cannot be used. Are all of them PEM, and do certificate and key belong together?', { cause: thrown, details: { field: 'OPENEAAP_PLUGIN_TLS_CERT' } });
  }
  return ServerCredentials.createSsl(clientCa, [{ cert_chain: Buffer.from(tls.cert), private_key: Buffer.from(tls.key) }], clientCa !== null);
}

async function bind(server: Server, address: ListenAddress, credentials: ServerCredentials): Promise<ListenAddress> {
  if (address.kind === 'unix') await removeStaleSocket(address.path);
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync(formatListenAddress(address), credentials, (error, port) => (error === null ? resolve(port) : reject(error)));
  }).catch((thrown: unknown) => {
    throw new PlatformError('unavailable', `The plugin cannot listen on ${formatListenAddress(address)}: ${thrown instanceof Error ? thrown.message : 'unknown reason'}. Is the address taken, or not this machine's?`, { cause: thrown });
  });
  return address.kind === 'unix' ? address : { ...address, port };
}

/** A plugin that was killed leaves its socket behind. One that is listened on is somebody's, and stays. */
async function removeStaleSocket(path: string): Promise<void> {
  const found = await lstat(path).catch(() => null);
  if (found === null || !found.isSocket()) return;
  const listened = await new Promise<boolean>((resolve) => {
    const probe = connect(path);
    probe.once('connect', () => resolve(true)).once('error', () => resolve(false));
    probe.once('connect', () => probe.destroy());
  });
  if (!listened) await unlink(path).catch(() => undefined);
}
