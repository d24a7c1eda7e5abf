import type { Static } from '@fastify/type-provider-typebox';
import { Type } from '@fastify/type-provider-typebox';
import type { JsonValue } from '@openeaap/kernel';
import { PlatformError } from '@openeaap/kernel';
import type { PolicyTestRequest } from '../port.ts';
import { AGENT_REF_CHARS, NAME_CHARS, Strict } from '../request-schema.ts';
import type { Routes } from '../route-context.ts';
import { callerOf } from '../route-context.ts';
import { toDecisionView, toPolicyView } from '../to-view.ts';
import { DecisionView, PolicyView, refTo } from '../view-schema.ts';

const GROUPS = 256;

const PolicyTestBody = Strict(
  {
    kind: Type.Unsafe<'think' | 'act'>({ enum: ['think', 'act'], description: 'What is asked for.' }),
    user_id: Type.Optional(Type.String({ minLength: 1, maxLength: NAME_CHARS, description: 'Default: you.' })),
    groups: Type.Optional(Type.Array(Type.String({ minLength: 1, maxLength: NAME_CHARS }), { maxItems: GROUPS, description: 'In place of the groups in the directory.' })),
    agent: Type.Optional(Type.String({ minLength: 1, maxLength: AGENT_REF_CHARS })),
    tool: Type.Optional(Type.String({ minLength: 1, maxLength: NAME_CHARS, description: 'Needed for act.' })),
    input: Type.Optional(Type.Unsafe<JsonValue>({ description: 'Arguments of the call. Default {}.' })),
    taint: Type.Optional(Strict({ untrusted: Type.Optional(Type.Boolean()), injection: Type.Optional(Type.Boolean()) })),
  },
  { examples: [{ kind: 'act', user_id: 'alice', groups: ['soc-analyst'], tool: 'block_ip', input: { ip: '1.2.3.4' } }] },
);

const ReloadResult = Type.Object({ version: Type.String(), changed: Type.Boolean() });

export const policyRoutes: Routes = ({ port }) => (app, _options, done) => {
  app.get('/policies', {
    config: { scope: 'policies:read' },
    schema: { operationId: 'getPolicies', tags: ['policies'], summary: 'Get the policy in force', querystring: Strict({}), response: { 200: refTo(PolicyView) } },
    handler: async (request, reply) => reply.code(200).send(toPolicyView(await port.getPolicies(callerOf(request)))),
  });

  app.post('/policies/test', {
    config: { scope: 'policies:read', errors: ['not_found'] },
    schema: {
      operationId: 'testPolicy',
      tags: ['policies'],
      summary: 'Ask what the policy would decide',
      description: 'Nothing is done, counted or logged as a decision.',
      body: PolicyTestBody,
      response: { 200: refTo(DecisionView) },
    },
    handler: async (request, reply) => reply.code(200).send(toDecisionView(await port.testPolicy(callerOf(request), toTestRequest(request.body)))),
  });

  app.post('/policies/reload', {
    config: { scope: 'policies:write', errors: ['policy_invalid'] },
    schema: {
      operationId: 'reloadPolicies',
      tags: ['policies'],
      summary: 'Read the policy files again',
      description: 'When they cannot be used, the policy in force stays and the answer says where they are wrong.',
      body: Strict({}),
      response: { 200: ReloadResult },
    },
    handler: async (request, reply) => {
      const { version, changed } = await port.reloadPolicies(callerOf(request));
      return reply.code(200).send({ version, changed });
    },
  });

  done();
};

function toTestRequest(body: Static<typeof PolicyTestBody>): PolicyTestRequest {
  if (body.kind === 'act' && body.tool === undefined) {
    throw new PlatformError('invalid_input', 'To test an act, `tool` is needed.', { details: { field: 'tool', in: 'body', cure: 'Add the name of the tool.' } });
  }
  return {
    kind: body.kind,
    userId: body.user_id ?? null,
    groups: body.groups ?? null,
    agent: body.agent ?? null,
    tool: body.tool ?? null,
    input: body.input ?? {},
    taint: { untrusted: body.taint?.untrusted ?? false, injection: body.taint?.injection ?? false },
  };
}
