import { afterEach, describe, expect, it } from 'vitest';
import { startVllmDouble } from './vllm-double.ts';
import type { VllmDouble, VllmDoubleOptions } from './vllm-double.ts';

const open: VllmDouble[] = [];
const start = async (options?: VllmDoubleOptions): Promise<VllmDouble> => {
  const double = await startVllmDouble(options);
  open.push(double);
  return double;
};
afterEach(async () => {
  await Promise.all(open.splice(0).map((double) => double.close()));
});

const LONG = 'the quick brown fox jumps over the lazy dog '.repeat(8);
const ask = (double: VllmDouble, body: object, init: { readonly path?: string; readonly signal?: AbortSignal; readonly key?: string } = {}): Promise<Response> =>
  fetch(`${double.url}${init.path ?? '/v1/chat/completions'}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...(init.key === undefined ? {} : { authorization: `Bearer ${init.key}` }) },
    body: JSON.stringify(body),
    ...(init.signal === undefined ? {} : { signal: init.signal }),
  });
const chat = (text: string, more: object = {}) => ({ model: 'tiny', messages: [{ role: 'user', content: text }], ...more });
const cachedOf = async (response: Response): Promise<unknown> => ((await response.json()) as { usage: { prompt_tokens_details: { cached_tokens: number } } }).usage.prompt_tokens_details.cached_tokens;
const eventsOf = async (response: Response): Promise<readonly string[]> => (await response.text()).split('\n\n').filter((event) => event !== '');

const FAST = { interval: 5 };

describe('the double of vLLM speaks as the real one', () => {
  it('streams the role first, the text, the usage on a chunk of its own, and DONE', async () => {
    const double = await start({ answer: () => ({ tokens: ['Hel', 'lo'] }) });
    const events = await eventsOf(await ask(double, chat('hi', { stream: true, stream_options: { include_usage: true } })));
    const chunks = events.slice(0, -1).map((event) => JSON.parse(event.slice('data: '.length)) as { choices: { delta: object; finish_reason: unknown }[]; usage?: object });
    expect(events.at(-1)).toBe('data: [DONE]');
    expect(chunks.map(({ choices }) => choices[0]?.delta)).toEqual([{ role: 'assistant', content: '' }, { content: 'Hel' }, { content: 'lo' }, undefined]);
    expect(chunks.map(({ choices }) => choices[0]?.finish_reason)).toEqual([null, null, 'stop', undefined]);
    expect(chunks.map((chunk) => 'usage' in chunk)).toEqual([false, false, false, true]);
  });

  it('ends a stream of responses with response.completed, without DONE', async () => {
    const events = await eventsOf(await ask(await start(), { model: 'tiny', input: 'hi', stream: true }, { path: '/v1/responses' }));
    expect(events[0]).toMatch(/^event: response\.created\ndata: \{/);
    expect(events.at(-1)).toMatch(/^event: response\.completed\ndata: .*"status":"completed"/);
  });

  it('tells cached tokens of an equal prompt, and none under another salt or adapter', async () => {
    const double = await start({ adapters: ['lora-a'] });
    const first = await cachedOf(await ask(double, chat(LONG, { cache_salt: 'a' })));
    const again = await cachedOf(await ask(double, chat(LONG, { cache_salt: 'a' })));
    const other = await cachedOf(await ask(double, chat(LONG, { cache_salt: 'b' })));
    const adapter = await cachedOf(await ask(double, { ...chat(LONG, { cache_salt: 'a' }), model: 'lora-a' }));
    expect([first, other, adapter]).toEqual([0, 0, 0]);
    expect(again).toBeGreaterThan(64);
  });

  it('asks for the key at /v1 only', async () => {
    const double = await start({ apiKey: 'secret' });
    expect((await ask(double, chat('hi'))).status).toBe(401);
    expect((await ask(double, chat('hi'), { key: 'secret' })).status).toBe(200);
    expect((await ask(double, chat('hi'), { path: '/invocations' })).status).toBe(200);
    expect((await fetch(`${double.url}/metrics`)).status).toBe(200);
  });

  it.each([
    ['an unknown model', chat('hi', { model: 'lora-x' }), 404, 'The model `lora-x` does not exist. Valid aliases: tiny.'],
    ['a priority without priority scheduling', chat('hi', { priority: 1 }), 400, 'Got priority 1 but Priority scheduling is not enabled.'],
    ['an empty salt', chat('hi', { cache_salt: '' }), 400, /must be a non-empty string/],
    ['too many tokens', chat('hi', { max_tokens: 100_000 }), 400, /cannot be greater than max_model_len=4096/],
    ['too long a prompt', chat('x'.repeat(20_000)), 400, /maximum context length is 4096 tokens/],
  ])('refuses %s in vLLM\'s words', async (_what, body, status, message) => {
    const response = await ask(await start({ priorityScheduling: false }), body);
    expect(response.status).toBe(status);
    expect(await response.json()).toEqual({ error: { message: expect.stringMatching(message) as string, type: expect.any(String) as string, param: expect.toSatisfy((param) => param === null || typeof param === 'string') as string, code: status } });
  });

  it('runs so many at once, the more urgent first', async () => {
    const order: string[] = [];
    const double = await start({ maxNumSeqs: 1, tokenMs: 5, answer: (body) => ({ tokens: [JSON.stringify(body['tag'])] }) });
    const run = async (tag: string, priority: number): Promise<void> => {
      await (await ask(double, chat('hi', { tag, priority, max_tokens: 1 }))).json();
      order.push(tag);
    };
    double.misbehave({ kind: 'slow', chunkMs: 250 });
    const first = run('first', 0);
    await expect.poll(() => double.engine.running(), FAST).toBe(1);
    const rest = [run('later', 5), run('sooner', -1)];
    await expect.poll(() => double.engine.waiting(), FAST).toBe(2);
    await Promise.all([first, ...rest]);
    expect(order).toEqual(['first', 'sooner', 'later']);
    expect(double.engine.running()).toBe(0);
  });

  it('stops and counts the requests of clients that leave, also while they wait', async () => {
    const double = await start({ maxNumSeqs: 1 });
    double.misbehave({ kind: 'hang', afterChunks: 1 });
    const leave = new AbortController();
    const running = await ask(double, chat('hi', { stream: true }), { signal: leave.signal });
    const waiting = ask(double, chat('hi'), { signal: leave.signal });
    await expect.poll(() => double.engine.waiting(), FAST).toBe(1);
    leave.abort();
    await expect(waiting).rejects.toThrow(/abort/);
    await expect(running.text()).rejects.toThrow(/abort/);
    await expect.poll(() => [double.engine.running(), double.engine.waiting(), double.aborted()], FAST).toEqual([0, 0, 2]);
  });

  it('breaks, lies and refuses on demand, and is well again afterwards', async () => {
    const double = await start();
    double.misbehave({ kind: 'break', afterChunks: 0 }, { kind: 'break', afterChunks: 2 }, { kind: 'malformed', afterChunks: 1 }, { kind: 'status', status: 429, headers: { 'retry-after': '2' } }, { kind: 'error_in_stream', afterChunks: 1 });
    await expect(ask(double, chat('hi', { stream: true }))).rejects.toThrow('fetch failed');
    const broken = await ask(double, chat('hi', { stream: true }));
    await expect(broken.text()).rejects.toThrow('terminated');
    expect(await (await ask(double, chat('hi', { stream: true }))).text()).toContain('data: {"id":"chatcmpl-\n\n');
    const busy = await ask(double, chat('hi'));
    expect([busy.status, busy.headers.get('retry-after')]).toEqual([429, '2']);
    expect(await (await ask(double, chat('hi', { stream: true }))).text()).toContain('"type": "InternalServerError"');
    expect((await ask(double, chat('hi'))).status).toBe(200);
  });
});
