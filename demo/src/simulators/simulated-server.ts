import { once } from 'node:events';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { JsonObject } from '@openeaap/kernel';
import { isJsonObject } from '@openeaap/kernel';

export interface SimulatedRequest {
  readonly method: string;
  /** Decoded segments of the path, e.g. `['v1', 'ip', '1.2.3.4']`. */
  readonly path: readonly string[];
  readonly query: URLSearchParams;
  readonly headers: IncomingMessage['headers'];
  /** Empty without a body. */
  readonly body: JsonObject;
}

export interface SimulatedReply {
  readonly status: number;
  readonly body: JsonObject;
}

export type SimulatedRoute = (request: SimulatedRequest) => SimulatedReply | Promise<SimulatedReply>;

export interface SimulatedServer {
  readonly url: string;
  readonly close: () => Promise<void>;
}

const BODY_BYTES = 65_536;

/**
 * A small HTTP server for one simulated product. Every response says that it is simulated, in the header
 * `x-simulated` and in the body, so that nobody takes the demo's answers for facts.
 */
export async function startSimulatedServer(host: string, product: string, route: SimulatedRoute): Promise<SimulatedServer> {
  const server = createServer((request, response) => {
    void respond(request, response);
  });
  const respond = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const { status, body } = await answer(request, route);
    response.writeHead(status, { 'content-type': 'application/json; charset=utf-8', 'x-simulated': 'true', server: `simulated-${product}` });
    response.end(JSON.stringify({ ...body, simulated: true }));
  };
  server.listen(0, host);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return { url: `http://${host.includes(':') ? `[${host}]` : host}:${port}`, close: () => closeServer(server) };
}

export const notFound = (what: string): SimulatedReply => ({ status: 404, body: { error: `${what} not found` } });
export const badRequest = (problem: string): SimulatedReply => ({ status: 400, body: { error: problem } });

/** Never rejects: a fault of a simulator is a 500, as with a real product. */
async function answer(request: IncomingMessage, route: SimulatedRoute): Promise<SimulatedReply> {
  try {
    const url = new URL(request.url ?? '/', 'http://simulated');
    const path = url.pathname.split('/').filter((segment) => segment !== '').map(decodeURIComponent);
    const body = await readBody(request);
    if (body === null) return badRequest('the body is not a JSON object of at most 64 KiB');
    if (request.method === 'GET' && path[0] === 'health') return { status: 200, body: { status: 'ok' } };
    return await route({ method: request.method ?? 'GET', path, query: url.searchParams, headers: request.headers, body });
  } catch (thrown) {
    if (thrown instanceof URIError) return badRequest('the path is not well-formed');
    return { status: 500, body: { error: 'the simulator failed' } };
  }
}

async function readBody(request: IncomingMessage): Promise<JsonObject | null> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of request) {
    const chunk = part as Buffer;
    bytes += chunk.length;
    if (bytes > BODY_BYTES) return null;
    parts.push(chunk);
  }
  if (bytes === 0) return {};
  try {
    const value: unknown = JSON.parse(Buffer.concat(parts).toString('utf8'));
    return isJsonObject(value) ? value : null;
  } catch {
    return null;
  }
}

async function closeServer(server: Server): Promise<void> {
  const closed = once(server, 'close');
  server.close();
  server.closeAllConnections();
  await closed;
}
