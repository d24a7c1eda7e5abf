import { Readable } from 'node:stream';
import { Type } from '@fastify/type-provider-typebox';
import type { AuditAction } from '@openeaap/kernel';
import type { AuditEntry } from '../port.ts';
import { PAGE, RANGE, Strict, toPageRequest, toTimeRange, Uuid } from '../request-schema.ts';
import type { Routes } from '../route-context.ts';
import { callerOf } from '../route-context.ts';
import { toAuditVerificationView, toAuditView, toPage } from '../to-view.ts';
import { AuditVerificationView, AuditView, pageOf, refTo } from '../view-schema.ts';

const ACTIONS: AuditAction[] = ['tool_call', 'llm_invoke', 'model_egress', 'approval_grant', 'approval_request', 'approval_vote', 'approval_escalation', 'run_status', 'agent_change', 'policy_change', 'plugin_change', 'model_key_change', 'trigger', 'schedule_change', 'schedule_fire', 'feedback', 'run_archive'];

const AuditQuery = Strict({
  run_id: Type.Optional(Uuid('Only rows of this run.')),
  action_type: Type.Optional(Type.Unsafe<AuditAction>({ enum: ACTIONS })),
  ...PAGE,
});

export const auditRoutes: Routes = ({ port }) => (app, _options, done) => {
  app.get('/audit', {
    config: { scope: 'audit:read' },
    schema: { operationId: 'queryAudit', tags: ['audit'], summary: 'Query the audit log, newest first', querystring: AuditQuery, response: { 200: pageOf(AuditView) } },
    handler: async (request, reply) => {
      const filter = { runId: request.query.run_id ?? null, actionType: request.query.action_type ?? null };
      return reply.code(200).send(toPage(await port.queryAudit(callerOf(request), filter, toPageRequest(request.query)), toAuditView));
    },
  });

  app.post('/audit/verify', {
    config: { scope: 'audit:read' },
    schema: {
      operationId: 'verifyAudit',
      tags: ['audit'],
      summary: 'Check that the audit log is whole',
      description: 'Computes every hash chain again and checks the signed heads: a changed, removed or inserted row and a cut tail are found.',
      body: Strict({}),
      response: { 200: refTo(AuditVerificationView) },
    },
    handler: async (request, reply) => reply.code(200).send(toAuditVerificationView(await port.verifyAudit(callerOf(request)))),
  });

  app.get('/audit/export', {
    config: { scope: 'audit:read' },
    schema: {
      operationId: 'exportAudit',
      tags: ['audit'],
      summary: 'Export the audit log, oldest first',
      description: 'One JSON object (an AuditRow) a line.',
      querystring: Strict(RANGE),
      response: { 200: { description: 'Rows of the audit log.', content: { 'application/x-ndjson': { schema: Type.Unsafe<Readable>({ type: 'string' }) } } } },
    },
    handler: async (request, reply) => {
      const controller = new AbortController();
      reply.raw.once('close', () => controller.abort());
      const rows = port.exportAudit(callerOf(request), toTimeRange(request.query), controller.signal);
      return reply.code(200).type('application/x-ndjson').send(Readable.from(toLines(rows)));
    },
  });

  done();
};

async function* toLines(rows: AsyncIterable<AuditEntry>): AsyncGenerator<string> {
  for await (const row of rows) yield `${JSON.stringify(toAuditView(row))}\n`;
}
