import { Strict } from '../request-schema.ts';
import type { Routes } from '../route-context.ts';
import { callerOf } from '../route-context.ts';
import { DiagnosisView, refTo } from '../view-schema.ts';

export const diagnosticsRoutes: Routes = ({ port }) => (app, _options, done) => {
  app.get('/diagnostics', {
    config: { scope: 'system:read' },
    schema: {
      operationId: 'getDiagnostics',
      tags: ['system'],
      summary: 'What an operator would look at',
      description: 'Database, migrations, clocks, nodes, stuck runs, approvals, audit, sizes: each ok, a warning or a problem, with the cure. Of the whole installation, not of one tenant. The answer is 200 whatever is found.',
      querystring: Strict({}),
      response: { 200: refTo(DiagnosisView) },
    },
    handler: async (request, reply) => {
      const { ok, checks } = await port.diagnose(callerOf(request));
      return reply.code(200).send({ ok, checks: checks.map(({ name, status, summary, cure }) => ({ name, status, summary, cure })) });
    },
  });

  done();
};
