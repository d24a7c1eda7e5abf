import type { AuditFact } from '@openeaap/kernel';
import { LIMITS, PlatformError } from '@openeaap/kernel';
import type { PlatformPort } from '@openeaap/http';
import { actsForOthers } from '@openeaap/http';
import { addFeedback, appendAudit, listPairs, sumUsage } from '@openeaap/store';
import type { PreferencePair } from '@openeaap/store';
import type { PlatformContext } from './context.ts';
import { pageById } from './page.ts';
import { ownRun } from './runs.ts';

type KnowledgePort = Pick<PlatformPort, 'searchKnowledge' | 'listDocuments' | 'getChunk' | 'giveFeedback' | 'listPreferencePairs' | 'getUsage'>;

export function createKnowledgePort(context: PlatformContext): KnowledgePort {
  const { pool } = context;
  return {
    searchKnowledge: async (caller, query, topK) => (await context.retrieve({ tenantId: caller.principal.tenantId, principal: caller.principal, query, topK })).chunks,
    listDocuments: async (caller) => {
      const { tenantId } = caller.principal;
      const documents = await context.knowledge.listDocuments({ tenantId, principal: caller.principal, limit: LIMITS.pageSizeCeiling });
      return documents.map(({ id, ...document }) => ({ ...document, documentId: id }));
    },
    getChunk: async (caller, chunkId) => {
      const [chunk] = await context.knowledge.getChunks(caller.principal.tenantId, caller.principal, [chunkId]);
      if (chunk === undefined) throw new PlatformError('not_found', 'There is no such piece of knowledge, or you may not read it.');
      return { ...chunk, score: null };
    },
    giveFeedback: async (caller, runId, feedback) => {
      const { run } = await ownRun(context, caller, runId);
      const { tenantId, userId } = caller.principal;
      const id = context.ids.newId();
      const masked = feedback.correction === null ? null : context.policy.maskText(feedback.correction);
      const facts: readonly AuditFact[] = [
        {
          tenantId,
          runId,
          traceId: run.traceId,
          actor: `user:${userId}`,
          action: 'feedback',
          phase: 'event',
          decision: null,
          outcome: feedback.score === 1 ? 'positive' : 'negative',
          rule: null,
          stepNo: null,
          metadata: { feedback_id: id, category: feedback.category },
          input: null,
          output: masked,
        },
      ];
      await context.lane.withAudit(facts, async (db, rows) => {
        const added = await addFeedback(db, { tenantId, id, runId, userId, score: feedback.score, correction: masked, category: feedback.category });
        return added ? appendAudit(db, rows) : null;
      });
      context.hub.committed(runId);
      await context.collector.collectNow();
      const [pair] = await listPairs(pool, { tenantId, feedbackId: id, limit: 1 });
      return { feedbackId: id, preferencePairId: pair?.id ?? null };
    },
    listPreferencePairs: async (caller, page) => {
      if (!actsForOthers(caller)) throw new PlatformError('permission_denied', 'The data set holds what everybody has asked; it needs a key with the scope act_for_others.', { details: { scope: 'act_for_others' } });
      return pageById<PreferencePair>(
        page,
        (pair) => pair.id,
        ({ before, limit }) => listPairs(pool, { tenantId: caller.principal.tenantId, before, limit }),
      );
    },
    getUsage: (caller, query) => sumUsage(pool, { tenantId: caller.principal.tenantId, from: query.from ?? undefined, to: query.to ?? undefined, groupBy: query.groupBy }),
  };
}
