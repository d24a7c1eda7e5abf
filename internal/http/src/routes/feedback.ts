import { Type } from '@fastify/type-provider-typebox';
import { LIMITS } from '@openeaap/kernel';
import { PAGE, RunParams, Strict, toPageRequest } from '../request-schema.ts';
import type { Routes } from '../route-context.ts';
import { callerOf } from '../route-context.ts';
import { toPage, toPreferencePairView } from '../to-view.ts';
import { pageOf, PreferencePairView } from '../view-schema.ts';

const FeedbackBody = Strict(
  {
    score: Type.Unsafe<-1 | 1>({ enum: [-1, 1], description: '1: good; -1: bad.' }),
    correction: Type.Optional(Type.String({ minLength: 1, maxLength: LIMITS.feedbackChars, description: 'What the answer should have been.' })),
    category: Type.Optional(Type.String({ minLength: 1, maxLength: 64, description: 'E.g. safety_violation.' })),
  },
  { examples: [{ score: -1, correction: '不应该直接建议封禁，应该建议先隔离观察。', category: 'safety_violation' }] },
);

const FeedbackReceipt = Type.Object({
  feedback_id: Type.String(),
  preference_pair_id: Type.Union([Type.String(), Type.Null()], { description: 'The pair that a correction became.' }),
});

export const feedbackRoutes: Routes = ({ port }) => (app, _options, done) => {
  app.post('/runs/:run_id/feedback', {
    config: { scope: 'feedback:write', errors: ['not_found', 'gone', 'conflict'] },
    schema: {
      operationId: 'giveFeedback',
      tags: ['feedback'],
      summary: 'Say how good a run was',
      description: 'A correction becomes a preference pair (input, output, correction) for training.',
      params: RunParams,
      body: FeedbackBody,
      response: { 201: FeedbackReceipt },
    },
    handler: async (request, reply) => {
      const { score, correction, category } = request.body;
      const receipt = await port.giveFeedback(callerOf(request), request.params.run_id, { score, correction: correction ?? null, category: category ?? null });
      return reply.code(201).send({ feedback_id: receipt.feedbackId, preference_pair_id: receipt.preferencePairId });
    },
  });

  app.get('/datasets/preference-pairs', {
    // The pairs hold inputs and outputs of other people's runs: no lesser scope covers that.
    config: { scope: 'audit:read' },
    schema: {
      operationId: 'listPreferencePairs',
      tags: ['feedback'],
      summary: 'List preference pairs, newest first',
      querystring: Strict(PAGE),
      response: { 200: pageOf(PreferencePairView) },
    },
    handler: async (request, reply) => reply.code(200).send(toPage(await port.listPreferencePairs(callerOf(request), toPageRequest(request.query)), toPreferencePairView)),
  });

  done();
};
