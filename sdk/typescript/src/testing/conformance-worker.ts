import { createHash } from 'node:crypto';
import type { AgentContext, AgentRequest, Decision, JsonObject, JsonValue } from '../index.ts';
import { ModelUnavailable, ToolError, agent, call, finish, serve, tool } from '../index.ts';

/** The tools and the agent of docs/plugin-protocol.md, section Conformance, as a program: `node dist/testing/conformance-worker.js`. */
const ANY = { type: 'object' } as const;
const seen = { cancelledSleeps: 0 };
const calls = new Map<string, number>();

function crash(): never {
  process.kill(process.pid, 'SIGKILL');
  throw new Error('unreachable');
}

function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms);
    const stop = (): void => {
      clearTimeout(timer);
      seen.cancelledSleeps += 1;
      reject(signal.reason as Error);
    };
    if (signal.aborted) stop();
    else signal.addEventListener('abort', stop, { once: true });
  });
}

const tools = [
  tool({ name: 'conformance_echo', description: 'Returns its arguments.', input: ANY, effect: 'read', run: (args) => ({ echo: args }) }),
  tool({
    name: 'conformance_sleep',
    description: 'Waits.',
    input: { type: 'object', properties: { ms: { type: 'integer' } }, required: ['ms'] },
    effect: 'read',
    timeoutMs: 60_000,
    run: async ({ ms }, { signal }) => {
      await sleep(ms, signal);
      return { slept_ms: ms };
    },
  }),
  tool({
    name: 'conformance_fail',
    description: 'Fails.',
    input: { type: 'object', properties: { message: { type: 'string' } }, required: ['message'] },
    effect: 'write',
    run: ({ message }) => {
      throw new ToolError(message);
    },
  }),
  tool({ name: 'conformance_crash', description: 'Ends its process.', input: ANY, effect: 'write', run: crash }),
  tool({
    name: 'conformance_count',
    description: 'Counts its calls by idempotency key.',
    input: ANY,
    effect: 'write',
    idempotent: true,
    run: (_args, { idempotencyKey }) => {
      const count = (calls.get(idempotencyKey) ?? 0) + 1;
      calls.set(idempotencyKey, count);
      return { calls: count, effects: 1 };
    },
  }),
  tool({
    name: 'conformance_secret',
    description: 'Returns the SHA-256 of a secret.',
    input: ANY,
    effect: 'read',
    secrets: ['CONFORMANCE_SECRET'],
    run: (_args, { secrets }) => ({ sha256: createHash('sha256').update(secrets['CONFORMANCE_SECRET'] ?? '').digest('hex') }),
  }),
  tool({
    name: 'conformance_big',
    description: 'Returns a long text.',
    input: { type: 'object', properties: { bytes: { type: 'integer' } }, required: ['bytes'] },
    effect: 'read',
    run: ({ bytes }) => ({ text: 'x'.repeat(bytes) }),
  }),
  tool({ name: 'conformance_sleeps_seen', description: 'How many sleeps were stopped early.', input: ANY, effect: 'read', run: () => ({ cancelled: seen.cancelledSleeps }) }),
];

async function think(request: AgentRequest, context: AgentContext): Promise<Decision> {
  const input = request.input as JsonObject;
  switch (input['do']) {
    case 'finish':
      return finish(input['output']);
    case 'propose':
      return propose(request, textOf(input['tool']), input['args'] ?? {});
    case 'count': {
      const n = (typeof request.state === 'number' ? request.state : 0) + 1;
      return n >= 3 ? finish(3, { state: n }) : call('conformance_echo', { n }, { state: n });
    }
    case 'stream': {
      const text = textOf(input['text']);
      for (const part of inParts(Array.from(text))) context.emit(part.join(''));
      return finish(text);
    }
    case 'sleep':
      await sleep(Number(input['ms']), context.signal);
      return finish('slept');
    case 'fail':
      throw new ModelUnavailable('The model is away, as it was asked to be.');
    case 'crash':
      return crash();
    default:
      return finish({ unknown: input['do'] ?? null });
  }
}

const textOf = (value: JsonValue | undefined): string => (typeof value === 'string' ? value : '');

function propose(request: AgentRequest, name: string, args: unknown): Decision {
  const act = request.journal.findLast((step) => step.kind === 'act');
  if (act?.kind === 'act') return finish({ observation: act.observation });
  const mayBe = request.tools.some((known) => known.name === name) && !request.constraints.blockedTools.includes(name);
  return mayBe ? call(name, args) : finish('blocked');
}

/** Three parts of about the same length, fewer of a short text. */
function inParts(characters: readonly string[]): readonly (readonly string[])[] {
  const length = Math.max(1, Math.ceil(characters.length / 3));
  return [0, 1, 2].map((n) => characters.slice(n * length, (n + 1) * length)).filter((part) => part.length > 0);
}

const agents = [agent({ name: 'conformance', description: 'Does what its input says.', think })];
await serve({ name: 'typescript-conformance', version: '0.1.0', tools, agents });
