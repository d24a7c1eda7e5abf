import { Type } from '@fastify/type-provider-typebox';
import type { JsonObject } from '@openeaap/kernel';
import { LIMITS, PRIORITIES, PlatformError } from '@openeaap/kernel';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Caller, CreateRunRequest } from '../port.ts';
import { AgentRefParams, Strict } from '../request-schema.ts';
import type { RouteContext, Routes } from '../route-context.ts';
import { callerOf, traceOf } from '../route-context.ts';
import { actsForOthers } from '../scope.ts';
import { toRunCreated } from '../to-view.ts';
import { refTo, RunCreatedView } from '../view-schema.ts';
import { readLastEventId } from './read-last-event-id.ts';

export const IdempotencyKey = Type.String({ minLength: 1, maxLength: LIMITS.idempotencyKeyChars });

const START_DAYS = LIMITS.startDelayMs / 86_400_000;

const CreateRunBody = Strict(
  {
    input: Type.Unsafe<string | JsonObject>({ type: ['string', 'object'], description: 'What the agent is asked: text, or a JSON object.' }),
    user_id: Type.Optional(Type.String({ minLength: 1, maxLength: 255, description: 'Run for this user; needs the scope act_for_others unless it is your own id.' })),
    stream: Type.Optional(Type.Boolean({ description: 'true: answer with the event stream of the run. Default false.' })),
    idempotency_key: Type.Optional(IdempotencyKey),
    priority: Type.Optional(Type.Enum([...PRIORITIES], { description: 'Which of the runs of a tenant that wait goes first: low, normal (default), high, urgent.' })),
    start_at: Type.Optional(Type.String({ format: 'date-time', description: `Accept the run now and begin it then: RFC 3339, at most ${START_DAYS} days ahead. Not together with delay_s.` })),
    delay_s: Type.Optional(Type.Integer({ minimum: 0, maximum: LIMITS.startDelayMs / 1_000, description: 'Accept the run now and begin it so many seconds later.' })),
  },
  {
    examples: [{ input: '分析 IP 1.2.3.4 的威胁等级', user_id: 'user-123', stream: true, idempotency_key: 'req-uuid-v4' }],
  },
);

/** Node folds header names to lower case; the schema only documents what is read below. */
const CreateRunHeaders = Type.Object({
  'idempotency-key': Type.Optional(IdempotencyKey),
  traceparent: Type.Optional(Type.String({ description: 'W3C Trace Context; its trace id becomes that of the run.' })),
});

export const createRunRoutes: Routes = (context) => (app, _options, done) => {
  const { port } = context;

  app.post('/agents/:agent_id/runs', {
    config: { scope: 'runs:write', eventStream: true, errors: ['not_found', 'conflict', 'idempotency_mismatch', 'policy_denied', 'quota_exceeded'] },
    schema: {
      operationId: 'createRun',
      tags: ['runs'],
      summary: 'Start a run',
      description:
        'Accepts a run; it is answered only when it is stored. The same idempotency key (field, or header Idempotency-Key) with the same request is the same run: 200 and `Idempotency-Replayed: true`. With `start_at` or `delay_s` the run is accepted now and begins later; until then it can be cancelled. With `stream: true` the answer is the event stream of the run (`text/event-stream`) from its first event, or after `Last-Event-ID`.',
      params: AgentRefParams,
      headers: CreateRunHeaders,
      body: CreateRunBody,
      response: { 200: refTo(RunCreatedView), 202: refTo(RunCreatedView) },
    },
    handler: async (request, reply) => {
      const caller = callerOf(request);
      const { run, replayed } = await port.createRun(caller, {
        agentRef: request.params.agent_id,
        input: checkInputSize(request.body.input),
        userId: checkUserId(caller, request.body.user_id),
        priority: request.body.priority ?? 'normal',
        idempotencyKey: oneIdempotencyKey(request.body.idempotency_key, request.headers['idempotency-key']),
        start: toStart(request.body.start_at, request.body.delay_s),
        trace: traceOf(request),
      });
      reply.header('location', `/api/v1/runs/${run.id}`);
      if (replayed) reply.header('idempotency-replayed', 'true');
      if (request.body.stream === true) return streamRun(context, { request, reply, runId: run.id });
      return reply.code(replayed ? 200 : 202).send(toRunCreated(run, replayed));
    },
  });

  done();
};

export function checkInputSize(input: string | JsonObject): string | JsonObject {
  const bytes = Buffer.byteLength(JSON.stringify(input));
  if (bytes <= LIMITS.runInputBytes) return input;
  throw new PlatformError('payload_too_large', `\`input\` is ${bytes} bytes as JSON; ${LIMITS.runInputBytes} are allowed.`, {
    details: { field: 'input', in: 'body', cure: 'Send less; large data belongs in the knowledge base or behind a tool.' },
  });
}

/** null: the caller itself. Rights never come from a request body alone. */
export function checkUserId(caller: Caller, userId: string | undefined): string | null {
  if (userId === undefined || userId === caller.principal.userId) return null;
  if (actsForOthers(caller)) return userId;
  throw new PlatformError('permission_denied', 'This API key may not start runs for other users.', {
    details: { field: 'user_id', scope: 'act_for_others', cure: 'Leave user_id out, or use a key with the scope act_for_others.' },
  });
}

export function oneIdempotencyKey(field: string | undefined, header: string | undefined): CreateRunRequest['idempotencyKey'] {
  if (field === undefined || header === undefined || field === header) return field ?? header ?? null;
  throw new PlatformError('invalid_input', 'The header Idempotency-Key and `idempotency_key` differ.', {
    details: { field: 'idempotency_key', in: 'body', cure: 'Send one of the two, or the same value in both.' },
  });
}

function toStart(startAt: string | undefined, delayS: number | undefined): CreateRunRequest['start'] {
  if (startAt !== undefined && delayS !== undefined) {
    throw new PlatformError('invalid_input', '`start_at` and `delay_s` both say when to begin.', { details: { field: 'delay_s', in: 'body', cure: 'Send one of the two.' } });
  }
  if (startAt !== undefined) return { kind: 'at', at: new Date(startAt) };
  return delayS === undefined || delayS === 0 ? null : { kind: 'after', delayMs: delayS * 1_000 };
}

interface StreamRequest {
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
  readonly runId: string;
}

function streamRun({ port, sse }: RouteContext, { request, reply, runId }: StreamRequest): Promise<FastifyReply> {
  const afterSeq = readLastEventId(request.headers['last-event-id']) ?? 0;
  return sse.send(reply, (signal) => port.openEvents(callerOf(request), runId, afterSeq, signal));
}
