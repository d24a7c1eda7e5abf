import { createPublicKey } from 'node:crypto';
import type { AuditFact, Decision } from '@openeaap/kernel';
import { PlatformError } from '@openeaap/kernel';
import { verifyAudit } from '@openeaap/audit';
import type { AuditEntry, Caller, PlatformPort, PolicyTestRequest } from '@openeaap/http';
import { actsForOthers } from '@openeaap/http';
import { decide } from '@openeaap/policy';
import type { StoredAuditRow } from '@openeaap/store';
import { findAgent, findUser, listAudit, listAuditHeads, listLiveNodes, walkAudit } from '@openeaap/store';
import type { PlatformContext } from './context.ts';
import { ownRun, toAgentReference } from './runs.ts';

/** A writer that lives signs every few seconds; more than this it is never late. */
const SIGN_WITHIN_MS = 60_000;

type GovernancePort = Pick<PlatformPort, 'getPolicies' | 'testPolicy' | 'reloadPolicies' | 'queryAudit' | 'verifyAudit' | 'exportAudit'>;

export function createGovernancePort(context: PlatformContext): GovernancePort {
  const { pool } = context;
  return {
    getPolicies: async () => context.policy.info(),
    testPolicy: (caller, request) => testPolicy(context, caller, request),
    reloadPolicies: (caller) =>
      context.policy.reload((result) => context.appendAudit([toReloadFact(caller, result)])),
    queryAudit: async (caller, filter, page) => {
      if (filter.runId !== null) await mayQueryRun(context, caller, filter.runId);
      else if (!actsForOthers(caller)) throw new PlatformError('permission_denied', 'Name a run of your own with run_id, or use a key with the scope act_for_others.', { details: { field: 'run_id' } });
      const rows = await listAudit(pool, {
        tenantId: caller.principal.tenantId,
        runId: filter.runId ?? undefined,
        actionType: filter.actionType ?? undefined,
        before: page.cursor === null ? undefined : parseCursor(page.cursor),
        limit: page.limit + 1,
      });
      const shown = rows.slice(0, page.limit);
      const last = shown.at(-1);
      return { items: shown.map(toEntry), nextCursor: rows.length > page.limit && last !== undefined ? JSON.stringify([last.created_at, last.chain_id, last.chain_seq]) : null };
    },
    verifyAudit: async () => {
      await context.signer.signNow();
      const trusted = createPublicKey(context.auditKey).export({ type: 'spki', format: 'pem' }).toString();
      const [stored, kept, live] = await Promise.all([listAuditHeads(pool), context.keptHeads(), listLiveNodes(pool)]);
      const unsignedBefore = new Date(context.clock.now().getTime() - SIGN_WITHIN_MS).toISOString();
      return verifyAudit(walkAudit(pool, {}), { heads: [...stored, ...kept], key: trusted, liveChains: new Set(live), unsignedBefore });
    },
    exportAudit: (caller, range, signal) => exportAudit(context, caller, range, signal),
  };
}

/** The audit outlives its runs. */
async function mayQueryRun(context: PlatformContext, caller: Caller, runId: string): Promise<void> {
  try {
    await ownRun(context, caller, runId);
  } catch (thrown) {
    if (!(thrown instanceof PlatformError && thrown.code === 'gone')) throw thrown;
  }
}

async function* exportAudit(context: PlatformContext, caller: Caller, range: { readonly from: Date | null; readonly to: Date | null }, signal: AbortSignal): AsyncGenerator<AuditEntry> {
  if (!actsForOthers(caller)) throw new PlatformError('permission_denied', 'The export holds the rows of every run; it needs a key with the scope act_for_others.', { details: { scope: 'act_for_others' } });
  for await (const row of walkAudit(context.pool, { tenantId: caller.principal.tenantId, from: range.from ?? undefined, to: range.to ?? undefined })) {
    if (signal.aborted) return;
    yield toEntry(row);
  }
}

function parseCursor(text: string): { readonly createdAt: string; readonly chainId: string; readonly chainSeq: number } {
  try {
    const [createdAt, chainId, chainSeq] = JSON.parse(text) as [unknown, unknown, unknown];
    if (typeof createdAt === 'string' && typeof chainId === 'string' && typeof chainSeq === 'number') return { createdAt, chainId, chainSeq };
  } catch {
    // Said below.
  }
  throw new PlatformError('invalid_input', 'This cursor was not made by this list.', { details: { field: 'cursor' } });
}

function toEntry(row: StoredAuditRow): AuditEntry {
  return {
    id: row.id,
    runId: row.run_id,
    traceId: row.trace_id,
    actor: row.actor,
    actionType: row.action_type,
    phase: row.phase,
    decision: row.decision,
    outcome: row.outcome,
    rule: row.rule,
    stepNo: row.step_no,
    metadata: row.metadata,
    sanitizedInput: row.sanitized_input,
    sanitizedOutput: row.sanitized_output,
    chainId: row.chain_id,
    chainSeq: row.chain_seq,
    prevHash: row.prev_hash,
    rowHash: row.row_hash,
    createdAt: new Date(row.created_at),
  };
}

function toReloadFact(caller: Caller, result: { readonly version: string; readonly changed: boolean }): AuditFact {
  return {
    tenantId: caller.principal.tenantId,
    runId: null,
    traceId: '',
    actor: `user:${caller.principal.userId}`,
    action: 'policy_change',
    phase: 'event',
    decision: null,
    outcome: result.changed ? 'changed' : 'unchanged',
    rule: null,
    stepNo: null,
    metadata: { policy_version: result.version, key_id: caller.keyId },
    input: null,
    output: null,
  };
}

/** What the PDP would say; nothing is counted, done or written. */
async function testPolicy(context: PlatformContext, caller: Caller, request: PolicyTestRequest): Promise<Decision> {
  const { tenantId } = caller.principal;
  const user = request.userId === null ? caller.principal : await findUser(context.pool, tenantId, request.userId);
  const agent = request.agent === null ? null : await findAgent(context.pool, tenantId, toAgentReference(request.agent));
  if (request.agent !== null && agent === null) throw new PlatformError('not_found', `There is no agent "${request.agent}".`, { details: { field: 'agent' } });
  const base = {
    principal: request.groups === null ? user : { ...user, groups: request.groups },
    agent: agent === null ? { id: 'policy-test', name: 'policy-test', version: '0' } : { id: agent.id, name: agent.name, version: agent.version },
    run: { id: 'policy-test', stepNo: 1, tokensUsed: 0 },
    taint: request.taint,
    now: context.clock.now(),
  };
  if (request.kind === 'think') return decide(context.policy.current(), { ...base, kind: 'think', maxTokens: 0 });
  const name = request.tool ?? '';
  // A tool that is not installed can still be asked about: policies are written before tools arrive.
  const spec = context.registry.findTool(name);
  const tool = spec === null ? { name, version: '0', effect: 'write' as const } : { name, version: spec.version, effect: spec.effect };
  return decide(context.policy.current(), { ...base, kind: 'act', tool, input: request.input });
}
