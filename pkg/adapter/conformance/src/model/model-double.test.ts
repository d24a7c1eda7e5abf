import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { ModelDouble } from './model-double.ts';
import { startModelDouble } from './model-double.ts';

let model: ModelDouble;
beforeEach(async () => {
  model = await startModelDouble();
  model.admit('token');
});
afterEach(() => model.close());

const user = (content: unknown) => ({ role: 'user', content });
const tools = [{ type: 'function', function: { name: 'lookup', parameters: {} } }];
const PROPOSE = '{"do": "propose", "tool": "lookup", "args": {"ip": "1.2.3.4", "text": "a } in \\" quotes"}}';

const post = (body: object, token = 'token', signal: AbortSignal | null = null) => fetch(`${model.url}/chat/completions`, { method: 'POST', signal, headers: { authorization: `Bearer ${token}` }, body: JSON.stringify(body) });

async function ask(body: object): Promise<{ readonly content: string | null; readonly tool_calls?: readonly { readonly id: string; readonly function: { readonly name: string; readonly arguments: string } }[] }> {
  const response = await post(body);
  expect(response.status).toBe(200);
  const { choices } = (await response.json()) as { readonly choices: readonly { readonly message: Awaited<ReturnType<typeof ask>> }[] };
  return choices[0]?.message ?? { content: null };
}

describe('the model double follows the newest object in the messages of the user', () => {
  test.each<readonly [string, object, object]>([
    ['an output', { messages: [user('{"do":"finish","output":"done"}')] }, { content: 'done' }],
    ['an output that is an object', { messages: [user('{"do":"finish","output":{"a":[1]}}')] }, { content: '{"a":[1]}' }],
    ['in words around it, pretty printed', { messages: [user('Your input:\n{\n  "do": "finish",\n  "output": "a {b}"\n}\nGo!')] }, { content: 'a {b}' }],
    ['in parts', { messages: [user([{ type: 'text', text: 'Hear:' }, { type: 'text', text: '{"do":"finish","output":"x"}' }])] }, { content: 'x' }],
    ['the newest of several', { messages: [user('{"do":"finish","output":"old"}'), { role: 'assistant', content: 'old' }, user('{"do":"finish","output":"new"}')] }, { content: 'new' }],
    ['a tool that is not offered', { messages: [user(PROPOSE)] }, { content: 'blocked' }],
    ['the result of the call', { tools, messages: [user(PROPOSE), { role: 'assistant', content: null }, { role: 'tool', content: '{"output":7}' }] }, { content: '{"output":7}' }],
    ['nothing to follow', { messages: [user('hello')] }, { content: expect.stringContaining('no {"do"') }],
    ['a body that is none', [1], { content: expect.stringContaining('no {"do"') }],
  ])('%s', async (_name, body, expected) => {
    expect(await ask(body)).toMatchObject(expected);
  });

  test('a tool that is offered is called with the arguments', async () => {
    const { content, tool_calls: calls } = await ask({ tools, messages: [user(PROPOSE)] });
    expect(content).toBeNull();
    expect(calls).toMatchObject([{ function: { name: 'lookup' } }]);
    expect(JSON.parse(calls?.[0]?.function.arguments ?? '')).toEqual({ ip: '1.2.3.4', text: 'a } in " quotes' });
  });

  test('it counts by the results in the conversation', async () => {
    const echo = [{ type: 'function', function: { name: 'conformance_echo' } }];
    const turn = { role: 'tool', content: '{}' };
    const argumentsAfter = async (...turns: readonly object[]) => (await ask({ tools: echo, messages: [user('{"do":"count"}'), ...turns] })).tool_calls?.[0]?.function.arguments;
    expect(await argumentsAfter()).toBe('{"n":1}');
    expect(await argumentsAfter(turn)).toBe('{"n":2}');
    expect(await ask({ tools: echo, messages: [user('{"do":"count"}'), turn, turn] })).toMatchObject({ content: '3' });
  });

  test('by lines, for agents that use no tool calls', async () => {
    const system = { role: 'system', content: 'You can use:\n- lookup: looks up\nAnswer with Action: and Action Input:' };
    expect((await ask({ messages: [system, user(PROPOSE)] })).content).toMatch(/^Thought: .*\nAction: lookup\nAction Input: \{"ip"/);
    expect((await ask({ messages: [{ role: 'system', content: 'Action Input' }, user(PROPOSE)] })).content).toContain('Final Answer: blocked');
    const answered = [system, user(PROPOSE), { role: 'assistant', content: 'Action: lookup' }, user('Observation: {"output":7}')];
    expect((await ask({ messages: answered })).content).toBe('Thought: I know enough.\nFinal Answer: {"output":7}');
    const inOneMessage = user(`${system.content}\nQuestion: ${PROPOSE}\nThought: Action: lookup\nObservation: {"output":8}\nThought:`);
    expect((await ask({ messages: [inOneMessage] })).content).toContain('Final Answer: {"output":8}');
  });
});

describe('the API around it', () => {
  test('a stream has the text in pieces, the usage when asked for, and its end', async () => {
    const text = '一步一步 step by step 👩‍👩‍👧';
    const response = await post({ stream: true, stream_options: { include_usage: true }, messages: [user(JSON.stringify({ do: 'stream', text }))] });
    const lines = (await response.text()).trim().split('\n\n');
    expect(lines.at(-1)).toBe('data: [DONE]');
    const chunks = lines.slice(0, -1).map((line) => JSON.parse(line.slice('data: '.length)) as { readonly choices: readonly { readonly delta: { readonly content?: string } }[]; readonly usage?: object });
    expect(chunks.map((chunk) => chunk.choices[0]?.delta.content ?? '').join('')).toBe(text);
    expect(chunks.length).toBeGreaterThan(4);
    expect(chunks.at(-1)).toMatchObject({ choices: [], usage: { completion_tokens: 7 } });
  });

  test('only tokens that are admitted open it, and strangers are counted', async () => {
    const body = { messages: [user('{"do":"finish","output":1}')] };
    expect((await post(body, 'another')).status).toBe(401);
    expect(model.strangers()).toBe(1);
    model.revoke('token');
    expect((await post(body)).status).toBe(401);
    expect(model.strangers()).toBe(1);
  });

  test('it remembers what was asked for', async () => {
    await post({ max_completion_tokens: 7, max_tokens: 9, tools, messages: [user('{"do":"finish","output":1}')] });
    await post({ max_tokens: 9, stream: true, messages: [user('{"do":"finish","output":1}')] });
    expect(model.requestsOf('token')).toMatchObject([{ maxTokens: 7, tools: ['lookup'], streamed: false }, { maxTokens: 9, tools: [], streamed: true }]);
  });

  test('it sees who leaves before the answer', async () => {
    const stop = new AbortController();
    const left = post({ messages: [user('{"do":"sleep","ms":60000}')] }, 'token', stop.signal);
    await expect.poll(() => model.requestsOf('token').length).toBe(1);
    expect(model.requestsOf('token')[0]?.leftEarly()).toBe(false);
    stop.abort();
    await expect(left).rejects.toThrow('abort');
    await expect.poll(() => model.requestsOf('token')[0]?.leftEarly()).toBe(true);
  });

  test('no model answers when it is told so, and other paths are not there', async () => {
    const unavailable = await post({ messages: [user('{"do":"fail"}')] });
    expect(unavailable.status).toBe(503);
    expect(unavailable.headers.get('x-should-retry')).toBe('false');
    const elsewhere = await fetch(`${model.url}/embeddings`, { method: 'POST', headers: { authorization: 'Bearer token' } });
    expect(elsewhere.status).toBe(404);
    const models = await fetch(`${model.url}/models`, { headers: { authorization: 'Bearer token' } });
    expect(await models.json()).toMatchObject({ object: 'list', data: [{ id: 'conformance' }] });
  });
});
