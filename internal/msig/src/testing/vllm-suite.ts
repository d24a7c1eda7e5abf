import { PlatformError } from '@openeaap/kernel';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Access } from '../access.ts';
import type { VllmConfig } from '../config/gateway-config.ts';
import type { Answer } from '../gateway.ts';
import type { RequestKind } from '../request/model-request.ts';
import { parseRequest } from '../request/parse-request.ts';
import type { VllmLoad } from '../vllm/load.ts';
import { ACCESS, backendAt, configOf, makeGateway } from './make-gateway.ts';
import type { TestGateway } from './make-gateway.ts';

/** A server that the suite is run against: the double, or the real one. */
export interface ServedVllm {
  readonly url: string;
  readonly apiKey: string;
  readonly model: string;
  /** Two LoRA adapters whose answers differ from the model's. */
  readonly adapters: readonly [string, string];
  /** Tokens of prompt and answer. */
  readonly maxModelLen: number;
  /** Two at most in one batch, priorities, cached tokens in the usage. */
  readonly stop: () => Promise<void>;
}

export const SUITE_MAX_NUM_SEQS = 2;
const PATIENCE = { timeout: 20_000, interval: 20 };

/** What a gateway and a vLLM server do together, the same for both: the double is as good as this suite. */
export function describeVllm(served: string, start: () => Promise<ServedVllm>): void {
  describe(`${served}, behind the gateway`, () => {
    let server: ServedVllm;
    const gateways: TestGateway[] = [];
    beforeAll(async () => {
      server = await start();
    }, 300_000);
    afterEach(async () => {
      await Promise.all(gateways.splice(0).map((gateway) => gateway.close()));
    });
    afterAll(async () => {
      await server.stop();
    });

    const open = (vllm: Partial<VllmConfig> = {}, apiKey = server.apiKey): TestGateway => {
      const settings: VllmConfig = { cacheSharing: 'tenant', priority: true, metricsIntervalMs: 50, ...vllm };
      const gateway = makeGateway(configOf(backendAt(server.url, { type: 'vllm', model: server.model, adapters: server.adapters, vllm: settings, apiKey: () => apiKey, timeoutMs: 60_000 })));
      gateways.push(gateway);
      return gateway;
    };

    describe('answers', () => {
      it('a chat in one piece, with its own count of tokens', async () => {
        const answer = await ask(open(), chat('How are you?', 5));
        expect(answer).toMatchObject({ finishReason: 'length', model: server.model, usage: { completionTokens: 5 } });
        expect(answer.usage.promptTokens).toBeGreaterThan(3);
        expect(answer.usage.estimated).not.toBe(true);
        expect(JSON.parse(answer.document ?? '')).toMatchObject({ object: 'chat.completion', choices: [{ message: { role: 'assistant', content: expect.any(String) as string }, finish_reason: 'length' }], usage: { completion_tokens: 5 } });
      });

      it('a chat as a stream: the role, the text, the reason of the end, the usage', async () => {
        const { chunks, answer } = await stream(open(), { ...chat('How are you?', 5), stream_options: { include_usage: true } });
        const deltas = chunks.flatMap(({ choices = [] }) => choices);
        expect(deltas[0]?.delta).toMatchObject({ role: 'assistant' });
        expect(deltas.at(-1)?.finish_reason).toBe('length');
        expect(chunks.at(-1)).toMatchObject({ choices: [], usage: { completion_tokens: 5 } });
        expect(answer.usage).toMatchObject({ completionTokens: 5 });
        expect(new Set(chunks.map(({ id }) => id)).size).toBe(1);
      });

      it('a completion, in one piece and as a stream', async () => {
        const body = { prompt: 'Once upon a time', max_tokens: 4, ignore_eos: true };
        const whole = await ask(open(), body, 'completions');
        expect(JSON.parse(whole.document ?? '')).toMatchObject({ object: 'text_completion', choices: [{ text: expect.any(String) as string }] });
        const { chunks, answer } = await stream(open(), body, 'completions');
        expect(chunks.flatMap(({ choices = [] }) => choices).at(-1)?.finish_reason).toBe('length');
        expect([whole.usage.completionTokens, answer.usage.completionTokens]).toEqual([4, 4]);
      });

      it('the responses API, in one piece and as events', async () => {
        const body = { input: 'How are you?', max_output_tokens: 4, ignore_eos: true };
        const whole = await ask(open(), body, 'responses');
        expect(JSON.parse(whole.document ?? '')).toMatchObject({ object: 'response', status: 'incomplete', usage: { output_tokens: 4 } });
        const { chunks, answer } = await stream(open(), body, 'responses');
        expect(chunks.map(({ type }) => type)).toEqual(expect.arrayContaining(['response.created', 'response.output_text.delta', 'response.completed']));
        expect([whole.usage.completionTokens, answer.usage.completionTokens]).toEqual([4, 4]);
      });

      it('by a LoRA adapter that is asked for by its name', async () => {
        const gateway = open();
        const [plain, ...adapted] = await Promise.all([server.model, ...server.adapters].map((model) => ask(gateway, { ...chat('How are you?', 12), model })));
        const textOf = (answer: Answer | undefined): unknown => JSON.parse(answer?.document ?? '').choices[0].message.content;
        expect(adapted.map(({ model }) => model)).toEqual(server.adapters);
        expect(new Set([plain, ...adapted].map(textOf)).size).toBe(3);
        await expect(ask(gateway, { ...chat('hi', 1), model: 'lora-nobody-has' })).rejects.toMatchObject({ code: 'not_found' });
      });
    });

    describe('the prefix cache', () => {
      const cachedShares = async (gateway: TestGateway, prompt: string, accesses: readonly Partial<Access>[]): Promise<readonly number[]> => {
        const shares: number[] = [];
        for (const access of accesses) {
          const { usage } = await ask(gateway, chat(prompt, 1), 'chat', access);
          shares.push((usage.cachedTokens ?? 0) / usage.promptTokens);
        }
        return shares;
      };
      /** No two tests share a beginning. */
      const fresh = (): string => `${crypto.randomUUID()} ${'the quick brown fox jumps over the lazy dog '.repeat(14)}`;

      it('gives a tenant its own prompts back, and nobody else\'s', async () => {
        const [first, again, other] = await cachedShares(open(), fresh(), [{ tenantId: 'a' }, { tenantId: 'a', userId: 'another' }, { tenantId: 'b' }]);
        expect([first, other]).toEqual([0, 0]);
        expect(again).toBeGreaterThan(0.5);
      });

      it('is one for all where it is configured so, and one for each key', async () => {
        const [, shared] = await cachedShares(open({ cacheSharing: 'all' }), fresh(), [{ tenantId: 'a' }, { tenantId: 'b' }]);
        expect(shared).toBeGreaterThan(0.5);
        const [, otherKey, sameKey] = await cachedShares(open({ cacheSharing: 'key' }), fresh(), [{ keyId: '1' }, { keyId: '2' }, { keyId: '1' }]);
        expect(otherKey).toBe(0);
        expect(sameKey).toBeGreaterThan(0.5);
      });

      it('cannot be asked about another tenant by a salt that the client writes', async () => {
        const gateway = open();
        const prompt = fresh();
        await ask(gateway, { ...chat(prompt, 1), cache_salt: 'mine' }, 'chat', { tenantId: 'a' });
        const { usage } = await ask(gateway, { ...chat(prompt, 1), cache_salt: 'mine' }, 'chat', { tenantId: 'b' });
        expect(usage.cachedTokens ?? 0).toBe(0);
      });
    });

    describe('the batch', () => {
      const long = { ...chat('Tell me a story.', 1_500), stream: true };
      const load = (gateway: TestGateway): VllmLoad | undefined => gateway.loads().get(server.url);

      it('takes the more urgent request first when it is full', async () => {
        const gateway = open();
        const order: string[] = [];
        const leave = Array.from({ length: SUITE_MAX_NUM_SEQS }, () => new AbortController());
        const full = Promise.allSettled(leave.map(({ signal }) => stream(gateway, long, 'chat', { signal })));
        await expect.poll(() => load(gateway)?.running, PATIENCE).toBe(SUITE_MAX_NUM_SEQS);
        const waiting: Promise<void>[] = [];
        for (const [tag, priority] of [['later', 5], ['sooner', -5]] as const) {
          waiting.push(ask(gateway, chat(tag, 1), 'chat', { priority }).then(() => void order.push(tag)));
          await expect.poll(() => load(gateway)?.waiting, PATIENCE).toBe(waiting.length);
        }
        const cancelled = new PlatformError('cancelled', 'gone');
        leave[0]?.abort(cancelled);
        await Promise.all(waiting);
        expect(order).toEqual(['sooner', 'later']);
        for (const each of leave) each.abort(cancelled);
        await full;
      });

      it('is left at once by requests whose client has gone, also by those that wait', async () => {
        const gateway = open();
        const gone = new AbortController();
        const asked = Array.from({ length: SUITE_MAX_NUM_SEQS + 1 }, () => stream(gateway, long, 'chat', { signal: gone.signal }));
        await expect.poll(() => load(gateway), PATIENCE).toMatchObject({ running: SUITE_MAX_NUM_SEQS, waiting: 1 });
        gone.abort(new PlatformError('cancelled', 'gone'));
        expect((await Promise.allSettled(asked)).map((each) => each.status === 'rejected' && (each.reason as PlatformError).code)).toEqual(Array.from(asked, () => 'cancelled'));
        // Each would have taken longer than this for its 1,500 tokens.
        await expect.poll(() => load(gateway), { timeout: 1_500, interval: 20 }).toMatchObject({ running: 0, waiting: 0 });
      });

      it('is known to the gateway by the server\'s own metrics', async () => {
        const gateway = open();
        await expect.poll(() => load(gateway), PATIENCE).toMatchObject({ running: 0, waiting: 0, kvCacheUsage: expect.any(Number) as number } satisfies Partial<Record<keyof VllmLoad, unknown>>);
      });
    });

    describe('refusals', () => {
      it('of the server are told in its own words', async () => {
        await expect(ask(open(), chat('x'.repeat(server.maxModelLen * 5), 1))).rejects.toMatchObject({ code: 'model_rejected', details: { upstream_message: expect.stringContaining('maximum context length') as string } });
        await expect(ask(open(), { messages: [{ role: 'user', content: 'hi' }], max_tokens: server.maxModelLen * 2 })).rejects.toMatchObject({ code: 'model_rejected', details: { upstream_message: expect.stringContaining('max_model_len') as string } });
      });

      it('of a wrong key do not show the key', async () => {
        const thrown: unknown = await ask(open({}, 'not-the-key'), chat('hi', 1)).catch((error: unknown) => error);
        expect(thrown).toMatchObject({ code: 'model_rejected', details: { status: 401 } });
        expect(JSON.stringify([thrown, (thrown as Error).message, String((thrown as Error).cause)])).not.toContain('not-the-key');
      });

      it('of the gateway keep an operator\'s members from it', async () => {
        await expect(ask(open(), { ...chat('hi', 1), chat_template: '{{ 1 }}' })).rejects.toMatchObject({ code: 'invalid_input', details: { field: 'chat_template' } });
      });

      it('without a priority scheduler do not come to be, for no priority is sent', async () => {
        await expect(ask(open({ priority: false }), { ...chat('hi', 1), priority: 3 }, 'chat', { priority: 9 })).resolves.toMatchObject({ finishReason: 'length' });
      });
    });

    // What docs/vllm.md says, and why the port must stay inside: when this fails, the server has changed.
    it('asks for its key at /v1 and nowhere else', async () => {
      const statusOf = async (path: string, body?: object): Promise<number> => {
        const response = await fetch(`${server.url}${path}`, body === undefined ? {} : { method: 'POST', body: JSON.stringify(body), headers: { 'content-type': 'application/json' } });
        await response.arrayBuffer();
        return response.status;
      };
      const model = { model: server.model };
      expect(await Promise.all([statusOf('/v1/models'), statusOf('/v1/chat/completions', { ...model, ...chat('hi', 1) }), statusOf('/v1/load_lora_adapter', { lora_name: 'x', lora_path: '/' })])).toEqual([401, 401, 401]);
      expect(await Promise.all([statusOf('/health'), statusOf('/metrics'), statusOf('/version'), statusOf('/tokenize', { ...model, prompt: 'hi' }), statusOf('/invocations', { ...model, ...chat('hi', 1) })])).toEqual([200, 200, 200, 200, 200]);
    });
  });
}

/** As many tokens as are asked for, for random weights never come to an end by themselves, or at once. */
const chat = (text: string, maxTokens: number): Readonly<Record<string, unknown>> => ({ messages: [{ role: 'user', content: text }], max_tokens: maxTokens, ignore_eos: true, temperature: 0 });

function ask(gateway: TestGateway, body: object, kind: RequestKind = 'chat', access: Partial<Access> = {}): Promise<Answer> {
  return gateway.ask(parseRequest(kind, JSON.stringify(body)), { signal: AbortSignal.timeout(60_000), access: { ...ACCESS, ...access }, onChunk: () => null });
}

interface Chunk {
  readonly id?: string;
  readonly type?: string;
  readonly choices?: readonly { readonly delta?: object; readonly finish_reason?: string | null }[];
}

async function stream(gateway: TestGateway, body: object, kind: RequestKind = 'chat', { signal = AbortSignal.timeout(60_000) }: { readonly signal?: AbortSignal } = {}): Promise<{ readonly chunks: readonly Chunk[]; readonly answer: Answer }> {
  const chunks: Chunk[] = [];
  const answer = await gateway.ask(parseRequest(kind, JSON.stringify({ ...body, stream: true })), {
    signal,
    access: ACCESS,
    onChunk: (json) => {
      chunks.push(JSON.parse(json) as Chunk);
      return null;
    },
  });
  return { chunks, answer };
}
