import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Asked {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: unknown;
}

export interface ScriptedApi {
  readonly url: string;
  readonly asked: readonly Asked[];
  readonly close: () => Promise<void>;
}

/** A server that answers each request with the next of `answers`, the last one for ever. */
export async function startScriptedApi(...answers: readonly ((response: ServerResponse) => void)[]): Promise<ScriptedApi> {
  const asked: Asked[] = [];
  const reply = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const text = Buffer.concat(chunks).toString('utf8');
    asked.push({ method: request.method ?? '', url: request.url ?? '', headers: request.headers, body: text === '' ? undefined : (JSON.parse(text) as unknown) });
    (answers[asked.length - 1] ?? answers.at(-1))?.(response);
  };
  const server = createServer((request, response) => void reply(request, response));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

export const json = (status: number, body: object, headers: Readonly<Record<string, string>> = {}) => (response: ServerResponse): void => void response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));

export const problem = (status: number, code: string, rest: object = {}, headers: Readonly<Record<string, string>> = {}) => json(status, { status, code, detail: `because of ${code}`, ...rest }, headers);

/** The connection breaks without an answer. */
export const hangUp = (response: ServerResponse): void => void response.socket?.destroy();

/** An event stream: frames, then its end, a break, or neither. */
export const stream = (frames: readonly string[], then: 'end' | 'break' | 'stay' = 'end') => (response: ServerResponse): void => {
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  response.write('retry: 2000\n\n: hb\n\n');
  for (const frame of frames) response.write(frame);
  if (then === 'end') response.end();
  if (then === 'break') setImmediate(() => response.socket?.destroy());
};

export const event = (seq: number, type: string, data: object = {}): string => `id: ${seq}\nevent: ${type}\ndata: ${JSON.stringify(data)}\n\n`;
export const delta = (text: string): string => `event: step_delta\ndata: ${JSON.stringify({ step_no: 1, text })}\n\n`;
