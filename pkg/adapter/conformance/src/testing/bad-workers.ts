import { status } from '@grpc/grpc-js';
import { ErrorCode, ExecuteStepResponse, HandshakeResponse } from '@openeaap/proto';
import type { DeepPartial, ExecuteStepRequest } from '@openeaap/proto';
import type { Timing } from '../timing.ts';
import type { Parts } from './reference-worker.ts';
import { delta, failure, finish, last, parseObject, proposal, propose, result, stateOf, toChat } from './reference-worker.ts';

export interface BadWorker {
  /** The checks that have to find it out: one, unless the promise is made twice. */
  readonly breaks: readonly string[];
  readonly thinks?: 'program' | 'model';
  /** What is waited for in vain, in place of seconds. */
  readonly timing?: Partial<Timing>;
  readonly spoil: (parts: Parts) => Parts;
}

/** Changes what is said in the handshake. */
const offer = (breaks: readonly string[], change: (offer: HandshakeResponse, versions: readonly number[]) => DeepPartial<HandshakeResponse>): BadWorker => ({
  breaks,
  spoil: (parts) => ({ ...parts, handshake: (request) => HandshakeResponse.fromPartial({ ...parts.handshake(request), ...change(parts.handshake(request), request.protocolVersions) }) }),
});

/** Changes the answers of tool steps. */
const tool = (breaks: readonly string[], name: string, change: (parts: Parts, ...args: Parameters<Parts['tool']>) => Promise<ExecuteStepResponse>): BadWorker => ({
  breaks,
  spoil: (parts) => ({ ...parts, tool: (request, call) => (name === '*' || request.tool === name ? change(parts, request, call) : parts.tool(request, call)) }),
});

/** Changes the answers of thinks with that `do`. */
const think = (breaks: readonly string[], what: string, change: (parts: Parts, ...args: Parameters<Parts['think']>) => Promise<ExecuteStepResponse>): BadWorker => ({
  breaks,
  spoil: (parts) => ({ ...parts, think: (request, call) => (inputOf(request)['do'] === what && request.agent?.entrypoint !== 'conformance_no_such_agent' ? change(parts, request, call) : parts.think(request, call)) }),
});

const inputOf = (request: ExecuteStepRequest): { readonly [key: string]: unknown } => parseObject(request.inputPayload) ?? {};

const firstTool = (given: HandshakeResponse, change: object): DeepPartial<HandshakeResponse> => ({ tools: given.tools.map((spec, index) => (index === 0 ? { ...spec, ...change } : spec)) });

const never = (): Promise<never> => new Promise(() => undefined);

/** Remembers between steps what it must not; made anew for each worker. */
const withMemory = <T>(start: () => T, spoil: (parts: Parts, memory: T) => Parts) => (parts: Parts): Parts => spoil(parts, start());

/** A chat with the gateway of the kit that a bad agent has by its own rules. */
async function askModel(request: ExecuteStepRequest, change: object, token = request.ephemeralCredentials['OPENEAAP_MODEL_TOKEN'] ?? ''): Promise<void> {
  const url = request.ephemeralCredentials['OPENEAAP_GATEWAY_URL'] ?? '';
  await fetch(`${url}/chat/completions`, { method: 'POST', headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` }, body: JSON.stringify({ ...toChat(request), ...change }) });
}

export const BAD_WORKERS: Readonly<Record<string, BadWorker>> = {
  'answers with the highest version that is asked for': offer(['handshake.highest_common'], (_offer, versions) => (versions.length > 1 ? { protocolVersion: Math.max(...versions) } : {})),
  'says version 1 to whoever does not speak it': offer(['handshake.no_common'], () => ({ protocolVersion: 1 })),
  'does not say what it speaks': offer(['handshake.no_common'], () => ({ protocolVersions: [] })),
  'answers each handshake differently': { breaks: ['handshake.repeatable'], spoil: withMemory(() => ({ n: 0 }), (parts, memory) => ({ ...parts, handshake: (request) => ({ ...parts.handshake(request), version: `1.0.${(memory.n += 1)}` }) })) },
  'offers a tool twice': offer(['handshake.names'], (given) => ({ tools: [...given.tools, given.tools[0]] as DeepPartial<HandshakeResponse>['tools'] & object })),
  'has a name with a blank': offer(['handshake.names'], (given) => ({ tools: [...given.tools, { ...given.tools[0], name: 'a tool' }] })),
  'knows a reasoning mode that nobody knows': offer(['handshake.names'], (given) => ({ agents: given.agents.map((agent) => ({ ...agent, reasoningModes: ['guessing'] })) })),
  'has a schema that is no JSON': offer(['handshake.schemas'], (given) => firstTool(given, { inputSchema: '{"type":' })),
  'has a schema that is no schema': offer(['handshake.schemas'], (given) => firstTool(given, { inputSchema: '{"type":"objekt"}' })),
  'has a schema that takes any value': offer(['handshake.schemas'], (given) => firstTool(given, { inputSchema: '{}' })),
  'has an output schema that is no schema': offer(['handshake.schemas'], (given) => firstTool(given, { outputSchema: '{"properties":7}' })),
  'has an effect of its own': offer(['handshake.effects', 'handshake.fixtures'], (given) => firstTool(given, { effect: 9 })),
  'declares a tool otherwise than it is described': offer(['handshake.fixtures'], (given) => ({ tools: given.tools.map((spec) => ({ ...spec, idempotent: false })) })),
  'has a timeout of days': offer(['handshake.limits'], (given) => firstTool(given, { timeoutMs: 100_000_000 })),
  'says that it receives next to nothing': offer(['handshake.limits'], () => ({ maxMessageBytes: 1_000 })),

  'hangs on health': { breaks: ['health.answers', 'health.while_busy'], timing: { healthMs: 200 }, spoil: (parts) => ({ ...parts, health: never }) },
  'is not serving': { breaks: ['health.answers'], spoil: (parts) => ({ ...parts, health: async () => ({ serving: false, detail: 'not today' }) }) },

  'takes an unknown kind for a mistake of its own': { breaks: ['step.unknown_kind', 'stream.invalid'], spoil: (parts) => ({ ...parts, kindRefused: status.INTERNAL }) },
  'breaks on an unknown tool': tool(['step.unknown_tool'], 'conformance_no_such_tool', () => Promise.reject(new Error('no such key'))),
  'takes an unknown agent for its only one': { breaks: ['step.unknown_agent'], spoil: (parts) => ({ ...parts, think: (request, call) => parts.think({ ...request, agent: undefined }, call) }) },
  'takes malformed arguments for none': tool(['step.malformed_payload'], '*', (parts, request, call) => parts.tool(isJson(request.inputPayload) ? request : { ...request, inputPayload: '{}' }, call)),
  'calls a tool with a list': tool(['step.payload_no_object'], 'conformance_echo', async (parts, request, call) => (isJson(request.inputPayload) ? result({ echo: JSON.parse(request.inputPayload) }) : parts.tool(request, call))),
  'breaks on a malformed input': { breaks: ['step.malformed_input'], spoil: (parts) => ({ ...parts, think: (request, call) => (isJson(request.inputPayload) ? parts.think(request, call) : Promise.reject(new SyntaxError('unexpected end'))) }) },
  'needs constraints': tool(['step.missing_fields'], '*', (parts, request, call) => (request.constraints === undefined ? Promise.reject(new TypeError('undefined')) : parts.tool(request, call))),
  'breaks on a trace that it cannot read': tool(['step.trace_context'], '*', (parts, request, call) => (request.traceContext['traceparent'] === 'nonsense' ? Promise.reject(new Error('bad trace')) : parts.tool(request, call))),

  'returns the arguments as they are': tool(['tool.echo', 'tool.unicode', 'tool.json', 'tool.parallel', 'tool.no_queue', 'step.missing_fields', 'step.unknown_fields', 'step.trace_context'], 'conformance_echo', async (parts, request, call) => (parseObject(request.inputPayload) === null ? parts.tool(request, call) : result(parseObject(request.inputPayload)))),
  'returns ASCII only': tool(['tool.unicode'], 'conformance_echo', async (parts, request, call) => onPayload(await parts.tool(request, call), (text) => text.replaceAll(/[^\u0020-\u007f]/g, '?'))),
  'loses digits of large integers': tool(['tool.json'], 'conformance_echo', async (parts, request, call) => onPayload(await parts.tool(request, call), (text) => text.replaceAll('9007199254740991', '9007199254740992'))),
  'cuts results': tool(['tool.big_result'], 'conformance_big', async () => result({ text: 'x'.repeat(65_536) })),
  'says that a failed call may be tried again': tool(['tool.fails'], 'conformance_fail', async (_parts, request) => failure(ErrorCode.ERROR_CODE_TOOL_FAILED, String(inputOf(request)['message']), true)),
  'breaks where it should fail': tool(['tool.fails'], 'conformance_fail', () => Promise.reject(new Error('out of luck'))),
  'mixes up calls at the same time': {
    breaks: ['tool.parallel'],
    spoil: withMemory(() => ({ underWay: 0, last: '' }), (parts, memory) => ({
      ...parts,
      tool: async (request, call) => {
        if (request.tool !== 'conformance_echo' || parseObject(request.inputPayload) === null) return parts.tool(request, call);
        memory.underWay += 1;
        memory.last = request.inputPayload;
        await new Promise((resolve) => setTimeout(resolve, 10));
        memory.underWay -= 1;
        return parts.tool(memory.underWay > 5 ? { ...request, inputPayload: memory.last } : request, call);
      },
    })),
  },
  'does one step at a time': {
    // A health check is no step and is not held up; a cancelled step frees the way.
    breaks: ['tool.no_queue'],
    timing: { busyMs: 500 },
    spoil: withMemory(() => ({ tail: Promise.resolve() as Promise<unknown> }), (parts, memory) => ({
      ...parts,
      tool: (request, call) => {
        const mine = memory.tail.then(() => parts.tool(request, call));
        if (request.tool === 'conformance_sleep' && Number(inputOf(request)['ms']) <= 500) memory.tail = mine.catch(() => undefined);
        return mine;
      },
    })),
  },
  'does a call again for a key that it knows': { breaks: ['tool.idempotent'], spoil: withMemory(() => new Map<string, number>(), (parts, calls) => ({ ...parts, tool: (request, call) => (request.tool === 'conformance_count' && request.constraints?.dryRun !== true ? countTwice(calls, request) : parts.tool(request, call)) })) },
  'counts all keys as one': tool(['tool.idempotent', 'tool.dry_run'], 'conformance_count', (parts, request, call) => parts.tool({ ...request, idempotencyKey: '' }, call)),
  'acts in a dry run': { breaks: ['tool.dry_run'], spoil: (parts) => ({ ...parts, tool: (request, call) => parts.tool({ ...request, constraints: undefined }, call) }) },
  'keeps the first secret': { breaks: ['tool.secret'], spoil: withMemory(() => ({ first: '' }), (parts, memory) => ({ ...parts, tool: (request, call) => parts.tool({ ...request, ephemeralCredentials: { CONFORMANCE_SECRET: (memory.first ||= request.ephemeralCredentials['CONFORMANCE_SECRET'] ?? '') } }, call) })) },
  'never stops a step': { breaks: ['tool.cancel', 'tool.deadline'], timing: { stopSeenMs: 150 }, spoil: (parts) => ({ ...parts, tool: (request, call) => parts.tool(request, { ...call, signal: new AbortController().signal }) }) },

  'answers a think with nothing': think(['agent.answers', 'agent.finish', 'agent.shape', 'agent.failed_think', 'agent.only_one', 'agent.parallel'], 'finish', async () => ExecuteStepResponse.fromPartial({})),
  'ends with a text that is no JSON': think(['agent.finish', 'agent.shape', 'agent.failed_think', 'agent.only_one', 'agent.parallel'], 'finish', async (_parts, request) => proposal({ output: String(inputOf(request)['output']) + '!' })),
  'wraps its output': think(['agent.finish'], 'finish', async (parts, request, call) => (typeof inputOf(request)['output'] === 'object' ? finish({ output: inputOf(request)['output'] }) : parts.think(request, call))),
  'proposes other arguments': think(['agent.propose'], 'propose', async (parts, request, call) => onCalls(await parts.think(request, call), (args) => ({ ...args, extra: true }))),
  'proposes a call and an output': think(['agent.shape'], 'propose', async (parts, request, call) => both(await parts.think(request, call))),
  'proposes calls without an id': think(['agent.shape'], 'propose', async (parts, request, call) => withoutIds(await parts.think(request, call))),
  'proposes tools that nobody offers': think(['agent.only_offered'], 'propose', (parts, request, call) => parts.think({ ...request, tools: [...request.tools, { ...(request.tools[0] as (typeof request.tools)[number]), name: String(inputOf(request)['tool']) }] }, call)),
  'proposes what is blocked': think(['agent.blocked'], 'propose', (parts, request, call) => parts.think({ ...request, constraints: undefined }, call)),
  'does not look into the journal': think(['agent.observation', 'agent.denied'], 'propose', (parts, request, call) => parts.think({ ...request, journal: [] }, call)),
  'cannot bear a think that failed': { breaks: ['agent.failed_think'], spoil: (parts) => ({ ...parts, think: (request, call) => (request.journal.some(({ step }) => step?.$case === 'think' && step.value.proposal === undefined) ? Promise.reject(new TypeError('undefined')) : parts.think(request, call)) }) },
  'forgets its state': think(['agent.state'], 'count', async (parts, request, call) => ({ ...(await parts.think(request, call)), strategyState: '' })),
  'remembers between thinks': {
    breaks: ['agent.stateless'],
    spoil: withMemory(() => ({ n: 0 }), (parts, memory) => ({
      ...parts,
      think: async (request, call) => {
        if (inputOf(request)['do'] !== 'count') return parts.think(request, call);
        // It starts over after 3, so that the run of agent.state does not notice.
        memory.n += 1;
        if (stateOf(request) === '' && memory.n > 3) memory.n = Math.max(1, memory.n - 3);
        return memory.n >= 3 ? finish(3) : propose('conformance_echo', { n: memory.n }, String(memory.n));
      },
    })),
  },
  'mixes up thinks at the same time': {
    breaks: ['agent.parallel'],
    spoil: withMemory(() => ({ underWay: 0, last: '' }), (parts, memory) => ({
      ...parts,
      think: async (request, call) => {
        if (inputOf(request)['do'] !== 'finish' || request.agent?.entrypoint !== 'conformance') return parts.think(request, call);
        memory.underWay += 1;
        memory.last = request.inputPayload;
        await new Promise((resolve) => setTimeout(resolve, 10));
        memory.underWay -= 1;
        return parts.think(memory.underWay > 5 ? { ...request, inputPayload: memory.last } : request, call);
      },
    })),
  },
  'wants its name': { breaks: ['agent.only_one'], spoil: (parts) => ({ ...parts, think: (request, call) => (request.agent?.entrypoint === '' ? Promise.resolve(failure(ErrorCode.ERROR_CODE_INVALID_INPUT, 'Which agent?')) : parts.think(request, call)) }) },
  'takes a missing model for an inner error': think(['agent.fails', 'stream.error'], 'fail', async () => failure(ErrorCode.ERROR_CODE_INTERNAL, 'Connection refused.')),

  'sends two responses': { breaks: ['stream.order'], spoil: (parts) => ({ ...parts, toEvents: (deltas, response) => [...deltas.map(delta), last(response), last(response)] }) },
  'sends a delta after the response': { breaks: ['stream.order'], spoil: (parts) => ({ ...parts, toEvents: (deltas, response) => [...deltas.map(delta), last(response), delta('')] }) },
  'ends a stream without a response': { breaks: ['stream.order', 'stream.text', 'stream.error'], spoil: (parts) => ({ ...parts, toEvents: (deltas) => deltas.map(delta) }) },
  'sends other text than it answers': { breaks: ['stream.text'], spoil: (parts) => ({ ...parts, toEvents: (deltas, response) => [...deltas.map((text) => delta(text.toUpperCase())), last(response)] }) },

  'says that it receives more than it does': { breaks: ['size.up_to_limit'], spoil: (parts) => ({ ...parts, receivesBytes: 131_072 }) },

  'lets anybody in': { breaks: ['token.required', 'token.compared'], spoil: (parts) => ({ ...parts, authenticate: () => null }) },
  'takes any token': { breaks: ['token.compared'], spoil: (parts) => ({ ...parts, authenticate: (authorization) => (authorization === undefined ? 'A token is missing.' : null) }) },
  'guards steps only': { breaks: ['token.required', 'token.compared'], spoil: (parts) => ({ ...parts, authenticate: (authorization, method) => (method.startsWith('ExecuteStep') ? parts.authenticate(authorization, method) : null) }) },

  'returns the secret': tool(['secret.not_returned'], 'conformance_secret', async (parts, request, call) => onPayload(await parts.tool(request, call), (text) => JSON.stringify({ ...JSON.parse(text) as object, secret: request.ephemeralCredentials['CONFORMANCE_SECRET'] }))),
  'quotes the request in its errors': tool(['secret.not_returned'], 'conformance_no_such_tool', async (_parts, request) => failure(ErrorCode.ERROR_CODE_INVALID_INPUT, `Cannot do ${JSON.stringify(request)}`)),
  'keeps the model token in its state': think(['secret.not_returned'], 'finish', async (parts, request, call) => ({ ...(await parts.think(request, call)), strategyState: JSON.stringify(Buffer.from(request.ephemeralCredentials['OPENEAAP_MODEL_TOKEN'] ?? '').toString('base64')) })),

  'asks the model with a token of its own': {
    thinks: 'model',
    breaks: ['model.token'],
    spoil: (parts) => ({
      ...parts,
      think: async (request, call) => {
        await askModel(request, {}, 'sk-of-its-own');
        return parts.think(request, call);
      },
    }),
  },
  'lets the model write as much as it likes': {
    thinks: 'model',
    breaks: ['model.max_tokens'],
    spoil: (parts) => ({ ...parts, think: (request, call) => parts.think({ ...request, constraints: { blockedTools: request.constraints?.blockedTools ?? [], dryRun: false, maxTokens: 100_000 } }, call) }),
  },
  'offers the model one tool only': {
    thinks: 'model',
    breaks: ['model.tools'],
    spoil: (parts) => ({ ...parts, think: (request, call) => parts.think({ ...request, tools: request.tools.filter(({ name }) => name === inputOf(request)['tool'] || inputOf(request)['do'] === 'count') }, call) }),
  },
  'does not give up its request to the model': { thinks: 'model', breaks: ['agent.cancel'], timing: { stopSeenMs: 300 }, spoil: (parts) => ({ ...parts, think: (request, call) => parts.think(request, { ...call, signal: new AbortController().signal }) }) },
};

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

const onPayload = (response: ExecuteStepResponse, change: (text: string) => string): ExecuteStepResponse => (response.outputPayload === '' ? response : { ...response, outputPayload: change(response.outputPayload) });

const onCalls = (response: ExecuteStepResponse, change: (args: object) => object): ExecuteStepResponse => ({
  ...response,
  proposal: response.proposal === undefined ? undefined : { ...response.proposal, calls: response.proposal.calls.map((one) => ({ ...one, args: JSON.stringify(change(JSON.parse(one.args) as object)) })) },
});

const both = (response: ExecuteStepResponse): ExecuteStepResponse => ({ ...response, proposal: response.proposal === undefined || response.proposal.calls.length === 0 ? response.proposal : { ...response.proposal, output: '"done"' } });

const withoutIds = (response: ExecuteStepResponse): ExecuteStepResponse => ({ ...response, proposal: response.proposal === undefined ? undefined : { ...response.proposal, calls: response.proposal.calls.map((one) => ({ ...one, id: '' })) } });

async function countTwice(calls: Map<string, number>, { idempotencyKey }: ExecuteStepRequest): Promise<ExecuteStepResponse> {
  calls.set(idempotencyKey, (calls.get(idempotencyKey) ?? 0) + 1);
  return result({ calls: calls.get(idempotencyKey), effects: calls.get(idempotencyKey) });
}
