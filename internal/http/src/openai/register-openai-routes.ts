import { PlatformError } from '@openeaap/kernel';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { createChunkStream } from './chunk-stream.ts';
import type { ChunkStreamLimits } from './chunk-stream.ts';
import type { OpenAiModel, OpenAiPort, OpenAiSession } from './port.ts';
import { toOpenAiError } from './to-openai-error.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** What the credential of a request at the OpenAI door opens. */
    openAiSession: OpenAiSession | null;
  }
}

export interface OpenAiRoutesOptions extends Partial<ChunkStreamLimits> {
  /** For `x-request-id`. */
  readonly newId: () => string;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  readonly bodyBytes?: number;
  /** Most calls at once on this node. */
  readonly callsAtOnce?: number;
}

const PREFIX = '/v1';
/** No credential that we make is longer; a longer one need not be looked up. */
const CREDENTIAL_CHARS = 512;

/**
 * The OpenAI API for whoever holds the credential of a step: `POST /v1/chat/completions`,
 * `GET /v1/models`, `GET /v1/models/{id}`. In a Fastify of its own or within another, which it does
 * not touch: its errors, its parser, its limit of size and its authentication hold for `/v1` alone.
 */
export function registerOpenAiRoutes(app: FastifyInstance, port: OpenAiPort, options: OpenAiRoutesOptions): void {
  const limits = toTotal(options);
  const createdS = Math.floor(options.now() / 1_000);
  const toModel = ({ name, type }: OpenAiModel) => ({ id: name, object: 'model', created: createdS, owned_by: type });
  let callsNow = 0;

  app.register(
    async (door) => {
      door.decorateRequest('openAiSession', null);
      door.removeAllContentTypeParsers();
      // As text: the backend gets the client's own words, and a number beyond 2^53 is one of them.
      door.addContentTypeParser(/^application\/(?:[\w.-]+\+)?json(?:;|$)/, { parseAs: 'string', bodyLimit: limits.bodyBytes }, async (_request: unknown, text: string) => text);
      door.setErrorHandler((error, request, reply) => sendError(error, request, reply));
      door.setNotFoundHandler(async (request, reply) => {
        await reply.headers(headersOf(options)).code(404).type('application/json').send(JSON.stringify({ error: unknownUrl(request) }));
      });
      door.addHook('onRequest', async (request, reply) => {
        reply.headers(headersOf(options));
        // Before the body is read: a stranger's 20 MiB are not worth the wait.
        if (!request.is404) request.openAiSession = enter(port, request);
      });

      // No scope: a step's credential is no API key, and the hook above asks for it.
      const route = { schema: { hide: true }, config: { scope: null } } as const;
      door.get('/models', route, async (request, reply) => sendJson(reply, { object: 'list', data: sessionOf(request).models().map(toModel) }));
      // A model's name may hold slashes, and some clients send them as they are.
      door.get<{ Params: { '*': string } }>('/models/*', route, async (request, reply) => sendJson(reply, toModel(sessionOf(request).findModel(request.params['*']))));
      door.post('/chat/completions', { ...route, bodyLimit: limits.bodyBytes }, async (request, reply) => {
        if (callsNow >= limits.callsAtOnce) throw new PlatformError('unavailable', `This node already makes ${limits.callsAtOnce} model calls. Try again.`);
        callsNow += 1;
        try {
          return await answer(request, reply, limits);
        } finally {
          callsNow -= 1;
        }
      });
    },
    { prefix: PREFIX },
  );
}

function toTotal(options: OpenAiRoutesOptions) {
  return {
    // Images come as base64 in the body; document and peers agree on this size.
    bodyBytes: options.bodyBytes ?? 20_971_520,
    // Each may hold a body of that size in memory.
    callsAtOnce: options.callsAtOnce ?? 512,
    // Proxies commonly cut a connection that is silent for 30 or 60 s.
    heartbeatMs: options.heartbeatMs ?? 15_000,
    stallMs: options.stallMs ?? 30_000,
  };
}

async function answer(request: FastifyRequest, reply: FastifyReply, limits: ChunkStreamLimits): Promise<FastifyReply> {
  const session = sessionOf(request);
  const left = new AbortController();
  const onClose = (): void => left.abort(new PlatformError('cancelled', 'The client has left.'));
  reply.raw.once('close', onClose);
  const stream = createChunkStream(reply, limits);
  const traceparent = request.headers['traceparent'];
  try {
    const body = typeof request.body === 'string' ? request.body : '';
    const { document } = await session.complete(body, { signal: left.signal, traceparent: typeof traceparent === 'string' ? traceparent : null, onChunk: stream.write });
    if (document !== null) return await reply.type('application/json').send(document);
    stream.end();
    return reply;
  } catch (thrown) {
    if (!stream.isOpen()) throw thrown;
    // The answer has begun: its status cannot be changed any more, so the stream says it.
    const { error, status } = toOpenAiError(thrown);
    request.log.info({ code: error.code, status }, 'a streamed completion broke off');
    stream.fail(error);
    return reply;
  } finally {
    reply.raw.off('close', onClose);
  }
}

function enter(port: OpenAiPort, request: FastifyRequest): OpenAiSession {
  const credential = /^Bearer +(\S+) *$/i.exec(request.headers.authorization ?? '')?.[1];
  if (credential === undefined) {
    throw new PlatformError('unauthenticated', 'This request has no credential. Send the header Authorization: Bearer, with what the step was given as OPENEAAP_MODEL_TOKEN.');
  }
  const session = credential.length > CREDENTIAL_CHARS ? null : port.enter(credential);
  if (session === null) {
    throw new PlatformError('unauthenticated', 'This credential is not valid: it is good for one step, and that step is over. Each step brings its own in OPENEAAP_MODEL_TOKEN.');
  }
  return session;
}

function sessionOf(request: FastifyRequest): OpenAiSession {
  if (request.openAiSession === null) throw new PlatformError('internal', 'This route was reached without authentication.');
  return request.openAiSession;
}

function headersOf(options: OpenAiRoutesOptions): Readonly<Record<string, string>> {
  return { 'x-request-id': `req_${options.newId()}`, 'x-content-type-options': 'nosniff', 'cache-control': 'no-store' };
}

/** Logged once, by its code: the message may repeat what the client sent. */
function sendError(thrown: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const { status, headers, error } = toOpenAiError(thrown);
  const about = { code: error.code, status, request_id: reply.getHeader('x-request-id') };
  if (status === 500) request.log.error({ ...about, err: thrown }, 'a completion failed unexpectedly');
  else request.log.info(about, 'a completion was refused');
  return sendJson(reply.code(status).headers(headers), { error });
}

function sendJson(reply: FastifyReply, body: object): FastifyReply {
  return reply.type('application/json').send(JSON.stringify(body));
}

function unknownUrl(request: FastifyRequest) {
  const path = request.url.split('?', 1)[0] ?? '';
  return {
    message: `Unknown request URL: ${request.method} ${path}. This gateway has POST /v1/chat/completions, GET /v1/models and GET /v1/models/{id}.`,
    type: 'invalid_request_error',
    param: null,
    code: 'unknown_url',
  };
}
