import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { UntypedServiceImplementation, sendUnaryData, ServerUnaryCall, ServerWritableStream, ServiceDefinition } from '@grpc/grpc-js';
import { Server, ServerCredentials, status } from '@grpc/grpc-js';
import { ErrorCode, ExecuteStepResponse, HandshakeResponse, HealthCheckResponse, Proposal, RuntimeServiceService, StepKind, ToolEffect, ToolSpec } from '@openeaap/proto';
import type { DeepPartial, ExecuteStepEvent, ExecuteStepRequest, HandshakeRequest, HealthCheckRequest } from '@openeaap/proto';

/**
 * A worker written against runtime.proto alone that keeps every promise. It is made of parts, so that
 * a test can spoil one of them and see whether the kit notices.
 */
export interface Parts {
  readonly handshake: (request: HandshakeRequest) => HandshakeResponse;
  readonly health: () => Promise<HealthCheckResponse>;
  /** null: grpc.health.v1 is not served. */
  readonly grpcHealth: (() => number) | null;
  readonly kindRefused: number;
  readonly tool: (request: ExecuteStepRequest, call: StepCall) => Promise<ExecuteStepResponse>;
  readonly think: (request: ExecuteStepRequest, call: StepCall) => Promise<ExecuteStepResponse>;
  /** What is sent for a streamed think, from its deltas and its response. */
  readonly toEvents: (deltas: readonly string[], response: ExecuteStepResponse) => readonly ExecuteStepEvent[];
  /** null: let in. */
  readonly authenticate: (authorization: string | undefined, method: string) => string | null;
  readonly receivesBytes: number;
}

export interface StepCall {
  readonly signal: AbortSignal;
  readonly emit: (delta: string) => void;
}

export interface WorkerOptions {
  readonly listen: string;
  readonly token: string | null;
  readonly credentials?: ServerCredentials;
  /** Ends the process in the middle of a step. */
  readonly crash?: () => void;
  /** Where the agent's thinking comes from. */
  readonly thinks?: 'program' | 'model';
  readonly spoil?: (parts: Parts) => Parts;
  /** Large messages take time, which most tests can do without. */
  readonly receivesBytes?: number;
}

export interface Worker {
  readonly listen: string;
  /** Takes no new steps; resolves when those under way have ended. */
  readonly drain: () => Promise<void>;
  readonly close: () => void;
}

const RECEIVES_BYTES = 33_554_432;

export async function startReferenceWorker(options: WorkerOptions): Promise<Worker> {
  const base = createParts(options);
  const parts = options.spoil?.(base) ?? base;
  const server = new Server({ 'grpc.max_receive_message_length': parts.receivesBytes, 'grpc.max_send_message_length': -1 });
  server.addService(RuntimeServiceService, toService(parts));
  if (parts.grpcHealth !== null) addGrpcHealth(server, parts.grpcHealth);
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync(options.listen, options.credentials ?? ServerCredentials.createInsecure(), (error, bound) => (error === null ? resolve(bound) : reject(error)));
  });
  return {
    listen: options.listen.startsWith('unix:') ? options.listen : options.listen.replace(/:\d+$/, `:${port}`),
    drain: () => new Promise((resolve) => server.tryShutdown(() => resolve())),
    close: () => server.forceShutdown(),
  };
}

function toService(parts: Parts): UntypedServiceImplementation {
  const unary = <Q, A>(method: string, handle: (request: Q, signal: AbortSignal) => Promise<A>) => (call: ServerUnaryCall<Q, A>, answer: sendUnaryData<A>): void => {
    const refused = parts.authenticate(call.metadata.get('authorization')[0]?.toString(), method);
    if (refused !== null) return answer({ code: status.UNAUTHENTICATED, details: refused });
    const stop = new AbortController();
    call.on('cancelled', () => stop.abort());
    handle(call.request, stop.signal).then((value) => answer(null, value), (error: unknown) => answer(toStatus(error)));
  };
  return {
    handshake: unary('Handshake', async (request: HandshakeRequest) => parts.handshake(request)),
    healthCheck: unary('HealthCheck', (_request: HealthCheckRequest) => parts.health()),
    executeStep: unary('ExecuteStep', (request: ExecuteStepRequest, signal) => executeStep(parts, request, { signal, emit: () => undefined })),
    executeStepStream: (call: ServerWritableStream<ExecuteStepRequest, ExecuteStepEvent>): void => {
      const refused = parts.authenticate(call.metadata.get('authorization')[0]?.toString(), 'ExecuteStepStream');
      if (refused !== null) return void call.emit('error', { code: status.UNAUTHENTICATED, details: refused });
      if (!parts.handshake({ protocolVersions: [1], controlPlaneVersion: '', pluginName: '', maxMessageBytes: 0 }).streaming) return void call.emit('error', { code: status.UNIMPLEMENTED, details: 'not streaming' });
      const stop = new AbortController();
      call.on('cancelled', () => stop.abort());
      const deltas: string[] = [];
      const send = (response: ExecuteStepResponse): void => {
        for (const event of parts.toEvents(deltas, response)) call.write(event);
        call.end();
      };
      executeStep(parts, call.request, { signal: stop.signal, emit: (delta) => void deltas.push(delta) }).then(send, (error: unknown) => call.emit('error', toStatus(error)));
    },
  };
}

class Refused extends Error {
  readonly code: status;
  constructor(code: status, details: string) {
    super(details);
    this.code = code;
  }
}

const toStatus = (error: unknown) => (error instanceof Refused ? { code: error.code, details: error.message } : { code: status.INTERNAL, details: 'It broke.' });

function executeStep(parts: Parts, request: ExecuteStepRequest, call: StepCall): Promise<ExecuteStepResponse> {
  if (request.kind === StepKind.STEP_KIND_TOOL) return parts.tool(request, call);
  if (request.kind === StepKind.STEP_KIND_THINK) return parts.think(request, call);
  return Promise.reject(new Refused(parts.kindRefused, `There is no step of kind ${request.kind}.`));
}

function addGrpcHealth(server: Server, answer: () => number): void {
  const service: ServiceDefinition = {
    check: {
      path: '/grpc.health.v1.Health/Check', requestStream: false, responseStream: false,
      requestSerialize: (value: Buffer) => value, requestDeserialize: (value: Buffer) => value,
      responseSerialize: (value: number) => Buffer.from([8, value]), responseDeserialize: (value: Buffer) => value[1] ?? 0,
    },
  };
  server.addService(service, { check: (_call: unknown, reply: sendUnaryData<number>) => reply(null, answer()) });
}

const json = JSON.stringify;
export const result = (value: unknown): ExecuteStepResponse => ExecuteStepResponse.fromPartial({ outputPayload: json(value) });
export const failure = (code: ErrorCode, message: string, retryable = false): ExecuteStepResponse => ExecuteStepResponse.fromPartial({ error: { code, message, retryable } });
export const proposal = (value: DeepPartial<Proposal>, strategyState = ''): ExecuteStepResponse => ExecuteStepResponse.fromPartial({ proposal: Proposal.fromPartial(value), strategyState });
export const finish = (output: unknown): ExecuteStepResponse => proposal({ output: json(output) });
export const propose = (tool: string, args: unknown, strategyState = ''): ExecuteStepResponse => proposal({ calls: [{ id: 'call-1', tool, args: json(args) }] }, strategyState);
export const delta = (value: string): ExecuteStepEvent => ({ event: { $case: 'delta', value } });
export const last = (value: ExecuteStepResponse): ExecuteStepEvent => ({ event: { $case: 'response', value } });

const invalid = (message: string): ExecuteStepResponse => failure(ErrorCode.ERROR_CODE_INVALID_INPUT, message);

const { TOOL_EFFECT_READ, TOOL_EFFECT_WRITE } = ToolEffect;

const TOOLS: readonly ToolSpec[] = [
  { name: 'conformance_echo', effect: TOOL_EFFECT_READ },
  { name: 'conformance_sleep', effect: TOOL_EFFECT_READ },
  { name: 'conformance_fail', effect: TOOL_EFFECT_WRITE },
  { name: 'conformance_crash', effect: TOOL_EFFECT_WRITE },
  { name: 'conformance_count', effect: TOOL_EFFECT_WRITE, idempotent: true },
  { name: 'conformance_secret', effect: TOOL_EFFECT_READ, secrets: ['CONFORMANCE_SECRET'] },
  { name: 'conformance_big', effect: TOOL_EFFECT_READ },
  { name: 'conformance_sleeps_seen', effect: TOOL_EFFECT_READ },
].map((spec) => ToolSpec.fromPartial({ version: '1', description: `The tool ${spec.name}.`, inputSchema: '{"type":"object"}', ...spec }));

function createParts({ token, crash = () => undefined, thinks = 'program', receivesBytes = RECEIVES_BYTES }: WorkerOptions): Parts {
  // What a tool remembers is the world, not the run.
  const counts = new Map<string, number>();
  const sleeps = { cancelled: 0 };
  const sleepFor = async (ms: number, signal: AbortSignal): Promise<boolean> => {
    const done = await sleep(ms, true, { signal }).catch(() => false);
    if (!done) sleeps.cancelled += 1;
    return done;
  };
  const think = createThink(sleepFor, crash);
  return {
    handshake: ({ protocolVersions }) =>
      HandshakeResponse.fromPartial({
        protocolVersion: protocolVersions.includes(1) ? 1 : 0, protocolVersions: [1],
        name: 'reference', version: '1.0.0', sdk: { language: 'typescript', version: '1.0.0' },
        tools: TOOLS, agents: [{ name: 'conformance', description: 'Follows {"do": ...}.' }],
        streaming: true, maxMessageBytes: receivesBytes,
      }),
    health: async () => HealthCheckResponse.fromPartial({ serving: true, detail: 'fine' }),
    grpcHealth: () => 1,
    kindRefused: status.INVALID_ARGUMENT,
    tool: createTool({ counts, sleeps, sleepFor, crash }),
    think: thinks === 'model' ? modelThink : think,
    toEvents: (deltas, response) => [...deltas.map(delta), last(response)],
    authenticate: (authorization) => (token === null || authorization === `Bearer ${token}` ? null : 'The token is missing or wrong.'),
    receivesBytes,
  };
}

interface World {
  readonly counts: Map<string, number>;
  readonly sleeps: { cancelled: number };
  readonly sleepFor: (ms: number, signal: AbortSignal) => Promise<boolean>;
  readonly crash: () => void;
}

function createTool({ counts, sleeps, sleepFor, crash }: World): Parts['tool'] {
  return async (request, { signal }) => {
    const args = parseObject(request.inputPayload);
    if (args === null) return invalid('The arguments are no JSON object.');
    switch (request.tool) {
      case 'conformance_echo':
        return result({ echo: args });
      case 'conformance_sleep':
        return (await sleepFor(Number(args['ms']), signal)) ? result({ slept_ms: args['ms'] }) : failure(ErrorCode.ERROR_CODE_CANCELLED, 'Stopped.');
      case 'conformance_fail':
        return failure(ErrorCode.ERROR_CODE_TOOL_FAILED, String(args['message']));
      case 'conformance_crash':
        return new Promise(crash);
      case 'conformance_count': {
        if (request.constraints?.dryRun === true) return failure(ErrorCode.ERROR_CODE_CONSTRAINT_VIOLATED, 'This is a dry run.');
        const calls = (counts.get(request.idempotencyKey) ?? 0) + 1;
        counts.set(request.idempotencyKey, calls);
        return result({ calls, effects: 1 });
      }
      case 'conformance_secret':
        return result({ sha256: createHash('sha256').update(request.ephemeralCredentials['CONFORMANCE_SECRET'] ?? '').digest('hex') });
      case 'conformance_big':
        return result({ text: 'x'.repeat(Number(args['bytes'])) });
      case 'conformance_sleeps_seen':
        return result({ cancelled: sleeps.cancelled });
      default:
        return invalid(`There is no tool "${request.tool}".`);
    }
  };
}

export function parseObject(text: string): { readonly [key: string]: unknown } | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as { readonly [key: string]: unknown }) : null;
  } catch {
    return null;
  }
}

const isKnown = (entrypoint: string | undefined): boolean => entrypoint === undefined || entrypoint === '' || entrypoint === 'conformance';

function createThink(sleepFor: World['sleepFor'], crash: () => void): Parts['think'] {
  return async (request, { signal, emit }) => {
    const input = parseObject(request.inputPayload);
    if (!isKnown(request.agent?.entrypoint)) return invalid('There is no such agent.');
    if (input === null) return invalid('The input is no JSON object.');
    switch (input['do']) {
      case 'finish':
        return finish(input['output'] ?? null);
      case 'propose': {
        const tool = String(input['tool']);
        const act = request.journal.map(({ step }) => step).findLast((step) => step?.$case === 'act');
        if (act !== undefined) return finish({ observation: JSON.parse(act.value.observation) as unknown });
        return isOffered(request, tool) ? propose(tool, input['args']) : finish('blocked');
      }
      case 'count': {
        const n = Number(stateOf(request) || '0') + 1;
        return n >= 3 ? finish(n) : propose('conformance_echo', { n }, String(n));
      }
      case 'stream':
        for (const piece of String(input['text']).match(/.{1,9}/gsu) ?? []) emit(piece);
        return finish(input['text']);
      case 'sleep':
        return (await sleepFor(Number(input['ms']), signal)) ? finish('slept') : failure(ErrorCode.ERROR_CODE_CANCELLED, 'Stopped.');
      case 'fail':
        return failure(ErrorCode.ERROR_CODE_MODEL_UNAVAILABLE, 'No model answers.', true);
      case 'crash':
        return new Promise(crash);
      default:
        return invalid('I do not know what to do.');
    }
  };
}

export const isOffered = (request: ExecuteStepRequest, tool: string): boolean => request.tools.some(({ name }) => name === tool) && request.constraints?.blockedTools.includes(tool) !== true;

export function stateOf(request: ExecuteStepRequest): string {
  const thinks = request.journal.flatMap(({ step }) => (step?.$case === 'think' ? [step.value] : []));
  return thinks.findLast(({ strategyState }) => strategyState !== '')?.strategyState ?? '';
}

/** The same agent when its thinking is a model's: one request to the gateway for each think. */
const modelThink: Parts['think'] = async (request, { signal, emit }) => {
  if (!isKnown(request.agent?.entrypoint)) return invalid('There is no such agent.');
  if (parseObject(request.inputPayload) === null) return invalid('The input is no JSON object.');
  const { OPENEAAP_GATEWAY_URL: url = '', OPENEAAP_MODEL_TOKEN: token = '' } = request.ephemeralCredentials;
  const answer = await fetch(`${url}/chat/completions`, { method: 'POST', signal, headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` }, body: json(toChat(request)) }).catch(() => null);
  if (answer === null || answer.status >= 500) return failure(ErrorCode.ERROR_CODE_MODEL_UNAVAILABLE, 'No model answers.', true);
  if (!answer.ok) return failure(ErrorCode.ERROR_CODE_MODEL_REJECTED, `The gateway answers ${answer.status}.`);
  return fromChat(readChunks(await answer.text()), emit);
};

export function toChat(request: ExecuteStepRequest) {
  const turns = request.journal.flatMap(({ step }): readonly object[] => {
    if (step?.$case === 'act') return [{ role: 'tool', tool_call_id: step.value.callId, content: step.value.observation }];
    const calls = step?.value.proposal?.calls ?? [];
    return calls.length === 0 ? [] : [{ role: 'assistant', content: null, tool_calls: calls.map((call) => ({ id: call.id, type: 'function', function: { name: call.tool, arguments: call.args } })) }];
  });
  const messages = [{ role: 'system', content: request.agent?.systemPrompt ?? '' }, { role: 'user', content: [{ type: 'text', text: `Your task: ${request.inputPayload}` }] }, ...turns];
  const tools = request.tools.filter(({ name }) => isOffered(request, name)).map(({ name, description, inputSchema }) => ({ type: 'function', function: { name, description, parameters: JSON.parse(inputSchema) as unknown } }));
  return { model: '', messages, tools, max_completion_tokens: request.constraints?.maxTokens ?? 0, stream: true };
}

interface Chunk {
  readonly content: string;
  readonly call: { readonly id?: string; readonly function?: { readonly name?: string; readonly arguments?: string } } | null;
}

function readChunks(text: string): readonly Chunk[] {
  return text.split('\n').filter((line) => line.startsWith('data: {')).map((line) => {
    const { choices } = JSON.parse(line.slice('data: '.length)) as { readonly choices: readonly { readonly delta: { readonly content?: string | null; readonly tool_calls?: readonly NonNullable<Chunk['call']>[] } }[] };
    const delta = choices[0]?.delta;
    return { content: delta?.content ?? '', call: delta?.tool_calls?.[0] ?? null };
  });
}

function fromChat(chunks: readonly Chunk[], emit: StepCall['emit']): ExecuteStepResponse {
  for (const { content } of chunks) if (content !== '') emit(content);
  const calls = chunks.flatMap(({ call }) => call ?? []);
  if (calls.length === 0) return finish(chunks.map(({ content }) => content).join(''));
  return proposal({ calls: [{ id: calls[0]?.id ?? '', tool: calls[0]?.function?.name ?? '', args: calls.map((call) => call.function?.arguments ?? '').join('') }] });
}
