import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface ScriptedModel {
  /** As an OpenAI client has it. */
  readonly baseUrl: string;
  /** What it was asked so far: body and key, in order. */
  readonly asked: { readonly body: unknown; readonly key: string }[];
  readonly close: () => Promise<void>;
}

export interface Answer {
  readonly status?: number;
  /** `message` of the choice. */
  readonly message?: object;
  readonly finishReason?: string;
  /** Never answers. */
  readonly hangs?: boolean;
}

/** An OpenAI-compatible server that always gives one answer, whole or as a stream as it is asked to. */
export async function startScriptedModel(answer: () => Answer): Promise<ScriptedModel> {
  const asked: { readonly body: unknown; readonly key: string }[] = [];
  const reply = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const body = await readBody(request);
    asked.push({ body, key: request.headers.authorization ?? '' });
    const { status = 200, message = { content: 'Final Answer: 42' }, finishReason = 'stop', hangs = false } = answer();
    if (hangs) return;
    const usage = { prompt_tokens: 11, completion_tokens: 7, total_tokens: 18 };
    const base = { id: 'c', created: 1, model: 'scripted' };
    if (status !== 200) {
      response.writeHead(status, { 'content-type': 'application/json' }).end('{"error":{"message":"scripted"}}');
    } else if (isStreamed(body)) {
      const chunk = (choices: object, rest: object = {}): string => `data: ${JSON.stringify({ ...base, object: 'chat.completion.chunk', choices, ...rest })}\n\n`;
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write(chunk([{ index: 0, delta: { role: 'assistant', ...withIndexes(message) }, finish_reason: null }]));
      response.end(chunk([{ index: 0, delta: {}, finish_reason: finishReason }]) + chunk([], { usage }) + 'data: [DONE]\n\n');
    } else {
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ ...base, object: 'chat.completion', choices: [{ index: 0, message: { role: 'assistant', ...message }, finish_reason: finishReason }], usage }));
    }
  };
  const server = createServer((request, response) => void reply(request, response));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    baseUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    asked,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

const isStreamed = (body: unknown): boolean => (body as { readonly stream?: boolean }).stream === true;

async function readBody(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return JSON.parse(Buffer.concat(chunks).toString('utf8'));
}

function withIndexes(message: { readonly tool_calls?: readonly object[] }): object {
  return message.tool_calls === undefined ? message : { ...message, tool_calls: message.tool_calls.map((call, index) => ({ index, ...call })) };
}
