import { createServer } from 'node:http';
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A model server for tests that misbehaves on demand: each request gets the next behaviour, the last one for ever. */
export interface OpenAiServer {
  readonly url: string;
  readonly requests: readonly SeenRequest[];
  readonly connections: () => number;
  readonly behave: (...behaviours: readonly Behaviour[]) => void;
  /** Resolves when a client closed a connection before its answer was complete. */
  readonly clientGone: Promise<void>;
  readonly close: () => Promise<void>;
}

export interface SeenRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: Readonly<Record<string, unknown>>;
  /** The body to the letter. */
  readonly text?: string;
}

export type Behaviour = (response: ServerResponse, request: SeenRequest) => void;

export async function startOpenAiServer(...behaviours: readonly Behaviour[]): Promise<OpenAiServer> {
  let queue = [...behaviours];
  let connections = 0;
  const requests: SeenRequest[] = [];
  const gone = new AbortController();
  const clientGone = new Promise<void>((resolve) => gone.signal.addEventListener('abort', () => resolve(), { once: true }));
  const server = createServer((request, response) => {
    response.on('close', () => {
      if (!response.writableFinished) gone.abort();
    });
    void answer(request, response);
  });
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const text = await readText(request);
    const body = text === '' ? {} : (JSON.parse(text) as Json);
    const seen = { method: request.method ?? '', path: request.url ?? '', headers: request.headers, body, text };
    requests.push(seen);
    const behaviour = queue.length > 1 ? queue.shift() : queue[0];
    behaviour?.(response, seen);
  };
  server.on('connection', () => (connections += 1));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    connections: () => connections,
    behave: (...next) => (queue = [...next]),
    clientGone,
    close: async () => {
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

async function readText(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}

type Json = Readonly<Record<string, unknown>>;

/** One JSON document, whatever was asked for. */
export const json = (document: unknown, status = 200, headers: Readonly<Record<string, string>> = {}): Behaviour => (response) => {
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(document));
};

export const raw = (body: string, contentType = 'text/event-stream'): Behaviour => (response) => {
  response.writeHead(200, { 'content-type': contentType }).end(body);
};

/** Server-sent chunks, then `[DONE]`. */
export const stream = (...chunks: readonly Json[]): Behaviour => raw(events(...chunks, '[DONE]'));

/** The same, written one byte at a time: every boundary is cut. */
export const streamBytewise = (...chunks: readonly Json[]): Behaviour => (response) => {
  const bytes = Buffer.from(events(...chunks, '[DONE]'));
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  response.socket?.setNoDelay(true);
  for (const byte of bytes) response.write(Buffer.from([byte]));
  response.end();
};

/** Chunks, and then the connection breaks. */
export const breakAfter = (...chunks: readonly Json[]): Behaviour => (response) => {
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  response.write(events(...chunks), () => response.destroy());
};

/** Chunks, and then silence with the connection open. */
export const hangAfter = (...chunks: readonly Json[]): Behaviour => (response) => {
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  response.flushHeaders();
  if (chunks.length > 0) response.write(events(...chunks));
};

/** Not even headers. */
export const hang: Behaviour = () => undefined;

/** Text without an end, as fast as the client reads. */
export const flood = (chunk: Json): Behaviour => (response) => {
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  const pump = (): void => {
    while (!response.destroyed && response.write(events(chunk)));
  };
  response.on('drain', pump);
  pump();
};

export function events(...chunks: readonly (Json | string)[]): string {
  return chunks.map((chunk) => `data: ${typeof chunk === 'string' ? chunk : JSON.stringify(chunk)}\n\n`).join('');
}

/** A chunk with a delta for the first choice. */
export function delta(fields: Json, finishReason: string | null = null): Json {
  return { id: 'c1', object: 'chat.completion.chunk', created: 1, model: 'served-model', choices: [{ index: 0, delta: fields, finish_reason: finishReason }] };
}

export function usageChunk(promptTokens: number, completionTokens: number): Json {
  return { id: 'c1', object: 'chat.completion.chunk', model: 'served-model', choices: [], usage: { prompt_tokens: promptTokens, completion_tokens: completionTokens } };
}

/** A delta of `tool_calls`. */
export function callDelta(...pieces: readonly Json[]): Json {
  return delta({ tool_calls: pieces });
}
