import { Type } from '@fastify/type-provider-typebox';
import type { JsonObject } from '@openeaap/kernel';
import { RUN_STATUSES } from '@openeaap/kernel';
import { NAME_CHARS, NAME_PATTERN, Strict } from '../request-schema.ts';
import type { Routes } from '../route-context.ts';
import { callerOf, traceOf } from '../route-context.ts';

const TriggerParams = Strict({ name: Type.String({ minLength: 1, maxLength: NAME_CHARS, pattern: NAME_PATTERN, description: 'Name of the trigger, e.g. siem.' }) });
const TriggerBody = Type.Unsafe<JsonObject>({ type: 'object', description: 'The outside event as it is; any JSON object.', examples: [{ alert_id: 'A-1', rule: 'anomalous-login', src_ip: '1.2.3.4' }] });
const TriggerResult = Type.Object({
  run_id: Type.String({ format: 'uuid' }),
  status: Type.Enum([...RUN_STATUSES]),
  deduplicated: Type.Boolean({ description: 'The same event came before; this is its run.' }),
});

export const triggerRoutes: Routes = ({ port }) => (app, _options, done) => {
  app.post('/triggers/:name', {
    config: { scope: 'triggers:write', errors: ['not_found', 'policy_denied', 'quota_exceeded'] },
    schema: {
      operationId: 'fireTrigger',
      tags: ['triggers'],
      summary: 'Turn an outside event into a run',
      description: 'The same event again is answered with 200 and the run that it became before.',
      params: TriggerParams,
      body: TriggerBody,
      response: { 200: TriggerResult, 202: TriggerResult },
    },
    handler: async (request, reply) => {
      const { run, deduplicated } = await port.fireTrigger(callerOf(request), request.params.name, request.body, traceOf(request));
      reply.header('location', `/api/v1/runs/${run.id}`);
      return reply.code(deduplicated ? 200 : 202).send({ run_id: run.id, status: run.status, deduplicated });
    },
  });

  done();
};
