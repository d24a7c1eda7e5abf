import { randomBytes } from 'node:crypto';
import path from 'node:path';
import { openEmbeddedServer, toUrl } from '@openeaap/store';
import type { EmbeddedServer } from '@openeaap/store';
import { createDataFolder } from '../e2e/harness/data-folder.ts';
import { at, textAt } from '../e2e/harness/json.ts';
import type { Platform } from '../e2e/harness/start-platform.ts';
import { startPlatform } from '../e2e/harness/start-platform.ts';
import { waitUntil } from '../e2e/harness/wait-until.ts';
import type { Cleanup } from '../e2e/harness/cleanup.ts';
import { createCleanup } from '../e2e/harness/cleanup.ts';
import type { Findings } from './check-database.ts';
import { checkDatabase, query } from './check-database.ts';
import type { Installation } from './installation.ts';
import { AGENT, AGENT_CONFIGURATION, GATED, createInstallation } from './installation.ts';
import type { Answered, Seen } from './killing-proxy.ts';
import { startKillingProxy } from './killing-proxy.ts';
import type { PatientClient } from './patient-client.ts';
import { createPatientClient } from './patient-client.ts';
import type { ScriptedModel } from './scripted-model.ts';
import { DONE, startScriptedModel } from './scripted-model.ts';
import type { PersonCounts } from './scripted-person.ts';
import { createScriptedPerson } from './scripted-person.ts';
import type { SideEffectSink } from './side-effect-sink.ts';
import { startSideEffectSink } from './side-effect-sink.ts';

/**
 * One place at which a server may die: the `index`-th statement of the story that changed rows. The
 * places are found by telling the story once without a kill, so a commit that the product gains is
 * covered by itself.
 */
export interface Boundary {
  readonly index: number;
  readonly name: string;
  /** The name and what it is about; boundaries of one kind are commits of the same sort. */
  readonly kind: string;
}

export interface Kill {
  readonly boundary: Boundary;
  /** before: PostgreSQL never hears of the statement. after: it has done it, and the server never learns. */
  readonly moment: 'before' | 'after';
}

/** What came of one kill. */
export interface CellReport {
  readonly kill: Kill | null;
  /** Everything that is not as promised; empty is what must be. */
  readonly violations: readonly string[];
  readonly boundaries: readonly Boundary[];
  readonly person: PersonCounts;
  /** Requests to block: more than effects means that a repeatable call was repeated. */
  readonly blockRequests: number;
  readonly seconds: number;
}

export interface KillMatrix {
  /** The story without a kill. */
  readonly tell: () => Promise<CellReport>;
  readonly kill: (kill: Kill) => Promise<CellReport>;
  readonly close: () => Promise<void>;
}

/**
 * Written by timers and not by runs, so their place in the story differs from time to time. A kill
 * there is one at no commit of a run; the chaos does those at random. What an idle server writes is
 * found by watching one; these write only when there is something to write about.
 */
const BY_TIMERS: readonly string[] = ['save-audit-head', 'forget-quota-counters', 'forget-limit-counters', 'forget-usage-batches', 'write-model-usage', 'collect-pair'];
/** A server is watched for so many heartbeats while it has nothing to do. */
const IDLE_HEARTBEATS = 3;
const HEARTBEAT = 'beat-node';
/** A node counts as dead 6 s after its last heartbeat, and is then looked for each second. */
const STORY_LIMIT_MS = 180_000;
const PERSON_LOOK_MS = 150;

/** One PostgreSQL for all; what is told at the same time has a database, a proxy, a sink and a server of its own. */
export async function openKillMatrix(binDir: string | undefined): Promise<KillMatrix> {
  const cleanup = createCleanup();
  try {
    const folder = await createDataFolder();
    cleanup.add(folder.remove);
    // The machine does not die here, only the server: what PostgreSQL has answered is there without fsync too.
    const postgres = await openEmbeddedServer({ dataDir: folder.path, binDir, durability: 'none', extraSettings: { max_connections: '200' } });
    cleanup.add(() => postgres.close());
    const installation = await createInstallation();
    cleanup.add(installation.remove);
    const parts: Parts = { postgres, installation };
    await createTemplate(parts);
    const withStage = createStages(parts, cleanup);
    const ignored = await withStage(watchIdle);
    return {
      tell: () => withStage((stage) => runCell(stage, null, ignored)),
      kill: (kill) => withStage((stage) => runCell(stage, kill, ignored)),
      close: cleanup.run,
    };
  } catch (error) {
    await cleanup.run();
    throw error;
  }
}

interface Parts {
  readonly postgres: EmbeddedServer;
  readonly installation: Installation;
}

const TEMPLATE = 'story_template';

/** A database with every migration and the agent, so that a cell begins with the story. */
async function createTemplate({ postgres, installation }: Parts): Promise<void> {
  const url = await createDatabase(postgres, TEMPLATE, 'template0');
  const folder = await createDataFolder();
  try {
    const [model, sink] = await Promise.all([startScriptedModel(), startSideEffectSink()]);
    const server = await startPlatform({ folder, args: installation.args, env: { ...installation.env, ...model.env, ...sink.env, DATABASE_URL: url } });
    try {
      await server.api.publishAgent(AGENT, AGENT_CONFIGURATION);
      await server.stop();
    } finally {
      await server.kill();
      await Promise.all([model.close(), sink.close()]);
    }
  } finally {
    await folder.remove();
  }
}

async function createDatabase(postgres: EmbeddedServer, name: string, template: string): Promise<string> {
  await query(toUrl({ ...postgres.connection, database: 'postgres' }), `CREATE DATABASE ${name} TEMPLATE ${template}`);
  return toUrl({ ...postgres.connection, database: name });
}

interface Stage {
  readonly client: PatientClient;
  readonly model: ScriptedModel;
  readonly sink: SideEffectSink;
  /** The database, past the proxy. */
  readonly url: string;
  /** What the proxy asks from now on. */
  readonly watch: (trigger: Trigger) => void;
  /** Rejects when the server could not be started again; never resolves. */
  readonly brokenRestart: Promise<never>;
  /** So many stories were told here before. */
  tellings: number;
  readonly close: () => Promise<void>;
}

/**
 * A stage serves one story after the other, each with keys and addresses of its own: the server that took over
 * is the next one to be killed. One that broke is not used again.
 */
function createStages(parts: Parts, cleanup: Cleanup): <T>(work: (stage: Stage) => Promise<T>) => Promise<T> {
  const free: Stage[] = [];
  const open = async (): Promise<Stage> => {
    const stage = await openStage(parts);
    cleanup.add(stage.close);
    return stage;
  };
  return async (work) => {
    const stage = free.pop() ?? (await open());
    try {
      const result = await work(stage);
      free.push(stage);
      return result;
    } catch (error) {
      await stage.close();
      throw error;
    }
  };
}

/** A database, a proxy, a sink, a model and a server that is started again whenever a trigger has killed it. */
async function openStage({ postgres, installation }: Parts): Promise<Stage> {
  const cleanup = createCleanup();
  try {
    const name = `story_${randomBytes(6).toString('hex')}`;
    const url = await createDatabase(postgres, name, TEMPLATE);
    const folder = await createDataFolder();
    cleanup.add(folder.remove);
    const [model, sink] = await Promise.all([startScriptedModel(), startSideEffectSink()]);
    cleanup.add(model.close);
    cleanup.add(sink.close);
    const { host, port, user, password } = postgres.connection;
    let trigger = createTrigger(null, new Set());
    let server: Platform | null = null;
    let breakRestart = (_error: unknown): void => undefined;
    const brokenRestart = new Promise<never>((_resolve, reject) => (breakRestart = reject));
    brokenRestart.catch(() => undefined);
    const restart = async (): Promise<void> => {
      const victim = server;
      server = null;
      await victim?.kill();
      proxy.release();
      server = await start();
    };
    const proxy = await startKillingProxy({
      upstream: path.join(host, `.s.PGSQL.${port}`),
      stopBefore: (statement) => trigger.stopBefore(statement),
      stopAfter: (statement) => trigger.stopAfter(statement),
      onStop: () => {
        restart().catch(breakRestart);
      },
    });
    cleanup.add(proxy.close);
    const start = async (): Promise<Platform> => {
      const env = { ...installation.env, ...model.env, ...sink.env, DATABASE_URL: `postgres://${user}:${encodeURIComponent(password)}@127.0.0.1:${proxy.port}/${name}` };
      const started = await startPlatform({ folder, args: installation.args, env });
      cleanup.add(started.kill);
      return started;
    };
    server = await start();
    const watch = (next: Trigger): void => void (trigger = next);
    return { url, model, sink, client: createPatientClient(() => server?.api ?? null), watch, brokenRestart, tellings: 0, close: cleanup.run };
  } catch (error) {
    await cleanup.run();
    throw error;
  }
}

/** Names of the statements that write without a run. */
async function watchIdle(stage: Stage): Promise<ReadonlySet<string>> {
  const trigger = createTrigger(null, new Set());
  stage.watch(trigger);
  const heartbeats = (): number => trigger.boundaries().filter(({ name }) => name === HEARTBEAT).length;
  await waitUntil('an idle server shows that it lives', () => heartbeats() >= IDLE_HEARTBEATS, 60_000);
  return new Set([...BY_TIMERS, ...trigger.boundaries().map(({ name }) => name)]);
}

async function runCell(stage: Stage, kill: Kill | null, ignored: ReadonlySet<string>): Promise<CellReport> {
  const begun = performance.now();
  const cast = castFor((stage.tellings += 1));
  const trigger = createTrigger(kill, ignored);
  stage.watch(trigger);
  const told = await Promise.race([tellStory(stage, cast), stage.brokenRestart]);
  stage.watch(createTrigger(null, ignored));
  const findings = await checkDatabase(stage.url, cast.name);
  const audit = await stage.client.post('/audit/verify', {});
  const missed = kill !== null && !trigger.hasFired() ? [`the kill ${describeKill(kill)} never came: the story passes there no more`] : [];
  return {
    kill,
    boundaries: trigger.boundaries(),
    violations: [...missed, ...judgeStory(told, cast, findings, stage.sink), ...judgeAudit(audit.body)],
    person: told.person,
    blockRequests: stage.sink.requestsFor(cast.blocked).length,
    seconds: (performance.now() - begun) / 1_000,
  };
}

export const describeKill = ({ boundary, moment }: Kill): string => `${moment} #${boundary.index} ${boundary.kind}`;

interface Trigger {
  readonly stopBefore: (statement: Seen) => boolean;
  readonly stopAfter: (statement: Answered) => boolean;
  readonly hasFired: () => boolean;
  readonly boundaries: () => readonly Boundary[];
}

/** Counts the boundaries that were passed, and says when the one that is meant has come. */
function createTrigger(kill: Kill | null, ignored: ReadonlySet<string>): Trigger {
  const passed: Boundary[] = [];
  let hasFired = false;
  const fires = ({ name }: Seen, moment: Kill['moment'], index: number): boolean => {
    if (kill === null || hasFired || kill.moment !== moment || kill.boundary.name !== name || index < kill.boundary.index) return false;
    hasFired = true;
    return true;
  };
  const counts = (statement: Seen): boolean => statement.writes && !ignored.has(statement.name);
  return {
    stopBefore: (statement) => counts(statement) && fires(statement, 'before', passed.length),
    stopAfter: (statement) => {
      if (!counts(statement) || !statement.isEffective) return false;
      passed.push({ index: passed.length, name: statement.name, kind: toKind(statement) });
      return fires(statement, 'after', passed.length - 1);
    },
    hasFired: () => hasFired,
    boundaries: () => passed,
  };
}

const toKind = ({ name, eventTypes }: Seen): string => (eventTypes.length === 0 ? name : `${name} (${eventTypes.join(', ')})`);

interface Told {
  /** Idempotency key, the run that was acknowledged for it, and how it must end. */
  readonly runs: readonly { readonly key: string; readonly runId: string; readonly status: string; readonly view: unknown }[];
  readonly person: PersonCounts;
}

/** Keys and addresses of one telling. */
interface Cast {
  readonly name: string;
  readonly blocked: string;
  readonly blockedOnce: string;
  readonly neverBlocked: string;
}

const castFor = (telling: number): Cast => ({ name: `story-${telling}-`, blocked: `${GATED}${telling}.1`, blockedOnce: `${GATED}${telling}.2`, neverBlocked: `${GATED}${telling}.3` });

/** Everything that a run can do, one run after the other so that the order of commits is the same each time. */
async function tellStory({ client, model, sink }: Stage, { name, blocked, blockedOnce, neverBlocked }: Cast): Promise<Told> {
  const person = createScriptedPerson(client, sink);
  const acts = await runToEnd(client, { key: `${name}acts`, input: `read ${blocked}; add 1; block ${blocked}; once ${blockedOnce}`, status: 'completed' }, async () => void (await person.decideAll()));
  const waits = await runToEnd(client, { key: `${name}cancelled-while-it-waits`, input: `block ${neverBlocked}`, status: 'cancelled' }, async (view) => {
    if (at(view, 'status') === 'paused') await cancel(client, textAt(view, 'run_id'));
  });
  const thinks = await runToEnd(client, { key: `${name}cancelled-while-it-thinks`, input: 'hang', status: 'cancelled' }, async (view) => {
    if (model.hanging() > 0) await cancel(client, textAt(view, 'run_id'));
  });
  return { runs: [acts, waits, thinks], person: person.counts() };
}

interface Part {
  readonly key: string;
  readonly input: string;
  /** How it must end. */
  readonly status: string;
}

async function runToEnd(client: PatientClient, { key, input, status }: Part, attend: (view: unknown) => Promise<void>): Promise<Told['runs'][number]> {
  const accepted = await client.post(`/agents/${AGENT}/runs`, { input, idempotency_key: key });
  const runId = textAt(accepted.body, 'run_id');
  const view = await waitUntil(
    `run ${key} ended`,
    async () => {
      const { body } = await client.get(`/runs/${runId}`);
      if (['completed', 'failed', 'cancelled'].includes(String(at(body, 'status')))) return body;
      await attend(body);
      await new Promise((resolve) => setTimeout(resolve, PERSON_LOOK_MS));
      return null;
    },
    STORY_LIMIT_MS,
  );
  return { key, runId, status, view };
}

/** Asked again until it is written down; a run that has ended meanwhile says so with a 409. */
async function cancel(client: PatientClient, runId: string): Promise<void> {
  const { status, body } = await client.post(`/runs/${runId}/cancel`, { reason: 'not needed any more' });
  if (![200, 202, 409].includes(status)) throw new Error(`a cancellation was answered ${status}: ${JSON.stringify(body)}`);
}

function judgeStory(told: Told, cast: Cast, findings: Findings, sink: SideEffectSink): readonly string[] {
  const stored = new Map(findings.runs.map((run) => [run.key, run]));
  const violations = told.runs.flatMap(({ key, runId, status, view }) => {
    const found = stored.get(key);
    if (found === undefined) return [`the accepted run "${key}" is lost`];
    if (found.id !== runId) return [`the key "${key}" was answered with the run ${runId} and is stored as ${found.id}`];
    return found.status === status ? [] : [`the run "${key}" is ${found.status} instead of ${status}: ${JSON.stringify(view)}`];
  });
  const output = at(told.runs[0]?.view, 'output');
  const effects = [
    [cast.blocked, new Set(sink.requestsFor(cast.blocked)).size, 1, 'idempotency keys'],
    [cast.blockedOnce, sink.requestsFor(cast.blockedOnce).length, 1, 'requests'],
    [cast.neverBlocked, sink.requestsFor(cast.neverBlocked).length, 0, 'requests'],
  ] as const;
  return [
    ...violations,
    ...(findings.runs.length === told.runs.length ? [] : [`${findings.runs.length} runs are stored for ${told.runs.length} keys`]),
    ...(output === DONE ? [] : [`the run answered ${JSON.stringify(output)}`]),
    ...effects.flatMap(([ip, seen, expected, what]) => (seen === expected ? [] : [`the firewall saw ${seen} ${what} for ${ip} instead of ${expected}`])),
    ...findings.notEnded.map((id) => `run ${id} has not ended`),
    ...findings.deadApprovals.map((id) => `the approval ${id} waits for a person, and its run has ended`),
    ...findings.brokenSequences.map((id) => `the events of run ${id} are not numbered without gaps, or do not end once`),
  ];
}

function judgeAudit(report: unknown): readonly string[] {
  return at(report, 'ok') === true ? [] : [`the audit does not verify: ${JSON.stringify(report)}`];
}

/** The kills one after the other on as many servers at once as the machine is given; mostly they wait for a heartbeat to grow old. */
export async function runKills(matrix: KillMatrix, kills: readonly Kill[], options: { readonly atOnce: number; readonly onReport?: (report: CellReport) => void }): Promise<readonly CellReport[]> {
  const queue = [...kills];
  const reports: CellReport[] = [];
  const workers = Array.from({ length: options.atOnce }, async () => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      const kill = next;
      const report = await matrix.kill(kill).catch((error: unknown): CellReport => ({ kill, violations: [`it did not come to its end: ${String(error)}`], boundaries: [], person: NOBODY, blockRequests: 0, seconds: 0 }));
      reports.push(report);
      options.onReport?.(report);
    }
  });
  await Promise.all(workers);
  return reports;
}

const NOBODY: PersonCounts = { approved: 0, rejected: 0, markedDone: 0, retried: 0, late: 0 };

/** Both moments of every boundary. */
export const allKills = (boundaries: readonly Boundary[]): readonly Kill[] =>
  boundaries.flatMap((boundary) => [{ boundary, moment: 'before' } as const, { boundary, moment: 'after' } as const]);

/** Both moments of the last boundary of each kind. */
export function sampleKills(boundaries: readonly Boundary[]): readonly Kill[] {
  return allKills([...new Map(boundaries.map((boundary) => [boundary.kind, boundary])).values()]);
}
