// Ours: the platform without its programs, and what PostgreSQL needs for the same rows. One step of a run is a think that
// proposes one call and the call itself, both answered at once by the process: two commits (think outcome with the call's
// intent; call outcome with the next think's intent), each with its journal row, its events and its chained audit rows,
// the PDP asked twice.
import { createRequire } from 'node:module';
import { AGENT_DEFAULTS, randomIds, systemClock } from '@openeaap/kernel';
import { chainRows, createToAuditRow, genesisHash } from '@openeaap/audit';
import { acceptRun, startNode } from '@openeaap/orchestrator';
import { compilePolicy, decide, mayUse } from '@openeaap/policy';
import { createMasker } from '@openeaap/security';
import * as sql from '@openeaap/store';
import { createRunStore } from '../cmd/openeaap-server/dist/run-store.js';
import { median } from './statistics.mjs';

/** The product's own `pg`: a peer's may lie nearer. */
export const pg = createRequire(new URL('../package.json', import.meta.url))('pg');

const TENANT = 'bench';
const PRINCIPAL = { tenantId: TENANT, userId: 'bench', groups: ['soc'], clearance: 1 };
const POLICY = 'rbac:\n  roles:\n    - {name: bench, members: ["group:soc"], tools: ["*"], agents: ["*"]}\n';

export async function migrate(pool) {
  await sql.migrate(pool, sql.migrations);
  await sql.ensureAuditPartitions(pool);
}

/**
 * The real store, lane, audit, PDP and orchestrator; model and tool answer at once, and tell `hooks` that they were called.
 * `soleOwner`: this process knows that every earlier one of this database is dead, as the owner of an embedded store does.
 */
export async function createWorld(pool, { stepsPerRun, effect, soleOwner, hooks }) {
  await migrate(pool);
  if (soleOwner) await sql.stopAllNodes(pool);
  const masker = createMasker({ policyRules: [], builtin: true, hashKey: 'benchmark hash key' });
  const lane = sql.createCommitLane({
    pool,
    chainId: randomIds.newId(),
    toAuditRow: createToAuditRow({ masker: () => masker, clock: systemClock, ids: randomIds }),
    chain: chainRows,
    genesis: genesisHash,
    clock: systemClock,
  });
  const ended = new Map();
  const deps = createDeps(pool, lane, { stepsPerRun, effect, ended, hooks });
  const { agent } = await sql.createAgent(pool, { tenantId: TENANT, id: randomIds.newId(), name: 'bench', version: '1', configuration: { ...AGENT_DEFAULTS, tools: ['echo'], maxSteps: 1_000 } });
  await sql.setAgentStatus(pool, TENANT, agent.id, 'published');
  const node = await startNode(deps, { nodeId: randomIds.newId(), host: 'bench', pid: process.pid, version: '0', roles: ['orchestrator'], drives: true });

  return {
    /** Accepts a run and waits for its end; gives its id. */
    start: async () => {
      const { runId } = await acceptRun({ agent: { id: agent.id }, principal: PRINCIPAL, input: 'bench', idempotencyKey: null, priority: 'normal', source: 'bench', identity: null, traceId: null }, deps);
      const done = new Promise((resolve) => ended.set(runId, resolve));
      node.wake();
      await done;
      return runId;
    },
    close: async () => {
      await node.stop(1_000);
      await lane.close();
    },
  };
}

function createDeps(pool, lane, { stepsPerRun, effect, ended, hooks }) {
  const policy = compilePolicy([{ name: 'bench.yaml', text: POLICY }]);
  const pinned = { version: policy.version, decide: (request) => decide(policy, request), mayUse: (principal, agent, tool) => mayUse(policy, { principal, agent }, tool), uncertainOutcome: null };
  const echo = { name: 'echo', version: '1', description: '', inputSchema: { type: 'object' }, effect, idempotent: effect === 'read', timeoutMs: 1_000 };
  const think = async (request) => {
    const acts = request.journal.filter((step) => step.kind === 'act').length;
    await hooks.model(request.runId, acts);
    const proposal = acts < stepsPerRun ? { thought: 'next', calls: [{ id: `c${acts}`, tool: 'echo', args: { n: acts } }], output: null } : { thought: '', calls: [], output: 'done' };
    return { proposal, strategyState: null, auditLogs: [], metadata: { usage: { promptTokens: 0, completionTokens: 0, costUsdMicros: 0 }, backend: '' } };
  };
  const call = async (invocation) => {
    await hooks.tool(invocation.runId, invocation.args.n);
    return { output: invocation.args };
  };
  const runtime = { executeStep: think, handshake: async () => ({}), healthCheck: async () => ({ serving: true, detail: '' }) };
  const quiet = { info: () => undefined, warn: (fields, message) => console.error(message, fields), error: (fields, message) => console.error(message, fields) };
  return {
    store: createRunStore(pool, lane),
    policy: { currentVersion: () => policy.version, load: async () => pinned },
    tools: { find: (name) => (name === 'echo' ? echo : null), validate: () => null, call },
    runtimes: { find: () => runtime },
    meter: { take: () => null, credentials: () => ({}), revoke: () => undefined },
    text: { mask: (value) => value, looksLikeInjection: () => false },
    watch: {
      committed: (runId, _lastSeq, isEnd) => {
        if (!isEnd) return;
        ended.get(runId)?.();
        ended.delete(runId);
      },
      delta: () => undefined,
    },
    observe: () => undefined,
    endRootSpan: () => undefined,
    clock: systemClock,
    ids: randomIds,
    log: quiet,
  };
}

/** What PostgreSQL needs for the rows alone: one journal row, two events, two audit rows, one row updated. */
export async function benchLimits(pool, rounds) {
  const client = await pool.connect();
  try {
    await client.query(`CREATE TABLE IF NOT EXISTS bench_run (id int PRIMARY KEY, n bigint); INSERT INTO bench_run SELECT g, 0 FROM generate_series(1, 64) g ON CONFLICT DO NOTHING;
      CREATE TABLE IF NOT EXISTS bench_step (LIKE run_steps INCLUDING INDEXES INCLUDING DEFAULTS); CREATE TABLE IF NOT EXISTS bench_event (LIKE run_events INCLUDING INDEXES INCLUDING DEFAULTS);
      CREATE TABLE IF NOT EXISTS bench_audit (LIKE audit_logs INCLUDING INDEXES INCLUDING DEFAULTS)`);
    const counter = { n: Date.now() };
    const oneRow = await timeCommits(rounds, 300, () => client.query({ name: 'bench-one', text: 'UPDATE bench_run SET n = n + 1 WHERE id = 1' }));
    const sameRows = await timeCommits(rounds, 300, () => writeRows(client, counter, 1));
    const grouped = await timeCommits(rounds, 30, () => writeRows(client, counter, 64));
    return { oneRow, sameRows, grouped: { perSecond: grouped.perSecond * 64 } };
  } finally {
    client.release();
  }
}

const RUN_ID = '00000000-0000-7000-8000-000000000001';

function writeRows(client, counter, commits) {
  const items = Array.from({ length: commits }, () => {
    counter.n += 2;
    return { n: counter.n };
  });
  return client.query({
    name: 'bench-rows',
    text: `WITH item AS (SELECT n, row_number() OVER () AS i FROM jsonb_to_recordset($1::jsonb) AS x(n bigint)),
      run AS (UPDATE bench_run r SET n = item.n FROM item WHERE r.id = item.i RETURNING r.id),
      step AS (INSERT INTO bench_step (tenant_id, run_id, no, id, kind, status, policy_version, agent_version, started_at, proposal, decision)
        SELECT 'bench', '${RUN_ID}', (n % 2000000000)::int, gen_random_uuid(), 'think', 'done', 'v', '1', now(), '{"thought":"next","calls":[{"id":"c1","tool":"echo","args":{"n":1}}],"output":null}', '{"effect":"allow","rule":"rbac.bench"}' FROM item),
      event AS (INSERT INTO bench_event (tenant_id, run_id, seq, type, data)
        SELECT 'bench', '${RUN_ID}', n + k, 'policy_decision', '{"step":1,"kind":"think","effect":"allow","rule":"rbac.bench","reason":"Thinking is allowed."}' FROM item, generate_series(0, 1) k)
      INSERT INTO bench_audit (id, action_type, metadata, sanitized_input, tenant_id, chain_id, chain_seq, prev_hash, row_hash)
        SELECT gen_random_uuid(), 'tool_call', '{"agent":"bench","agent_version":"1","tool":"echo"}', '{"n":1}', 'bench', '${RUN_ID}', n + k, repeat('0', 64), repeat('1', 64) FROM item, generate_series(0, 1) k`,
    values: [JSON.stringify(items)],
  });
}

async function timeCommits(rounds, count, commit) {
  const times = [];
  for (let n = 0; n < rounds * count; n += 1) {
    const started = performance.now();
    await commit();
    times.push(performance.now() - started);
  }
  const p50Ms = median(times);
  return { p50Ms, perSecond: (1_000 * times.length) / times.reduce((sum, time) => sum + time, 0) };
}
