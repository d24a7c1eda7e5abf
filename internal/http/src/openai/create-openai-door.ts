import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { PlatformError } from '@openeaap/kernel';
import { answerRequest, sendJson } from './answer-request.ts';
import type { DoorRequest } from './answer-request.ts';
import { readCredential } from './call-headers.ts';
import type { ChunkStreamLimits } from './chunk-stream.ts';
import { OPENAI_PATHS } from './port.ts';
import type { OpenAiKind, OpenAiModel, OpenAiPort, OpenAiSession } from './port.ts';
import { announcedBytes, discard, tooLarge } from './read-body.ts';
import { toOpenAiError } from './to-openai-error.ts';

export interface OpenAiDoorOptions extends Partial<ChunkStreamLimits> {
  /** For `x-request-id`. */
  readonly newId: () => string;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  readonly logger: DoorLogger;
  readonly bodyBytes?: number;
  /** Most calls at once on this node. */
  readonly callsAtOnce?: number;
  /** Bytes of all their bodies together: as announced, or else as they come. */
  readonly bodyBytesAtOnce?: number;
}

/** A pino logger, or anything of its shape. */
export interface DoorLogger {
  readonly info: (about: object, message: string) => void;
  readonly error: (about: object, message: string) => void;
}

export interface OpenAiDoor {
  readonly server: Server;
  /** Errors: those of the socket, such as EADDRINUSE. */
  readonly listen: (at: { readonly host: string; readonly port: number }) => Promise<void>;
  /** Takes no more, waits so long for answers that are under way, and cuts what is left. */
  readonly close: (graceMs: number) => Promise<void>;
}

/** For a request to be sent wholly; 20 MiB in it are 350 kB/s. */
const RECEIVE_TIMEOUT_MS = 60_000;
const HEADERS_TIMEOUT_MS = 15_000;
/** Longer than the load balancers in use keep theirs, so that the side that asks is the one that closes. */
const KEEP_ALIVE_MS = 72_000;
const CONNECTIONS_MAX = 16_384;
const SWEEP_MS = 50;

/**
 * The OpenAI API for whoever holds a credential: `POST` to chat completions, completions,
 * embeddings, rerank and responses, `GET` of models. A server of its own: it outlives the REST API
 * when the node stops, since runs that come to a rest still think, and agents in other processes
 * think through it. On bare node:http, since every model call of the platform passes here: the same
 * door on Fastify took 4 us of 33 more for each call.
 */
export function createOpenAiDoor(port: OpenAiPort, options: OpenAiDoorOptions): OpenAiDoor {
  const handle = createHandler(port, options);
  const server = createServer({ requestTimeout: RECEIVE_TIMEOUT_MS, headersTimeout: HEADERS_TIMEOUT_MS, keepAliveTimeout: KEEP_ALIVE_MS }, (request, response) => void handle(request, response, false));
  server.maxConnections = CONNECTIONS_MAX;
  // A body that the client holds back until it is wanted is wanted once its credential is good.
  server.on('checkContinue', (request, response) => void handle(request, response, true));
  server.on('clientError', refuseNonsense);
  return {
    server,
    listen: ({ host, port: at }) =>
      new Promise((resolve, reject) => {
        server.once('error', reject);
        server.listen(at, host, () => {
          server.off('error', reject);
          resolve();
        });
      }),
    close: (graceMs) =>
      new Promise((resolve) => {
        const cut = setTimeout(() => server.closeAllConnections(), graceMs);
        // A connection whose answer ends meanwhile is idle, and would be kept for the next request.
        const sweep = setInterval(() => server.closeIdleConnections(), SWEEP_MS);
        server.close(() => {
          clearTimeout(cut);
          clearInterval(sweep);
          resolve();
        });
      }),
  };
}

function toTotal(options: OpenAiDoorOptions) {
  return {
    // Images come as base64 in the body; document and peers agree on this size.
    bodyBytes: options.bodyBytes ?? 20_971_520,
    // Slow streams hold little each.
    callsAtOnce: options.callsAtOnce ?? 4_096,
    // Large bodies are what fills a memory; each is held until its answer is out.
    bodyBytesAtOnce: options.bodyBytesAtOnce ?? 536_870_912,
    // Proxies commonly cut a connection that is silent for 30 or 60 s.
    heartbeatMs: options.heartbeatMs ?? 15_000,
    stallMs: options.stallMs ?? 30_000,
  };
}

type Handle = (request: IncomingMessage, response: ServerResponse, waits: boolean) => Promise<void>;

function createHandler(port: OpenAiPort, options: OpenAiDoorOptions): Handle {
  const limits = toTotal(options);
  const admission = createAdmission(limits);
  const { logger, now, newId } = options;
  const createdS = Math.floor(now() / 1_000);

  return async (request, response, waits) => {
    const startedMs = now();
    const id = `req_${newId()}`;
    const headers = (): Record<string, string | number> => ({ 'x-request-id': id, 'openai-processing-ms': Math.max(0, Math.round(now() - startedMs)), 'x-content-type-options': 'nosniff', 'cache-control': 'no-store' });
    const at: DoorRequest = { request, response, headers };
    try {
      const route = findRoute(request);
      const session = await enter(port, request);
      if (route.kind === null) return sendJson(response, 200, { json: JSON.stringify(listModels(session, route.model, createdS)), headers: headers() });
      const place = admission.enter(request);
      try {
        if (waits) response.writeContinue();
        const broken = await answerRequest(at, { session, kind: route.kind, received: place.received }, limits);
        if (broken !== null) logger.info({ code: broken.error.code, status: broken.status, request_id: id }, 'a streamed completion broke off');
      } finally {
        place.leave();
      }
    } catch (thrown) {
      const { status, headers: more, error } = toOpenAiError(thrown);
      // By its code alone: the message may repeat what the client sent.
      const about = { code: error.code, status, request_id: id };
      if (status === 500) logger.error({ ...about, err: thrown }, 'a completion failed unexpectedly');
      else logger.info(about, 'a completion was refused');
      if (!request.complete) discard(request);
      sendJson(response, status, { json: JSON.stringify({ error }), headers: { ...headers(), ...more } });
    }
  };
}

interface Place {
  /** Bytes of a body whose length was not announced. Errors: `model_unavailable`. */
  readonly received: (bytes: number) => void;
  readonly leave: () => void;
}

/** Whoever cannot be served now is told so at once: a queue is where the backends are. */
function createAdmission({ bodyBytes, callsAtOnce, bodyBytesAtOnce }: { readonly bodyBytes: number; readonly callsAtOnce: number; readonly bodyBytesAtOnce: number }) {
  let calls = 0;
  let bytes = 0;
  const full = (): PlatformError => new PlatformError('model_unavailable', `This node already makes ${calls} model calls, which is as many as it can hold. Try again.`, { details: { reason: 'queue_full' } });
  return {
    /** Errors: `payload_too_large`, `model_unavailable`. */
    enter: (request: IncomingMessage): Place => {
      const announced = announcedBytes(request);
      if (announced !== null && announced > bodyBytes) throw tooLarge(bodyBytes);
      let held = 0;
      const hold = (more: number): void => {
        if (bytes + more > bodyBytesAtOnce) throw full();
        bytes += more;
        held += more;
      };
      if (calls >= callsAtOnce) throw full();
      hold(announced ?? 0);
      calls += 1;
      return {
        received: announced === null ? hold : () => undefined,
        leave: () => {
          calls -= 1;
          bytes -= held;
        },
      };
    },
  };
}

async function enter(port: OpenAiPort, { headers }: IncomingMessage): Promise<OpenAiSession> {
  const credential = readCredential(headers);
  const entered = credential === null ? null : port.enter(credential);
  const session = entered instanceof Promise ? await entered : entered;
  if (session === null) throw new PlatformError('unauthenticated', 'This credential is not valid: it is unknown, revoked or expired, or it was good for one step and that step is over.');
  return session;
}

interface Route {
  /** null: the models. */
  readonly kind: OpenAiKind | null;
  /** null: all of them. */
  readonly model: string | null;
}

const MODELS = '/v1/models';
const MODELS_ROUTE: Route = { kind: null, model: null };
const POST_ROUTES: ReadonlyMap<string, Route> = new Map(Object.entries(OPENAI_PATHS).map(([path, kind]) => [path, { kind, model: null }]));

/** Errors: `not_found` with the reason `unknown_url`. */
function findRoute({ method = '', url = '' }: IncomingMessage): Route {
  const query = url.indexOf('?');
  const path = query === -1 ? url : url.slice(0, query);
  const posted = method === 'POST' ? POST_ROUTES.get(path) : undefined;
  if (posted !== undefined) return posted;
  if (method === 'GET' && path === MODELS) return MODELS_ROUTE;
  // A model's name may hold slashes, and some clients send them as they are.
  const name = method === 'GET' && path.startsWith(`${MODELS}/`) ? decode(path.slice(MODELS.length + 1)) : '';
  if (name !== '') return { kind: null, model: name };
  throw new PlatformError('not_found', `Unknown request URL: ${method} ${path}. This gateway has POST ${[...POST_ROUTES.keys()].join(', ')}, and GET ${MODELS} and ${MODELS}/{id}.`, { details: { reason: 'unknown_url' } });
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function listModels(session: OpenAiSession, name: string | null, created: number): object {
  const toModel = ({ name: id, type }: OpenAiModel) => ({ id, object: 'model', created, owned_by: type });
  return name === null ? { object: 'list', data: session.models().map(toModel) } : toModel(session.findModel(name));
}

/** What the parser of HTTP could not make a request of. */
function refuseNonsense(error: NodeJS.ErrnoException, socket: Socket): void {
  if (!socket.writable || error.code === 'ECONNRESET') return void socket.destroy();
  const status = error.code === 'ERR_HTTP_REQUEST_TIMEOUT' ? '408 Request Timeout' : error.code === 'HPE_HEADER_OVERFLOW' ? '431 Request Header Fields Too Large' : '400 Bad Request';
  const json = JSON.stringify({ error: { message: 'The request cannot be read. Check its headers and its length.', type: 'invalid_request_error', param: null, code: null } });
  socket.end(`HTTP/1.1 ${status}\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(json)}\r\n\r\n${json}`);
}
