import { generateKeyPairSync } from 'node:crypto';
import { Pool } from 'pg';
import type { AgentConfiguration, Approval, ApprovalVerdict, ClaimedRun, JsonObject, JsonValue, Principal, Priority, Proposal, Run, RunEvent, Step } from '@openeaap/kernel';
import { AGENT_DEFAULTS, NO_CONCURRENCY_LIMITS, randomIds, systemClock } from '@openeaap/kernel';
import type { ThinkContext, ThinkRequest, ThinkResponse } from '@openeaap/adapter';
import type { AuditReport } from '@openeaap/audit';
import { chainRows, createToAuditRow, genesisHash, verifyAudit } from '@openeaap/audit';
import type { DriveDeps, Observation, RunStore } from '@openeaap/orchestrator';
import { acceptRun, decideApproval, driveRun } from '@openeaap/orchestrator';
import { createPeerSource, createRegistry, parsePluginFile } from '@openeaap/registry';
import { createMasker, detectInjection } from '@openeaap/security';
import type { CommitLane, StoredAuditRow } from '@openeaap/store';
import * as sql from '@openeaap/store';
import type { TestDatabase } from '../../internal/store/src/testing/test-database.ts';
import { createTestDatabase } from '../../internal/store/src/testing/test-database.ts';
import type { ScriptedPolicy } from './scripted-policy.ts';
import { createScriptedPolicy } from './scripted-policy.ts';
import type { ScriptedTools } from './scripted-tools.ts';
import { createScriptedTools, TOOL_SPECS } from './scripted-tools.ts';

export const TENANT = 'acme';
export const ALICE: Principal = { tenantId: TENANT, userId: 'alice', groups: ['soc'], clearance: 2 };
export const BOB: Principal = { tenantId: TENANT, userId: 'bob', groups: ['security-ops'], clearance: 3 };
export const CAROL: Principal = { tenantId: TENANT, userId: 'carol', groups: ['security-ops'], clearance: 3 };

export type Think = (request: ThinkRequest, context: ThinkContext) => Promise<Proposal> | Proposal;

/** What a node of the test does: claims, drives, dies. It has no loops of its own, so the test decides when. */
export interface TestNode {
  readonly id: string;
  readonly deps: DriveDeps;
  readonly claim: (inHand?: readonly string[], limit?: number) => Promise<readonly ClaimedRun[]>;
  /** Drives one claimed run until it rests; `stop` is a crash as the process would see it. */
  readonly drive: (claimed: ClaimedRun, signals?: { readonly stop?: AbortSignal; readonly rest?: AbortSignal; readonly interrupt?: AbortController }) => Promise<void>;
  /** Claims and drives until nothing is due any more. */
  readonly work: () => Promise<void>;
  /** Its heartbeat is too old from now on. */
  readonly die: () => Promise<void>;
}

export interface World {
  readonly pool: Pool;
  /** `postgres://` URL of the database. */
  readonly url: string;
  readonly store: RunStore;
  readonly lane: CommitLane;
  readonly tools: ScriptedTools;
  readonly policy: ScriptedPolicy;
  readonly deps: DriveDeps;
  readonly observed: Observation[];
  readonly logged: { readonly level: string; readonly message: string; readonly fields: object }[];
  /** What the runtime answers; by default the answer "done". Looked up at each think. */
  think: Think;
  readonly accept: (input?: string | JsonObject, options?: { readonly key?: string; readonly principal?: Principal; readonly agent?: string; readonly priority?: Priority }) => Promise<string>;
  readonly createAgent: (name: string, configuration?: Partial<AgentConfiguration>) => Promise<string>;
  /** What another process of the installation works with: connections, a lane and an audit chain of its own. */
  readonly peer: () => DriveDeps;
  readonly node: (overrides?: Partial<DriveDeps>) => Promise<TestNode>;
  readonly decide: (approvalId: string, verdict: ApprovalVerdict, options?: { readonly by?: Principal; readonly args?: JsonObject; readonly comment?: string; readonly hash?: string; readonly at?: DriveDeps }) => Promise<Approval>;
  /** So much time passes for an approval and for the run that waits for it. */
  readonly wait: (approvalId: string, ms: number) => Promise<void>;
  readonly run: (runId: string) => Promise<Run>;
  readonly steps: (runId: string) => Promise<readonly Step[]>;
  readonly events: (runId: string) => Promise<readonly RunEvent[]>;
  readonly approvals: (runId: string) => Promise<readonly Approval[]>;
  readonly audit: (runId: string) => Promise<readonly StoredAuditRow[]>;
  readonly verify: () => Promise<AuditReport>;
  readonly count: (text: string, values?: readonly unknown[]) => Promise<number>;
  /** Connections of the store's pool are cut by the server. */
  readonly cutConnections: () => Promise<void>;
  /** Every world must leave an audit chain that holds; rejects when it does not. */
  readonly close: () => Promise<void>;
}

/** Declared plugins of a test run elsewhere; none of these is started here. */
const PEER_SOURCE = {
  platformVersion: '0', variable: () => undefined, cwd: '.', inherited: {}, setpriv: null, toImageLauncher: null, fetch: globalThis.fetch,
  onOutput: () => undefined, readPins: async () => ({}), keepPins: async () => undefined,
};

/** One platform without its programs: the real store, registry, audit and orchestrator on a database of its own. */
export async function createWorld(options: { readonly configuration?: Partial<AgentConfiguration>; readonly database?: TestDatabase; /** As in configs/plugins.yaml. */ readonly plugins?: readonly object[] } = {}): Promise<World> {
  const database = options.database ?? (await createTestDatabase());
  const pool = new Pool({ connectionString: database.url, max: 6 });
  // A cut connection is told to whoever waits for an answer; the idle ones tell nobody.
  pool.on('error', () => undefined);
  await sql.ensureAuditPartitions(pool);
  const masker = createMasker({ policyRules: [], builtin: true, hashKey: 'a key of the tests alone' });
  const openLane = (own: Pool): CommitLane =>
    sql.createCommitLane({
      pool: own,
      chainId: randomIds.newId(),
      toAuditRow: createToAuditRow({ masker: () => masker, clock: systemClock, ids: randomIds }),
      chain: (head, rows) => chainRows(head, rows),
      genesis: genesisHash,
      clock: systemClock,
      retryMs: { first: 5, longest: 20 },
    });
  const lane = openLane(pool);
  const peers: { readonly pool: Pool; readonly lane: CommitLane }[] = [];
  const store = toRunStore(pool, lane);
  const tools = createScriptedTools();
  const policy = createScriptedPolicy();
  const registry = await createRegistry({ plugins: [{ kind: 'tools', name: 'scripted', adapter: tools.adapter }], secret: () => undefined, toPeerSource: createPeerSource(PEER_SOURCE) });
  registry.declare('file', parsePluginFile({ plugins: options.plugins ?? [] }, 'plugins.yaml').plugins.map((declaration) => ({ declaration, generation: 1 })));
  await registry.settle(10_000);
  const observed: Observation[] = [];
  const logged: { level: string; message: string; fields: object }[] = [];
  const log = (level: string) => (fields: object, message: string) => void logged.push({ level, message, fields });
  const metered = new Set<string>();
  let think: Think = () => ({ thought: '', calls: [], output: 'done' });

  const deps: DriveDeps = {
    store,
    policy: policy.port,
    tools: { find: registry.findTool, validate: registry.validate, call: registry.call },
    runtimes: {
      find: (name) =>
        name !== 'native'
          ? registry.findRuntime(name)
          : {
              handshake: async () => ({ name, version: '1', reasoningModes: ['react'], agents: [] }),
              healthCheck: async () => ({ serving: true, detail: '' }),
              executeStep: async (request, context): Promise<ThinkResponse> => {
                metered.add(request.stepId);
                const proposal = await think(request, context);
                return { proposal, strategyState: null, auditLogs: [], metadata: { usage: USAGE, backend: 'scripted' } };
              },
            },
    },
    meter: {
      take: (stepId) => (metered.delete(stepId) ? { usage: USAGE, backend: 'scripted', calls: 1 } : null),
      credentials: () => ({ OPENEAAP_MODEL_TOKEN: 'step-token' }),
      revoke: () => undefined,
    },
    text: { mask: (value) => masker.maskJson(value), looksLikeInjection: (text) => detectInjection(text).suspicious },
    watch: { committed: () => undefined, delta: () => undefined },
    observe: (observation) => void observed.push(observation),
    endRootSpan: () => undefined,
    clock: systemClock,
    ids: randomIds,
    log: { info: log('info'), warn: log('warn'), error: log('error') },
  };

  const { publicKey } = generateKeyPairSync('ed25519');
  const trusted = publicKey.export({ type: 'spki', format: 'pem' }).toString();
  // Nothing is signed here: every writer counts as living.
  const verify = async (): Promise<AuditReport> => {
    const { rows } = await pool.query<{ chain_id: string }>('SELECT DISTINCT chain_id FROM audit_logs');
    return verifyAudit(sql.walkAudit(pool, {}), { heads: [], key: trusted, liveChains: new Set(rows.map((row) => row.chain_id)), unsignedBefore: '2000-01-01T00:00:00Z' });
  };
  const createAgent = async (name: string, configuration: Partial<AgentConfiguration> = {}): Promise<string> => {
    const id = randomIds.newId();
    await sql.createAgent(pool, { tenantId: TENANT, id, name, version: '1.0.0', configuration: { ...AGENT_DEFAULTS, tools: TOOL_SPECS.map((tool) => tool.name), ...configuration } });
    await sql.setAgentStatus(pool, TENANT, id, 'published');
    return id;
  };
  await createAgent('agent', options.configuration);

  return {
    pool,
    url: database.url,
    store,
    lane,
    tools,
    policy,
    deps,
    observed,
    logged,
    get think() {
      return think;
    },
    set think(next: Think) {
      think = next;
    },
    createAgent,
    accept: async (input = 'the task', given = {}) =>
      (
        await acceptRun(
          { agent: { name: given.agent ?? 'agent' }, principal: given.principal ?? ALICE, input, idempotencyKey: given.key ?? null, priority: given.priority ?? 'normal', source: 'api', identity: null, traceId: null },
          deps,
        )
      ).runId,
    peer: () => {
      const own = new Pool({ connectionString: database.url, max: 4 });
      own.on('error', () => undefined);
      const peer = { pool: own, lane: openLane(own) };
      peers.push(peer);
      return { ...deps, store: toRunStore(peer.pool, peer.lane) };
    },
    node: (overrides) => createNode({ ...deps, ...overrides }, pool),
    decide: (approvalId, verdict, given = {}) =>
      decideApproval(
        { tenantId: TENANT, approvalId, verdict, callHash: given.hash ?? null, editedArgs: given.args ?? null, comment: given.comment ?? (verdict === 'reject' ? 'not today' : null), decider: given.by ?? BOB },
        given.at ?? deps,
      ),
    wait: async (approvalId, ms) =>
      void (await pool.query(
        `WITH a AS (UPDATE approvals SET created_at = created_at - $2::bigint * interval '1 ms', expires_at = expires_at - $2::bigint * interval '1 ms' WHERE id = $1 RETURNING run_id)
         UPDATE runs SET wake_at = wake_at - $2::bigint * interval '1 ms' FROM a WHERE runs.id = a.run_id AND status = 'paused'`,
        [approvalId, ms],
      )),
    run: async (runId) => (await store.getRun(TENANT, runId)) as Run,
    steps: (runId) => store.readSteps(TENANT, runId),
    events: async (runId) => (await sql.readEvents(pool, { tenantId: TENANT, runId, afterSeq: 0, limit: 10_000 }))?.events ?? [],
    approvals: (runId) => sql.listApprovals(pool, { tenantId: TENANT, runId, limit: 100 }),
    audit: async (runId) => (await sql.listAudit(pool, { tenantId: TENANT, runId, limit: 1_000 })).toReversed(),
    verify,
    count: async (text, values = []) => Number((await pool.query<{ n: string }>(text, [...values])).rows[0]?.n),
    cutConnections: async () => {
      const admin = new Pool({ connectionString: database.url, max: 1 });
      admin.on('error', () => undefined);
      await admin.query('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()');
      await admin.end();
    },
    close: async () => {
      await registry.close(1_000);
      await lane.close();
      for (const peer of peers) {
        await peer.lane.close();
        await peer.pool.end();
      }
      const { ok, problems } = await verify();
      await pool.end();
      await database.drop();
      if (!ok) throw new Error(`the audit chain does not hold: ${JSON.stringify(problems)}`);
    },
  };
}

const USAGE = { promptTokens: 10, completionTokens: 5, costUsdMicros: 7 };

function toRunStore(pool: Pool, lane: CommitLane): RunStore {
  return {
    acceptRun: (run) => sql.acceptRun(pool, run),
    getRun: async (tenantId, runId) => (await sql.getRun(pool, tenantId, runId))?.run ?? null,
    findRunByKey: (tenantId, key) => sql.findRunByKey(pool, tenantId, key),
    findAgent: (tenantId, reference) => sql.findAgent(pool, tenantId, reference),
    claimDue: (claim) => sql.claimDue(pool, { ...claim, limits: NO_CONCURRENCY_LIMITS }),
    claimOrphans: (claim) => sql.claimOrphans(pool, claim),
    readSteps: (tenantId, runId) => sql.readSteps(pool, tenantId, runId),
    readOutline: (tenantId, runId) => sql.readOutline(pool, tenantId, runId),
    readSignals: (tenantId, runId) => sql.readSignals(pool, tenantId, runId),
    commitRun: (commit) => lane.commitRun(commit),
    reserveQuota: (tenantId, wanted) => sql.reserveQuota(pool, tenantId, wanted),
    getApproval: (tenantId, approvalId) => sql.getApproval(pool, tenantId, approvalId),
    decideApproval: (vote, record) => lane.withAudit(record.audit, (db, audit) => sql.decideApproval(db, vote, { event: record.event, audit })),
    escalateApproval: (mark, record) => lane.withAudit(record.audit, (db, audit) => sql.escalateApproval(db, mark, { event: record.event, audit })),
    listDueEscalations: (nodeId) => sql.listDueEscalations(pool, nodeId),
    requestCancel: (request) => sql.requestCancel(pool, request),
    listCancelledRuns: (nodeId) => sql.listCancelledRuns(pool, nodeId),
    registerNode: (node) => sql.registerNode(pool, node),
    beatNode: (nodeId) => sql.beatNode(pool, nodeId),
    stopNode: (nodeId) => sql.stopNode(pool, nodeId),
  };
}

/** As a node looks: first for what nobody drives, then for what is due. */
async function claimAll(store: RunStore, claim: { readonly nodeId: string; readonly limit: number; readonly inHand: readonly string[] }): Promise<readonly ClaimedRun[]> {
  const orphans = await store.claimOrphans({ ...claim, deadAfterMs: 60_000 });
  if (orphans.length >= claim.limit) return orphans;
  return [...orphans, ...(await store.claimDue({ nodeId: claim.nodeId, limit: claim.limit - orphans.length })).runs];
}

async function createNode(deps: DriveDeps, pool: Pool): Promise<TestNode> {
  const id = randomIds.newId();
  await deps.store.registerNode({ id, host: 'test', pid: process.pid, version: '1', roles: ['orchestrator'] });
  const claim: TestNode['claim'] = (inHand = [], limit = 50) => claimAll(deps.store, { nodeId: id, limit, inHand });
  const drive: TestNode['drive'] = (claimed, signals = {}) => {
    let interrupt = signals.interrupt ?? new AbortController();
    return driveRun(claimed, deps, {
      stop: signals.stop ?? new AbortController().signal,
      rest: signals.rest ?? new AbortController().signal,
      interrupt: () => interrupt.signal,
      renewInterrupt: () => {
        interrupt = new AbortController();
      },
    });
  };
  return {
    id,
    deps,
    claim,
    drive,
    work: async () => {
      for (let claimed = await claim(); claimed.length > 0; claimed = await claim()) await Promise.all(claimed.map((run) => drive(run)));
    },
    die: async () => void (await pool.query(`UPDATE nodes SET heartbeat_at = now() - interval '1 hour' WHERE id = $1`, [id])),
  };
}

/** What a script answers to one think; what is left out is empty. */
export type Scripted = Partial<Proposal> | ((request: ThinkRequest) => Partial<Proposal>);

/** The n-th think of a run gets the n-th proposal, whichever node asks: the journal says which one it is. */
export function script(...proposals: readonly Scripted[]): Think {
  return (request) => {
    const n = request.journal.filter((step) => step.kind === 'think').length;
    const chosen = proposals[Math.min(n, proposals.length - 1)] ?? { output: 'done' };
    const proposal = typeof chosen === 'function' ? chosen(request) : chosen;
    return { thought: `think ${n + 1}`, calls: [], output: null, ...proposal };
  };
}

export const call = (tool: string, args: JsonValue = {}, id = `${tool}-1`): Proposal['calls'][number] => ({ id, tool, args });

export const calls = (...list: Proposal['calls']): Partial<Proposal> => ({ calls: list });

export const answer = (output: JsonValue): Partial<Proposal> => ({ output });

