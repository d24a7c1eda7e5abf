import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { at, listAt } from './json.ts';

/**
 * A server that speaks the OpenAI Chat Completions API and misbehaves on demand. A conversation is
 * told apart by a tag in its input, such as "[hang] block 1.2.3.4", so that the tests of a file
 * share one platform; each request of a tag gets the next behaviour, the last one for ever.
 */
export interface ModelServer {
  /** Point the platform here. */
  readonly env: Readonly<Record<string, string>>;
  readonly script: (tag: string, ...behaviours: readonly Behaviour[]) => void;
  /** Requests of a tag so far. */
  readonly requests: (tag: string) => readonly ChatRequest[];
  readonly close: () => Promise<void>;
}

export interface ChatRequest {
  readonly body: unknown;
  readonly headers: IncomingMessage['headers'];
  readonly messages: readonly ChatMessage[];
}

export interface ChatMessage {
  readonly role: string;
  readonly content: string;
}

export type Behaviour = (response: ServerResponse, request: ChatRequest) => void | Promise<void>;

const TAG = /\[([a-z0-9-]+)\]/;
export const MODEL = 'test-model';

export async function startModelServer(): Promise<ModelServer> {
  const scripts = new Map<string, readonly Behaviour[]>();
  const seen = new Map<string, ChatRequest[]>();
  const server = createServer((request, response) => {
    void readRequest(request).then((chat) => {
      const tag = TAG.exec(chat.messages.find(({ role }) => role === 'user')?.content ?? '')?.[1] ?? '';
      const earlier = seen.get(tag) ?? [];
      seen.set(tag, [...earlier, chat]);
      const behaviours = scripts.get(tag) ?? [answer('done')];
      return behaviours[Math.min(earlier.length, behaviours.length - 1)]?.(response, chat);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    env: { OPENAI_BASE_URL: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`, OPENAI_API_KEY: 'sk-e2e-not-a-secret-0', OPENAI_MODEL: MODEL },
    script: (tag, ...behaviours) => void scripts.set(tag, behaviours),
    requests: (tag) => seen.get(tag) ?? [],
    close: async () => {
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

async function readRequest(request: IncomingMessage): Promise<ChatRequest> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const body: unknown = JSON.parse(Buffer.concat(chunks).toString() || '{}');
  const messages = at(body, 'messages') === undefined ? [] : listAt(body, 'messages');
  return { body, headers: request.headers, messages: messages.map((message) => ({ role: toText(at(message, 'role')), content: toText(at(message, 'content')) })) };
}

const toText = (value: unknown): string => (typeof value === 'string' ? value : '');

export interface Usage {
  readonly prompt: number;
  readonly completion: number;
}

const USAGE: Usage = { prompt: 11, completion: 7 };

/** A whole streamed answer. */
export const answer = (content: string, usage = USAGE): Behaviour => (response) => {
  const half = Math.ceil(content.length / 2);
  open(response).end(frames(delta({ role: 'assistant', content: content.slice(0, half) }), delta({ content: content.slice(half) }), delta({}, 'stop'), usageOf(usage)));
};

export interface Call {
  readonly name: string;
  readonly args: unknown;
}

/** A thought and tool calls. */
export const calls = (thought: string, ...wanted: readonly Call[]): Behaviour => callsWithText(thought, ...wanted.map(({ name, args }) => ({ name, text: JSON.stringify(args) })));

/** The same with the arguments as the text that the model wrote. */
export const callsWithText = (thought: string, ...wanted: readonly { readonly name: string; readonly text: string }[]): Behaviour => (response) => {
  const toolCalls = wanted.map(({ name, text }, index) => ({ index, id: `call_${Math.random().toString(36).slice(2)}`, type: 'function', function: { name, arguments: text } }));
  open(response).end(frames(delta({ role: 'assistant', content: thought }), delta({ tool_calls: toolCalls }), delta({}, 'tool_calls'), usageOf(USAGE)));
};

/** Not even headers. */
export const hang: Behaviour = () => undefined;

export const closeMidStream: Behaviour = (response) => {
  open(response).write(frames(delta({ role: 'assistant', content: 'I was about to' })).replace('data: [DONE]\n\n', ''), () => response.destroy());
};

/** A thought's beginning, and then nothing with the connection open. */
export const hangMidStream: Behaviour = (response) => {
  open(response).write(frames(delta({ role: 'assistant', content: 'Let me' })).replace('data: [DONE]\n\n', ''));
};

export const failWith = (status: number, headers: Readonly<Record<string, string>> = {}): Behaviour => (response) => {
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify({ error: { message: `scripted ${status}` } }));
};

/** 200 and something that is no answer. */
export const nonsense: Behaviour = (response) => {
  response.writeHead(200, { 'content-type': 'text/html' }).end('<html><body>It works!</body></html>');
};

export const empty: Behaviour = (response) => {
  open(response).end(frames(delta({ role: 'assistant', content: '' }), delta({}, 'stop'), usageOf({ prompt: 11, completion: 0 })));
};

/** Answers when the test says so. */
export const after = (opened: Promise<unknown>, behaviour: Behaviour): Behaviour => async (response, request) => {
  await opened;
  await behaviour(response, request);
};

function open(response: ServerResponse): ServerResponse {
  return response.writeHead(200, { 'content-type': 'text/event-stream' });
}

function delta(fields: object, finishReason: string | null = null): object {
  return { id: 'c', object: 'chat.completion.chunk', created: 1, model: MODEL, choices: [{ index: 0, delta: fields, finish_reason: finishReason }] };
}

function usageOf({ prompt, completion }: Usage): object {
  return { id: 'c', object: 'chat.completion.chunk', created: 1, model: MODEL, choices: [], usage: { prompt_tokens: prompt, completion_tokens: completion, total_tokens: prompt + completion } };
}

const frames = (...chunks: readonly object[]): string => `${chunks.map((chunk) => `data: ${JSON.stringify(chunk)}\n\n`).join('')}data: [DONE]\n\n`;
