import { Readable } from 'node:stream';
import { Type } from '@fastify/type-provider-typebox';
import { LIMITS } from '@openeaap/kernel';
import { Strict, Uuid } from '../request-schema.ts';
import type { Routes } from '../route-context.ts';
import { callerOf } from '../route-context.ts';

const FinishedBefore = Type.String({ format: 'date-time', description: 'Runs that ended before this time; at least 7 days ago.' });
const Count = Type.Integer({ minimum: 0 });
const NullableTime = Type.Union([Type.String({ format: 'date-time' }), Type.Null()]);

const Summary = Type.Object({ runs: Count, steps: Count, oldest: NullableTime, newest: NullableTime });
const Deleted = Type.Object({
  deleted: Type.Array(Type.String({ format: 'uuid' })),
  kept: Type.Array(Type.String({ format: 'uuid' }), { description: 'Not old enough, not ended, changed since they were read, with feedback that is not collected yet, or gone already.' }),
});

const LinesQuery = Strict({
  finished_before: FinishedBefore,
  after: Type.Optional(Type.String({ maxLength: 256, description: '`next` of the page before.' })),
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: LIMITS.archivePageRuns })),
  content: Type.Optional(Type.Unsafe<'all' | 'none'>({ enum: ['all', 'none'], description: 'none: only the lines that end a run. Default all.' })),
});

const DeleteBody = Strict({
  finished_before: FinishedBefore,
  runs: Type.Array(Strict({ run_id: Uuid('A run that was read.'), last_seq: Type.Integer({ minimum: 1, description: 'Of its `run_end` line.' }) }), { minItems: 1, maxItems: LIMITS.archiveDeleteRuns }),
  outcome: Type.Unsafe<'archived' | 'deleted'>({ enum: ['archived', 'deleted'], description: 'For the audit: whether the caller holds them in a file.' }),
});

/** The scope is good for the runs of every user of the tenant. */
export const archiveRoutes: Routes = ({ port }) => (app, _options, done) => {
  app.get('/archive/summary', {
    config: { scope: 'runs:archive' },
    schema: { operationId: 'summarizeArchive', tags: ['archive'], summary: 'How much would be archived', querystring: Strict({ finished_before: FinishedBefore }), response: { 200: Summary } },
    handler: async (request, reply) => {
      const { runs, steps, oldest, newest } = await port.summarizeArchive(callerOf(request), new Date(request.query.finished_before));
      return reply.code(200).send({ runs, steps, oldest: oldest?.toISOString() ?? null, newest: newest?.toISOString() ?? null });
    },
  });

  app.get('/archive/runs', {
    config: { scope: 'runs:archive' },
    schema: {
      operationId: 'readArchivableRuns',
      tags: ['archive'],
      summary: 'Read old runs with all that hangs on them',
      description:
        'One JSON object a line: `{"kind": "run" | "step" | "event" | "approval" | "usage", "data": the row as stored}`, after each run `{"kind": "run_end", "run_id", "last_seq", "lines"}`, and at the end `{"kind": "page_end", "runs", "next"}`. An answer without `page_end` is not whole.',
      querystring: LinesQuery,
      response: { 200: { description: 'Lines of runs.', content: { 'application/x-ndjson': { schema: Type.Unsafe<Readable>({ type: 'string' }) } } } },
    },
    handler: async (request, reply) => {
      const controller = new AbortController();
      reply.raw.once('close', () => controller.abort());
      const { finished_before: finishedBefore, after = null, limit = LIMITS.archivePageRuns, content = 'all' } = request.query;
      const lines = port.readArchivableRuns(callerOf(request), { finishedBefore: new Date(finishedBefore), after, limit, content }, controller.signal);
      // The first line is waited for, so that what is refused is refused with its status.
      const first = await lines.next();
      return reply.code(200).type('application/x-ndjson').send(Readable.from(toText(first, lines)));
    },
  });

  app.post('/archive/delete', {
    config: { scope: 'runs:archive' },
    schema: {
      operationId: 'deleteArchivedRuns',
      tags: ['archive'],
      summary: 'Delete old runs that were read',
      description: 'Their steps, events, approvals and usage go with them; the audit, feedback and preference pairs stay. Each run is deleted only if it is as it was when it was read. Audited.',
      body: DeleteBody,
      response: { 200: Deleted },
    },
    handler: async (request, reply) => {
      const { finished_before: finishedBefore, runs, outcome } = request.body;
      const named = runs.map((run) => ({ id: run.run_id, lastSeq: run.last_seq }));
      return reply.code(200).send(toDeletedView(await port.deleteArchivedRuns(callerOf(request), { finishedBefore: new Date(finishedBefore), runs: named, outcome })));
    },
  });

  done();
};

const toDeletedView = ({ deleted, kept }: { readonly deleted: readonly string[]; readonly kept: readonly string[] }) => ({ deleted: [...deleted], kept: [...kept] });

async function* toText(first: IteratorResult<string>, rest: AsyncIterable<string>): AsyncGenerator<string> {
  if (first.done === true) return;
  yield `${first.value}\n`;
  for await (const line of rest) yield `${line}\n`;
}
