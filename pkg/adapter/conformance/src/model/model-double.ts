import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { isJsonObject } from '../json-value.ts';
import { decideReply } from './decide-reply.ts';
import type { Reply } from './decide-reply.ts';
import { readConversation } from './read-conversation.ts';
import type { Conversation } from './read-conversation.ts';

/**
 * The gateway that an agent under test asks: the part of OpenAI's Chat Completions API that agents
 * use, with a model that follows `{"do": ...}` objects. Tokens are good from `admit` to `revoke`,
 * as those of the platform are; any other is refused.
 */
export interface ModelDouble {
  /** For OPENEAAP_GATEWAY_URL: what a client of OpenAI takes for its base URL. */
  readonly url: string;
  readonly admit: (token: string) => void;
  readonly revoke: (token: string) => void;
  /** The requests that came with a token, admitted or not. */
  readonly requestsOf: (token: string) => readonly ModelRequest[];
  /** Requests with a token that was never admitted, or none. */
  readonly strangers: () => number;
  readonly close: () => Promise<void>;
}

export interface ModelRequest {
  /** Of `max_completion_tokens` or `max_tokens`; null: neither. */
  readonly maxTokens: number | null;
  readonly tools: readonly string[];
  readonly streamed: boolean;
  /** The client went away before it had its answer. */
  readonly leftEarly: () => boolean;
}

const BODY_BYTES = 33_554_432;
/** Of text in one delta. */
const PIECE_CHARS = 7;

export async function startModelDouble(): Promise<ModelDouble> {
  const admitted = new Set<string>();
  const known = new Map<string, ModelRequest[]>();
  let strangers = 0;
  const server = createServer((request, response) => {
    const token = /^Bearer (.+)$/i.exec(request.headers.authorization ?? '')?.[1] ?? '';
    const requests = known.get(token);
    if (requests === undefined) strangers += 1;
    serve(request, response, { valid: admitted.has(token), remember: (seen) => void requests?.push(seen) }).catch((error: unknown) => response.destroy(error instanceof Error ? error : undefined));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/v1`,
    admit: (token) => {
      admitted.add(token);
      known.set(token, known.get(token) ?? []);
    },
    revoke: (token) => void admitted.delete(token),
    requestsOf: (token) => known.get(token) ?? [],
    strangers: () => strangers,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

interface Visit {
  readonly valid: boolean;
  readonly remember: (request: ModelRequest) => void;
}

async function serve(request: IncomingMessage, response: ServerResponse, visit: Visit): Promise<void> {
  let left = false;
  const gone = new AbortController();
  response.on('close', () => {
    left = !response.writableFinished;
    gone.abort();
  });
  const body = await readBody(request);
  const path = (request.url ?? '').split('?')[0];
  if (!visit.valid) return refuse(response, 401, 'invalid_api_key', 'This token is not good for this step. Send OPENEAAP_MODEL_TOKEN of the step under way.');
  if (request.method === 'GET' && path === '/v1/models') return sendJson(response, 200, { object: 'list', data: [{ id: 'conformance', object: 'model', created: 0, owned_by: 'conformance' }] });
  if (request.method !== 'POST' || path !== '/v1/chat/completions') return refuse(response, 404, 'not_found', `There is no ${request.method} ${path} here, only POST /v1/chat/completions.`);
  const fields = isJsonObject(body) ? body : {};
  const conversation = readConversation(body);
  const asked = fields['max_completion_tokens'] ?? fields['max_tokens'];
  const streamed = fields['stream'] === true;
  visit.remember({ maxTokens: typeof asked === 'number' ? asked : null, tools: conversation.tools, streamed, leftEarly: () => left });
  const reply = decideReply(conversation);
  if (reply.kind === 'unavailable') return refuse(response, 503, 'model_unavailable', 'No model answers.');
  if (reply.kind === 'wait') {
    await sleep(reply.ms, undefined, { signal: gone.signal }).catch(() => undefined);
    if (left) return;
  }
  const message = toMessage(reply, conversation);
  const wantsUsage = isJsonObject(fields['stream_options']) && fields['stream_options']['include_usage'] === true;
  if (streamed) sendStream(response, message, wantsUsage);
  else sendJson(response, 200, { ...HEAD, object: 'chat.completion', choices: [{ index: 0, message: { role: 'assistant', content: message.content, ...toolCallsOf(message) }, finish_reason: finishOf(message) }], usage: USAGE });
}

const HEAD = { id: 'chatcmpl-conformance', created: 0, model: 'conformance' } as const;
const USAGE = { prompt_tokens: 11, completion_tokens: 7, total_tokens: 18 } as const;

interface ModelMessage {
  readonly content: string | null;
  readonly call: { readonly id: string; readonly name: string; readonly arguments: string } | null;
}

function toMessage(reply: Exclude<Reply, { kind: 'unavailable' }>, { form, observations }: Conversation): ModelMessage {
  if (reply.kind !== 'call') return { content: form === 'text' ? `Thought: I know enough.\nFinal Answer: ${reply.text}` : reply.text, call: null };
  const args = JSON.stringify(reply.args);
  if (form === 'text') return { content: `Thought: I was told to.\nAction: ${reply.tool}\nAction Input: ${args}`, call: null };
  return { content: null, call: { id: `call_${observations.length + 1}`, name: reply.tool, arguments: args } };
}

const finishOf = (message: ModelMessage): string => (message.call === null ? 'stop' : 'tool_calls');

const toolCallsOf = ({ call }: ModelMessage) => (call === null ? {} : { tool_calls: [{ id: call.id, type: 'function', function: { name: call.name, arguments: call.arguments } }] });

function sendStream(response: ServerResponse, message: ModelMessage, wantsUsage: boolean): void {
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' });
  const send = (data: object): void => void response.write(`data: ${JSON.stringify({ ...HEAD, object: 'chat.completion.chunk', ...data })}\n\n`);
  const choice = (delta: object, finish_reason: string | null = null): void => send({ choices: [{ index: 0, delta, finish_reason }] });
  choice({ role: 'assistant', content: message.content === null ? null : '' });
  for (const piece of piecesOf(message.content ?? '')) choice({ content: piece });
  if (message.call !== null) {
    choice({ tool_calls: [{ index: 0, id: message.call.id, type: 'function', function: { name: message.call.name, arguments: '' } }] });
    for (const piece of piecesOf(message.call.arguments)) choice({ tool_calls: [{ index: 0, function: { arguments: piece } }] });
  }
  choice({}, finishOf(message));
  if (wantsUsage) send({ choices: [], usage: USAGE });
  response.end('data: [DONE]\n\n');
}

/** By characters, not by halves of them. */
function piecesOf(text: string): readonly string[] {
  const characters = Array.from(text);
  return Array.from({ length: Math.ceil(characters.length / PIECE_CHARS) }, (_, index) => characters.slice(index * PIECE_CHARS, (index + 1) * PIECE_CHARS).join(''));
}

function refuse(response: ServerResponse, status: number, code: string, message: string): void {
  // Clients of OpenAI would try again for seconds; whether the step is tried again is the platform's matter.
  response.setHeader('x-should-retry', 'false');
  sendJson(response, status, { error: { message, type: code, param: null, code } });
}

function sendJson(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify(body));
}

async function readBody(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > BODY_BYTES) throw new Error('The request is too large for the model double.');
    chunks.push(chunk);
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString('utf8'));
  } catch {
    return null;
  }
}
