// Durable steps. One step of a run here is a think that proposes one call and the call itself, both answered at once by
// the process: two commits (think outcome with the call's intent; call outcome with the next think's intent), each with its
// journal row, its events and its chained audit rows, the PDP asked twice. The limits beside it: the rows of one commit in
// one statement on one connection, and the same in groups of 64.
import pg from 'pg';
import { AGENT_DEFAULTS, randomIds, systemClock } from '@openeaap/kernel';
import { chainRows, createToAuditRow, genesisHash } from '@openeaap/audit';
import { acceptRun, startNode } from '@openeaap/orchestrator';
import { compilePolicy, decide, mayUse } from '@openeaap/policy';
import { createMasker } from '@openeaap/security';
import * as sql from '@openeaap/store';
import { createRunStore } from '../cmd/openeaap-server/dist/run-store.js';
import { median, quantile, table } from './statistics.mjs';

const TENANT = 'bench';
const PRINCIPAL = { tenantId: TENANT, userId: 'bench', groups: ['soc'], clearance: 1 };
const POLICY = 'rbac:\n  roles:\n    - {name: bench, members: ["group:soc"], tools: ["*"], agents: ["*"]}\n';
const CONCURRENCY = [1, 16, 256];


async function benchConcurrency(world, concurrency, stepsPerRun, rounds) {
  const rates = [];
  const latencies = [];
  for (let round = 0; round < rounds; round += 1) {
    const { seconds, stepMs } = await world.runMany(concurrency);
    rates.push((concurrency * stepsPerRun) / seconds);
    latencies.push(...stepMs);
  }
  const { bytes } = await world.size();
  return { concurrency, stepsPerSecond: median(rates), stepP50Ms: median(latencies), stepP99Ms: quantile(latencies, 0.99), bytesPerStep: bytes };
}

function report(version, limits, rows, stepsPerRun) {
  table(`Limits of this PostgreSQL ${version} (durability on)`, ['', 'commits/s', 'p50 ms'], [
    ['one commit of one row', limits.oneRow.perSecond.toFixed(0), limits.oneRow.p50Ms.toFixed(2)],
    ['the rows of one of our commits, one statement', limits.sameRows.perSecond.toFixed(0), limits.sameRows.p50Ms.toFixed(2)],
    ['the same, 64 commits in one transaction', limits.grouped.perSecond.toFixed(0), ''],
  ]);
  table(
    `Durable steps (runs of ${stepsPerRun}; a step = think + act = 2 commits; PDP, events and audit on)`,
    ['runs at once', 'steps/s', 'commits/s', 'of grouped limit', 'step p50 ms', 'step p99 ms', 'p50 / 2 bare commits', 'bytes/step'],
    rows.map((row) => [
      row.concurrency,
      row.stepsPerSecond.toFixed(0),
      (2 * row.stepsPerSecond).toFixed(0),
      `${((200 * row.stepsPerSecond) / limits.grouped.perSecond).toFixed(0)} %`,
      row.stepP50Ms.toFixed(2),
      row.stepP99Ms.toFixed(2),
      (row.stepP50Ms / (2 * limits.sameRows.p50Ms)).toFixed(2),
      row.bytesPerStep.toFixed(0),
    ]),
  );
}

/** The platform without its programs: the real store, lane, audit, PDP and orchestrator; model and tool answer at once. */
export async function benchWorld(pool, stepsPerRun) {
  await sql.migrate(pool, sql.migrations);
  await sql.ensureAuditPartitions(pool);
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
  const marks = new Map();
  const deps = createDeps(pool, lane, { stepsPerRun, ended, marks });
  const { agent } = await sql.createAgent(pool, { tenantId: TENANT, id: randomIds.newId(), name: 'bench', version: '1', configuration: { ...AGENT_DEFAULTS, tools: ['echo'], maxSteps: 1_000 } });
  await sql.setAgentStatus(pool, TENANT, agent.id, 'published');
  const node = await startNode(deps, { nodeId: randomIds.newId(), host: 'bench', pid: process.pid, version: '0', roles: ['orchestrator'], drives: true });

  const runOne = async () => {
    const { runId } = await acceptRun({ agent: { id: agent.id }, principal: PRINCIPAL, input: 'bench', idempotencyKey: null, priority: 'normal', source: 'bench', identity: null, traceId: null }, deps);
    const done = new Promise((resolve) => ended.set(runId, resolve));
    node.wake();
    await done;
    const times = marks.get(runId) ?? [];
    marks.delete(runId);
    return times.slice(1).map((time, index) => time - times[index]);
  };
  return {
    runMany: async (count) => {
      const started = performance.now();
      const stepMs = (await Promise.all(Array.from({ length: count }, runOne))).flat();
      return { seconds: (performance.now() - started) / 1_000, stepMs };
    },
    size: async () => {
      const { rows } = await pool.query(`SELECT sum(pg_total_relation_size(oid))::float8 / (SELECT count(*) FROM run_steps WHERE kind = 'act') AS bytes FROM pg_class WHERE relname ~ '^(runs|run_steps|run_events|audit_logs_.*)$'`);
      return rows[0];
    },
    close: async () => {
      await node.stop(1_000);
      await lane.close();
    },
  };
}

function createDeps(pool, lane, { stepsPerRun, ended, marks }) {
  const policy = compilePolicy([{ name: 'bench.yaml', text: POLICY }]);
  const pinned = { version: policy.version, decide: (request) => decide(policy, request), mayUse: (principal, agent, tool) => mayUse(policy, { principal, agent }, tool) };
  const echo = { name: 'echo', version: '1', description: '', inputSchema: { type: 'object' }, effect: 'read', idempotent: true, timeoutMs: 1_000 };
  const think = async (request) => {
    const times = marks.get(request.runId) ?? [];
    times.push(performance.now());
    marks.set(request.runId, times);
    const acts = request.journal.filter((step) => step.kind === 'act').length;
    const proposal = acts < stepsPerRun ? { thought: 'next', calls: [{ id: `c${acts}`, tool: 'echo', args: { n: acts } }], output: null } : { thought: '', calls: [], output: 'done' };
    return { proposal, strategyState: null, auditLogs: [], metadata: { usage: { promptTokens: 0, completionTokens: 0, costUsdMicros: 0 }, backend: '' } };
  };
  const runtime = { executeStep: think, handshake: async () => ({}), healthCheck: async () => ({ serving: true, detail: '' }) };
  const quiet = { info: () => undefined, warn: (fields, message) => console.error(message, fields), error: (fields, message) => console.error(message, fields) };
  return {
    store: createRunStore(pool, lane),
    policy: { currentVersion: () => policy.version, load: async () => pinned },
    tools: { find: (name) => (name === 'echo' ? echo : null), validate: () => null, call: async (invocation) => ({ output: invocation.args }) },
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
async function benchLimits(pool, rounds) {
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
