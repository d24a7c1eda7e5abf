import type { Static } from '@fastify/type-provider-typebox';
import { Type } from '@fastify/type-provider-typebox';
import type { ApprovalStatus, ApprovalVerdict, JsonObject } from '@openeaap/kernel';
import { PlatformError } from '@openeaap/kernel';
import type { DecideRequest } from '../port.ts';
import { PAGE, Strict, toPageRequest, Uuid } from '../request-schema.ts';
import type { Routes } from '../route-context.ts';
import { callerOf } from '../route-context.ts';
import { toApprovalView, toPage } from '../to-view.ts';
import { ApprovalView, pageOf, refTo } from '../view-schema.ts';

const STATUSES: ApprovalStatus[] = ['pending', 'approved', 'rejected', 'expired', 'cancelled'];
const ALL_VERDICTS: ApprovalVerdict[] = ['approve', 'edit', 'reject', 'retry', 'mark_done', 'fail'];

const ApprovalParams = Strict({ approval_id: Uuid('Id of the approval.') });

const ListApprovalsQuery = Strict({
  status: Type.Optional(Type.Unsafe<ApprovalStatus>({ enum: STATUSES })),
  run_id: Type.Optional(Uuid('Only approvals of this run.')),
  ...PAGE,
});

const DecideBody = Strict(
  {
    verdict: Type.Unsafe<ApprovalVerdict>({ enum: ALL_VERDICTS, description: 'One of allowed_verdicts of the approval.' }),
    call_hash: Type.Optional(Type.String({ pattern: '^[0-9a-f]{64}$', description: 'call_hash of the approval as you saw it; another one is refused with hash_mismatch. Needed to approve or edit where min_approvals is above 1.' })),
    args: Type.Optional(Type.Unsafe<JsonObject>({ type: 'object', description: 'The changed arguments; needed for edit, and only there.' })),
    comment: Type.Optional(Type.String({ maxLength: 4_096, description: 'Needed for reject.' })),
  },
  { examples: [{ verdict: 'approve', call_hash: '9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08' }, { verdict: 'reject', comment: 'This is our own gateway.' }] },
);

export const approvalRoutes: Routes = ({ port }) => (app, _options, done) => {
  app.get('/approvals', {
    config: { scope: 'approvals:read' },
    schema: { operationId: 'listApprovals', tags: ['approvals'], summary: 'List approvals, newest first', querystring: ListApprovalsQuery, response: { 200: pageOf(ApprovalView) } },
    handler: async (request, reply) => {
      const filter = { status: request.query.status ?? null, runId: request.query.run_id ?? null };
      return reply.code(200).send(toPage(await port.listApprovals(callerOf(request), filter, toPageRequest(request.query)), toApprovalView));
    },
  });

  app.get('/approvals/:approval_id', {
    config: { scope: 'approvals:read', errors: ['not_found'] },
    schema: { operationId: 'getApproval', tags: ['approvals'], summary: 'Get an approval', params: ApprovalParams, response: { 200: refTo(ApprovalView) } },
    handler: async (request, reply) => reply.code(200).send(toApprovalView(await port.getApproval(callerOf(request), request.params.approval_id))),
  });

  app.post('/approvals/:approval_id/decide', {
    config: { scope: 'approvals:decide', errors: ['not_found', 'already_decided', 'hash_mismatch', 'conflict'] },
    schema: {
      operationId: 'decideApproval',
      tags: ['approvals'],
      summary: 'Decide an approval',
      description:
        'Grants or refuses exactly the call that is shown, once. approve, edit and reject answer a gate; retry, mark_done and fail answer a call whose outcome is unknown. Where min_approvals is above 1 the approval stays pending until as many different people have approved; one rejection rejects; an edit counts as the approval of its editor alone, and the others approve the edited call.',
      params: ApprovalParams,
      body: DecideBody,
      response: { 200: refTo(ApprovalView) },
    },
    handler: async (request, reply) =>
      reply.code(200).send(toApprovalView(await port.decideApproval(callerOf(request), request.params.approval_id, toDecideRequest(request.body)))),
  });

  done();
};

function toDecideRequest({ verdict, call_hash, args, comment }: Static<typeof DecideBody>): DecideRequest {
  if (verdict === 'edit' && args === undefined) throw wrong('args', 'The verdict edit needs `args`.', 'Add the changed arguments as `args`.');
  if (verdict !== 'edit' && args !== undefined) throw wrong('args', `The verdict ${verdict} takes no \`args\`.`, 'Leave `args` out, or use the verdict edit.');
  if (verdict === 'reject' && (comment ?? '').trim() === '') throw wrong('comment', 'The verdict reject needs a `comment`.', 'Say why: the agent and the requester are told.');
  return { verdict, callHash: call_hash ?? null, editedArgs: args ?? null, comment: comment ?? null };
}

function wrong(field: string, message: string, cure: string): PlatformError {
  return new PlatformError('invalid_input', message, { details: { field, in: 'body', cure } });
}
