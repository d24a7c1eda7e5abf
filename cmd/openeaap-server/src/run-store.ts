import type { Pool } from 'pg';
import type { ConcurrencyLimits } from '@openeaap/kernel';
import { NO_CONCURRENCY_LIMITS } from '@openeaap/kernel';
import type { RunStore } from '@openeaap/orchestrator';
import type { CommitLane } from '@openeaap/store';
import {
  acceptRun,
  beatNode,
  claimDue,
  claimOrphans,
  decideApproval,
  escalateApproval,
  findAgent,
  findRunByKey,
  getApproval,
  getRun,
  listCancelledRuns,
  listDueEscalations,
  readOutline,
  readSignals,
  readSteps,
  registerNode,
  requestCancel,
  reserveQuota,
  stopNode,
} from '@openeaap/store';

/** The store as the orchestrator knows it. */
export function createRunStore(pool: Pool, lane: CommitLane, limits: ConcurrencyLimits = NO_CONCURRENCY_LIMITS): RunStore {
  return {
    acceptRun: (run) => acceptRun(pool, run),
    findRunByKey: (tenantId, key) => findRunByKey(pool, tenantId, key),
    getRun: async (tenantId, runId) => (await getRun(pool, tenantId, runId))?.run ?? null,
    findAgent: (tenantId, reference) => findAgent(pool, tenantId, reference),
    claimDue: (claim) => claimDue(pool, { ...claim, limits }),
    claimOrphans: (claim) => claimOrphans(pool, claim),
    readSteps: (tenantId, runId) => readSteps(pool, tenantId, runId),
    readOutline: (tenantId, runId) => readOutline(pool, tenantId, runId),
    readSignals: (tenantId, runId) => readSignals(pool, tenantId, runId),
    commitRun: lane.commitRun,
    reserveQuota: (tenantId, wanted) => reserveQuota(pool, tenantId, wanted),
    getApproval: (tenantId, approvalId) => getApproval(pool, tenantId, approvalId),
    decideApproval: (vote, record) => lane.withAudit(record.audit, (db, rows) => decideApproval(db, vote, { event: record.event, audit: rows })),
    escalateApproval: (mark, record) => lane.withAudit(record.audit, (db, rows) => escalateApproval(db, mark, { event: record.event, audit: rows })),
    listDueEscalations: (nodeId) => listDueEscalations(pool, nodeId),
    requestCancel: (request) => requestCancel(pool, request),
    listCancelledRuns: (nodeId) => listCancelledRuns(pool, nodeId),
    registerNode: (node) => registerNode(pool, node),
    beatNode: (nodeId) => beatNode(pool, nodeId),
    stopNode: (nodeId) => stopNode(pool, nodeId),
  };
}
