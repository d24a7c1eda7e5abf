import { Type } from '@fastify/type-provider-typebox';
import { LIMITS } from '@openeaap/kernel';
import { PAGE, RunParams, Strict } from '../request-schema.ts';
import type { Routes } from '../route-context.ts';
import { callerOf } from '../route-context.ts';
import { toEventView } from '../to-view.ts';
import { EventView, refTo } from '../view-schema.ts';
import { readLastEventId } from './read-last-event-id.ts';

const EventsQuery = Strict({
  last_event_id: Type.Optional(Type.String({ description: 'As the header Last-Event-ID, which wins: stream only events after this id.' })),
  after: Type.Optional(Type.Integer({ minimum: 0, description: 'JSON only: events after this seq. Default 0.' })),
  limit: PAGE.limit,
});

const EventList = Type.Object({
  items: Type.Array(refTo(EventView)),
  next_after: Type.Integer({ description: 'Pass it as `after` for the next events.' }),
});

const SSE_EXAMPLE = 'retry: 2000\n\nid: 1\nevent: run_started\ndata: {"run_id":"01939c4e-7a30-7cc1-9d3b-5f0f1c3a2b10","status":"running"}\n\n';

export const eventRoutes: Routes = ({ port, sse }) => (app, _options, done) => {
  app.get('/runs/:run_id/events', {
    config: { scope: 'runs:read', errors: ['not_found', 'gone'] },
    schema: {
      operationId: 'listEvents',
      tags: ['runs'],
      summary: 'Events of a run, as a list or as a stream',
      description:
        'With `Accept: text/event-stream`: all events after `Last-Event-ID`, then live ones until the run ends; `id:` is the seq, `step_delta` events have none and are not replayed; a comment `: hb` keeps the connection alive. 204 when the run has ended and nothing follows. A client that reads too slowly is disconnected and resumes by id. Otherwise: a JSON list.',
      params: RunParams,
      querystring: EventsQuery,
      response: {
        200: {
          description: 'Events in order of seq.',
          content: { 'application/json': { schema: EventList }, 'text/event-stream': { schema: Type.String({ examples: [SSE_EXAMPLE] }) } },
        },
      },
    },
    handler: async (request, reply) => {
      const caller = callerOf(request);
      const { run_id } = request.params;
      // Both Accept forms have the same URL; without Vary a cache could mix them up.
      reply.header('vary', 'accept');
      if (wantsStream(request.headers.accept)) {
        // An EventSource keeps its URL when it connects again, so the header is the newer word.
        const afterSeq = readLastEventId(request.headers['last-event-id']) ?? readLastEventId(request.query.last_event_id) ?? 0;
        return sse.send(reply, (signal) => port.openEvents(caller, run_id, afterSeq, signal));
      }
      const afterSeq = request.query.after ?? 0;
      const events = await port.listEvents(caller, run_id, { afterSeq, limit: request.query.limit ?? LIMITS.pageSize });
      return reply.code(200).send({ items: events.map(toEventView), next_after: events.at(-1)?.seq ?? afterSeq });
    },
  });

  done();
};

const wantsStream = (accept: string | undefined): boolean => (accept ?? '').toLowerCase().includes('text/event-stream');
