import { hostname } from 'node:os';
import path from 'node:path';
import { readFile } from 'node:fs/promises';
import type { Logger } from 'pino';
import type { AuditFact, Notice } from '@openeaap/kernel';
import { PlatformError, STEP_CREDENTIALS, randomIds, systemClock } from '@openeaap/kernel';
import type { SignedHead } from '@openeaap/audit';
import { chainRows, createHeadSigner, createToAuditRow, genesisHash, signHead } from '@openeaap/audit';
import { createReadKnowledge, createRetrieve, ingestFolder } from '@openeaap/dikf';
import { startFeedbackCollector } from '@openeaap/mtfs';
import type { OpenAiPort } from '@openeaap/http';
import type { Gateway } from '@openeaap/msig';
import type { DriveDeps, OrchestratorNode, RunStore } from '@openeaap/orchestrator';
import { acceptRun, startNode, startScheduler } from '@openeaap/orchestrator';
import type { Registry } from '@openeaap/registry';
import {
  appendAudit,
  collectPair,
  createCommitLane,
  createKnowledgeStore,
  createNoticeBoard,
  ensureAuditPartitions,
  forgetExpiredCounters,
  listUnsealedTails,
  listWaitingFeedback,
  noteClock,
  ping,
  readEvents,
  readPolicy,
  readPositions,
  saveAuditHead,
  savePolicy,
  stopAllNodes,
  stopNode,
} from '@openeaap/store';
import { TENANT, putUsers } from './access.ts';
import type { ServerConfig } from './config.ts';
import { measureClock } from './diagnosis/measure-clock.ts';
import { parseDirectory } from './directory.ts';
import { parseLimits } from './limits.ts';
import { createEventHub } from './event-hub.ts';
import type { EventHub } from './event-hub.ts';
import { createMetrics } from './metrics.ts';
import type { Metrics } from './metrics.ts';
import { createModelDoor } from './model-door.ts';
import { createModelSessions } from './model-sessions.ts';
import type { ModelSessions } from './model-sessions.ts';
import type { Database } from './open-database.ts';
import { PROBE_TIMEOUT_MS } from './open-database.ts';
import { openGateway } from './open-gateway.ts';
import { openRegistry } from './open-registry.ts';
import { createPolicyKeeper } from './policy-keeper.ts';
import type { PolicyKeeper } from './policy-keeper.ts';
import { announceDue } from './platform/context.ts';
import type { PlatformContext } from './platform/context.ts';
import { createReadiness } from './readiness.ts';
import { readYaml } from './read-yaml.ts';
import { createRunStore } from './run-store.ts';
import { createScheduleStore } from './schedule-store.ts';
import { ensureAuditKey, ensureMaskingKey, keepHead, readHeads } from './state-folder.ts';
import type { Tracing } from './telemetry.ts';
import { parseTriggers } from './triggers.ts';

export interface Wired {
  readonly context: PlatformContext;
  readonly gateway: Gateway;
  /** Models for whoever holds the credential of a step, or a key. */
  readonly modelDoor: OpenAiPort;
  /** Where hosted agents reach the gateway of this node; known once it listens. */
  readonly offerGateway: (url: string) => void;
  /** Takes on no more runs and lets those in hand come to a rest; they still think. */
  readonly rest: (drainMs: number) => Promise<void>;
  /** After `rest`, when nobody asks a model any more. */
  readonly close: () => Promise<void>;
}

export interface WireOptions {
  readonly config: ServerConfig;
  readonly database: Database;
  readonly log: Logger;
  readonly tracing: Tracing;
  readonly version: string;
  /** Addresses of the products behind the tools, after the demo has put its simulators in. */
  readonly products: ServerConfig['products'];
  readonly secret: (name: string) => string | undefined;
  /** Folders of Markdown to load, each under a name of its own. */
  readonly knowledge: readonly { readonly dir: string; readonly prefix: string }[];
}

const HOUSEKEEPING_MS = 3_600_000;
/** For the last commits of the runs that were let go of. */
const LANE_GRACE_MS = 3_000;
/** Longer than a node may be silent and still own runs. What it left unsigned is signed well within the minute that verify waits for. */
const DEAD_WRITER_MS = 15_000;
const SEAL_MS = 20_000;
/** For plugins to end by themselves; no run of this node needs them any more. */
const PLUGIN_GRACE_MS = 2_000;

/** Builds the parts in the order in which they need each other. */
export async function wire(options: WireOptions): Promise<Wired> {
  const { config, database, log, tracing } = options;
  const { pool } = database;
  const clock = systemClock;
  const ids = randomIds;
  const nodeId = ids.newId();
  await ensureAuditPartitions(pool);
  const auditKey = await loadAuditKey(config);
  const keepSigned = async (head: SignedHead): Promise<void> => {
    await saveAuditHead(pool, head);
    await keepHead(config.dataDir, head);
  };
  await sealDeadChains(database, database.kind === 'embedded' ? 0 : DEAD_WRITER_MS, auditKey, keepSigned);
  if (database.kind === 'embedded') await stopAllNodes(pool);
  await putUsers(pool, parseDirectory(await readYaml(path.join(config.configDir, 'directory.yaml')), 'directory.yaml', TENANT));
  const limits = parseLimits(await readYaml(path.join(config.configDir, 'limits.yaml')), 'limits.yaml');
  const triggers = parseTriggers(await readYaml(path.join(config.configDir, 'triggers.yaml')), 'triggers.yaml');

  const secret = config.maskingKey ?? (await ensureMaskingKey(config.dataDir));
  const policy = await createPolicyKeeper({
    dir: config.policyDir,
    hashKey: secret,
    save: (version, files) => savePolicy(pool, TENANT, version, files),
    read: (tenantId, version) => readPolicy(pool, tenantId, version),
    now: clock.now,
  });
  const lane = createCommitLane({
    pool,
    chainId: nodeId,
    toAuditRow: createToAuditRow({ masker: policy.auditMasker, clock, ids }),
    chain: chainRows,
    genesis: genesisHash,
    clock,
    onRetry: (error) => log.warn({ code: error.code }, 'the database is away; commits wait'),
  });
  const signer = createHeadSigner({ key: auditKey, head: lane.head, keep: keepSigned, clock, onError: (err) => log.warn({ err }, 'an audit head could not be signed') });

  let node: OrchestratorNode | null = null;
  const hear = (notice: Notice): void => {
    hub.hear(notice);
    if (notice.kind === 'due') node?.wake();
    if (notice.kind === 'cancel') node?.interrupt(notice.runId);
    if (notice.kind === 'plugins') plugins.wake();
  };
  const metrics: Metrics = createMetrics({ runsInHand: () => node?.runsInHand() ?? 0, streamReaders: () => hub.readers(), gateway: () => opened.gateway });
  const appendFacts = async (facts: readonly AuditFact[]): Promise<void> => {
    await lane.withAudit(facts, (db, rows) => appendAudit(db, rows));
  };
  const opened = await openGateway({ config, pool, policy, metrics, log, secret, appendAudit: appendFacts });
  const { gateway, keys } = opened;
  const sessions = createModelSessions(gateway);
  const knowledgeStore = createKnowledgeStore(pool);
  const retrieve = createRetrieve(knowledgeStore);
  const { registry, plugins } = await openRegistry(options, { sessions, retrieve });
  for (const folder of options.knowledge) await loadKnowledge(folder, knowledgeStore, log);

  const board = createNoticeBoard({
    pool,
    nodeId,
    clock,
    onNotice: (notice) => hear(notice),
    // Whatever was missed while nobody listened: look once.
    onGap: () => node?.wake(),
    onError: (error) => log.warn({ code: error.code }, 'nodes cannot tell each other news; they look once a second'),
  });
  const hub: EventHub = createEventHub({
    readEvents: (from) => readEvents(pool, from),
    readPositions: (runs) => readPositions(pool, runs),
    post: board.post,
    now: Date.now,
    onError: (err) => log.warn({ err }, 'the runs that are read could not be looked at; it will be tried again'),
  });
  const store: RunStore = {
    ...createRunStore(pool, lane, limits),
    // Whoever signs off has signed its last row: what comes after it is forged.
    stopNode: async (id) => {
      await signer.signNow();
      await stopNode(pool, id);
      // What it leaves is taken over now, not at the next poll.
      board.post({ kind: 'due' });
    },
  };
  let gatewayUrl = config.gatewayUrl;
  const deps = createDriveDeps({ store, policy, registry, gateway, sessions, hub, metrics, tracing, log, gatewayUrl: () => gatewayUrl });
  node = await startNode(deps, { nodeId, host: hostname(), pid: process.pid, version: options.version, roles: [...config.roles], drives: config.roles.has('orchestrator') });
  const driving = node;
  const scheduler = startScheduler({
    store: createScheduleStore(pool, lane),
    acceptRun: (request) => acceptRun(request, deps),
    wakeNode: () => announceDue({ node: driving, post: board.post }),
    observe: deps.observe,
    clock,
    ids,
    log: deps.log,
  });
  const collector = startFeedbackCollector({
    store: { listWaiting: (limit) => listWaitingFeedback(pool, limit), collect: (pair) => collectPair(pool, pair) },
    ids,
    clock,
    onError: (err) => log.warn({ err }, 'feedback could not be collected'),
  });
  const housekeeping = startHousekeeping(database, log, async () => {
    await sealDeadChains(database, DEAD_WRITER_MS, auditKey, keepSigned);
    await noteClock(pool, nodeId, (await measureClock(pool, clock)).aheadMs);
  });
  const context: PlatformContext = {
    pool,
    dataDir: config.dataDir,
    isEmbedded: database.kind === 'embedded',
    lane,
    deps,
    node,
    post: board.post,
    scheduler,
    policy,
    registry,
    plugins,
    gateway,
    hub,
    retrieve,
    knowledge: createReadKnowledge(knowledgeStore),
    collector,
    signer,
    auditKey,
    keptHeads: () => readHeads(config.dataDir),
    metrics,
    readiness: createReadiness({ ping: () => ping(database.probe), alive: node.alive, died: database.died, clock, timeoutMs: PROBE_TIMEOUT_MS }),
    triggers,
    clock,
    ids,
    appendAudit: appendFacts,
    modelKeys: keys,
  };
  return {
    context,
    gateway,
    modelDoor: createModelDoor({ sessions, keys, gateway, newTraceId: ids.newTraceId }),
    offerGateway: (url) => {
      gatewayUrl = url;
    },
    rest: async (drainMs) => {
      housekeeping.stop();
      await scheduler.stop();
      // A commit that waits for a database that is away would hold the stop for ever; its run goes on elsewhere, or at the next start.
      const late = setTimeout(() => void lane.close(), drainMs + LANE_GRACE_MS);
      await driving.stop(drainMs);
      clearTimeout(late);
    },
    close: async () => {
      await plugins.stop();
      await registry.close(PLUGIN_GRACE_MS);
      await board.close();
      hub.close();
      await collector.close();
      // Before the lane: what leaves the house is written down until the last request has ended.
      await opened.close();
      await lane.close();
      await signer.close();
    },
  };
}

/** Signs what writers left unsigned that died: an embedded store's owner knows that all others are dead. */
async function sealDeadChains(database: Database, deadAfterMs: number, key: PlatformContext['auditKey'], keep: (head: SignedHead) => Promise<void>): Promise<void> {
  const tails = await listUnsealedTails(database.pool, deadAfterMs);
  for (const tail of tails) await keep(signHead(tail, systemClock.now(), key));
}

async function loadAuditKey(config: ServerConfig): Promise<PlatformContext['auditKey']> {
  if (config.auditKeyFile === undefined) return ensureAuditKey(config.dataDir);
  const { createPrivateKey } = await import('node:crypto');
  try {
    return createPrivateKey(await readFile(config.auditKeyFile, 'utf8'));
  } catch (thrown) {
    throw new PlatformError('invalid_input', 'OPENEAAP_AUDIT_KEY_FILE is not a readable PKCS#8 PEM file with an Ed25519 key. Make one with: openssl genpkey -algorithm ed25519', {
      cause: thrown,
      details: { field: 'OPENEAAP_AUDIT_KEY_FILE' },
    });
  }
}

async function loadKnowledge(folder: WireOptions['knowledge'][number], store: Parameters<typeof ingestFolder>[1]['store'], log: Logger): Promise<void> {
  const result = await ingestFolder({ tenantId: TENANT, dir: folder.dir, prefix: folder.prefix, retireMissing: true }, { store, newId: randomIds.newId });
  for (const error of result.errors) log.warn({ code: error.code, detail: error.message }, 'a document was not loaded');
  const changed = result.documents.filter((document) => document.changed).length;
  log.info({ folder: folder.prefix, documents: result.documents.length, changed, retired: result.retiredDocuments }, 'knowledge loaded');
}

interface DriveParts {
  readonly store: DriveDeps['store'];
  readonly policy: PolicyKeeper;
  readonly registry: Registry;
  readonly gateway: Gateway;
  readonly sessions: ModelSessions;
  readonly hub: EventHub;
  readonly metrics: Metrics;
  readonly tracing: Tracing;
  readonly log: Logger;
  readonly gatewayUrl: () => string | null;
}

function createDriveDeps(parts: DriveParts): DriveDeps {
  const { registry, gateway, sessions, hub, policy } = parts;
  return {
    store: parts.store,
    policy: policy.port,
    tools: { find: registry.findTool, validate: registry.validate, call: registry.call },
    runtimes: { find: registry.findRuntime },
    meter: {
      take: (stepId) => {
        const seen = gateway.meter.take(stepId);
        return seen.calls === 0 ? null : seen;
      },
      credentials: (step) => ({ ...sessions.credentials(step), ...(parts.gatewayUrl() === null ? {} : { [STEP_CREDENTIALS.gatewayUrl]: parts.gatewayUrl() ?? '' }) }),
      revoke: sessions.revoke,
    },
    text: { mask: policy.mask, looksLikeInjection: policy.looksLikeInjection },
    watch: { committed: (runId) => hub.committed(runId), delta: (delta) => hub.delta(delta) },
    observe: parts.metrics.observe,
    endRootSpan: (root) => parts.tracing.endRootSpan({ ...root, userId: policy.auditMasker().maskText(root.userId) }),
    clock: systemClock,
    ids: randomIds,
    log: {
      info: (fields, message) => parts.log.info(fields, message),
      warn: (fields, message) => parts.log.warn(fields, message),
      error: (fields, message) => parts.log.error(fields, message),
    },
  };
}

/** Makes the audit's next partitions, forgets counters that are over, signs what dead writers left, and compares the clocks. */
function startHousekeeping(database: Database, log: Logger, often: () => Promise<void>): { readonly stop: () => void } {
  const look = (): void => void often().catch((err: unknown) => log.warn({ err }, 'the chains of dead nodes could not be signed, or the clock not be compared; it will be tried again'));
  look();
  const sealing = setInterval(look, SEAL_MS);
  sealing.unref();
  const timer = setInterval(() => {
    Promise.all([ensureAuditPartitions(database.pool), forgetExpiredCounters(database.pool)]).catch((err: unknown) => log.warn({ err }, 'housekeeping failed; it will be tried again'));
  }, HOUSEKEEPING_MS);
  timer.unref();
  return {
    stop: () => {
      clearInterval(timer);
      clearInterval(sealing);
    },
  };
}
