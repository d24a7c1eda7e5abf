import { at } from '../e2e/harness/json.ts';
import type { Platform } from '../e2e/harness/start-platform.ts';
import { waitUntil } from '../e2e/harness/wait-until.ts';
import { createCleanup } from '../e2e/harness/cleanup.ts';
import { query } from './check-database.ts';
import type { DurablePostgres, Outage, StopMode } from './durable-postgres.ts';
import { startDurablePostgres } from './durable-postgres.ts';
import { AGENT, AGENT_CONFIGURATION, REJECTED, createInstallation } from './installation.ts';
import type { Verdict } from './judge-chaos.ts';
import { judgeChaos } from './judge-chaos.ts';
import type { Load } from './load.ts';
import { createLoad } from './load.ts';
import type { Death, NodeFleet } from './node-fleet.ts';
import { startNodeFleet } from './node-fleet.ts';
import type { PatientClient } from './patient-client.ts';
import { createPatientClient } from './patient-client.ts';
import { startScriptedModel } from './scripted-model.ts';
import type { PersonCounts, ScriptedPerson } from './scripted-person.ts';
import { createScriptedPerson } from './scripted-person.ts';
import type { SeededRandom } from './seeded-random.ts';
import { createSeededRandom } from './seeded-random.ts';
import type { SideEffectSink } from './side-effect-sink.ts';
import { startSideEffectSink } from './side-effect-sink.ts';

export interface ChaosOptions {
  readonly seconds: number;
  /** Sent evenly over the time. */
  readonly runs: number;
  readonly nodes: number;
  readonly seed: number;
  /** Folder with `postgres`; undefined: the embedded programs. */
  readonly binDir?: string | undefined;
  /** Gets a line each few seconds. */
  readonly onProgress?: (line: string) => void;
  /** Ends it before its time, with an error, and takes everything down. */
  readonly signal?: AbortSignal;
}

export interface ChaosResult {
  readonly options: Omit<ChaosOptions, 'onProgress' | 'signal'>;
  readonly postgres: string;
  readonly seconds: { readonly storm: number; readonly calm: number };
  readonly kills: number;
  readonly databaseRestarts: { readonly fast: number; readonly immediate: number };
  /** What nodes said that could not start. */
  readonly failedStarts: readonly string[];
  readonly clientRetries: number;
  readonly person: PersonCounts;
  readonly audit: { readonly ok: boolean; readonly chains: number; readonly rows: number };
  readonly verdict: Verdict;
}

/** Kills, restarts and outages follow from the seed: when, which and for how long. */
const KILL_EVERY_MS = { low: 3_000, high: 7_000 } as const;
const KILLED_FOR_MS = 2_000;
/** Of the kills that would leave no node, and of the database restarts while there is none. */
const WORST_SHARE = 0.25;
const DATABASE_EVERY_MS = { low: 5_000, high: 10_000 } as const;
const DATABASE_AWAY_MS = 2_000;
const MODEL_DELAY_MS = { low: 30, high: 700 } as const;
const PRODUCT_DELAY_MS = { low: 10, high: 400 } as const;
const PERSON_LOOK_MS = 300;
const FOLLOWED_SHARE = 0.3;
const PROGRESS_MS = 5_000;
/** After the storm all runs must end within it: a dead node's silence, a few thinks, a person. */
const CALM_LIMIT_MS = 300_000;

/**
 * A steady load on N nodes over one durable PostgreSQL while nodes are killed and the database goes
 * away; then calm, until every run has ended; then the judgement.
 */
export async function runChaos(options: ChaosOptions): Promise<ChaosResult> {
  const cleanup = createCleanup();
  try {
    const world = await openWorld(options, cleanup);
    options.signal?.throwIfAborted();
    return await Promise.race([storm(world, options), rejectWhen(options.signal)]);
  } finally {
    await cleanup.run();
  }
}

/** Never resolves. */
function rejectWhen(signal: AbortSignal | undefined): Promise<never> {
  return new Promise((_resolve, reject) => {
    signal?.addEventListener('abort', () => reject(new Error('The chaos was interrupted; nothing was judged.')));
  });
}

interface World {
  readonly postgres: DurablePostgres;
  readonly fleet: NodeFleet;
  readonly sink: SideEffectSink;
  readonly client: PatientClient;
  readonly person: ScriptedPerson;
  readonly load: Load;
  readonly random: SeededRandom;
}

const PREFIX = 'chaos-';

async function openWorld(options: ChaosOptions, cleanup: ReturnType<typeof createCleanup>): Promise<World> {
  const random = createSeededRandom(options.seed);
  const [modelDelays, productDelays] = [random.fork('model'), random.fork('product')];
  const model = await startScriptedModel(() => modelDelays.between(MODEL_DELAY_MS.low, MODEL_DELAY_MS.high));
  cleanup.add(model.close);
  const sink = await startSideEffectSink(() => productDelays.between(PRODUCT_DELAY_MS.low, PRODUCT_DELAY_MS.high));
  cleanup.add(sink.close);
  const postgres = await startDurablePostgres(options.binDir);
  cleanup.add(postgres.close);
  const installation = await createInstallation();
  cleanup.add(installation.remove);
  const fleet = await startNodeFleet(options.nodes, { args: installation.args, env: { ...installation.env, ...model.env, ...sink.env, DATABASE_URL: postgres.url } });
  cleanup.add(fleet.close);
  const choice = random.fork('clients');
  const findNode = (): Platform | null => {
    const up = fleet.up();
    return up[choice.between(0, up.length - 1)] ?? null;
  };
  await findNode()?.api.publishAgent(AGENT, AGENT_CONFIGURATION);
  const client = createPatientClient(() => findNode()?.api ?? null);
  const person = createScriptedPerson(client, sink, (ip) => ip.startsWith(REJECTED));
  const load = createLoad({ client, random: random.fork('load'), findNode, prefix: PREFIX, followedShare: FOLLOWED_SHARE });
  return { postgres, fleet, sink, client, person, load, random };
}

async function storm(world: World, options: ChaosOptions): Promise<ChaosResult> {
  const { postgres, fleet, sink, person, load } = world;
  const begun = Date.now();
  const calm = new AbortController();
  options.signal?.addEventListener('abort', () => calm.abort());
  const over = new AbortController();
  const deaths: Death[] = [];
  const outages: Outage[] = [];
  const attending = attend(person, over.signal);
  const progress = setInterval(() => options.onProgress?.(describe(world, begun, deaths, outages)), PROGRESS_MS);
  const troubles = Promise.all([killNodes(world, deaths, calm.signal), restartDatabase(world, outages, calm.signal)]);
  // What fails at once must fail the chaos, and not wait for the end of the storm.
  troubles.catch(() => calm.abort());
  try {
    await sendEvenly(load, options, calm.signal);
    const stormEnd = Date.now();
    calm.abort();
    await troubles;
    await fleet.allUp();
    await load.settled();
    await waitUntil('every run has ended', () => allEnded(postgres.url), CALM_LIMIT_MS).catch(() => undefined);
    const calmEnd = Date.now();
    over.abort();
    const decisions = await attending;
    const audit = (await fleet.up()[0]?.api.post('/audit/verify'))?.body;
    const verdict = await judgeChaos({ url: postgres.url, prefix: PREFIX, runs: load.runs, sink, deaths, outages, uptimes: fleet.uptimes() });
    const auditProblems = at(audit, 'ok') === true ? [] : [`the audit does not verify: ${JSON.stringify(audit)}`];
    const { onProgress: _onProgress, signal: _signal, ...given } = options;
    return {
      options: given,
      postgres: postgres.version,
      seconds: { storm: (stormEnd - begun) / 1_000, calm: (calmEnd - stormEnd) / 1_000 },
      kills: deaths.length,
      databaseRestarts: { fast: outages.filter(({ mode }) => mode === 'fast').length, immediate: outages.filter(({ mode }) => mode === 'immediate').length },
      failedStarts: fleet.failedStarts(),
      clientRetries: world.client.retries(),
      person: person.counts(),
      audit: { ok: at(audit, 'ok') === true, chains: Number(at(audit, 'chains')), rows: Number(at(audit, 'rows')) },
      verdict: { ...verdict, violations: [...verdict.violations, ...auditProblems, ...fleet.unexpectedExits(), ...load.errors, ...decisions] },
    };
  } finally {
    clearInterval(progress);
    calm.abort();
    over.abort();
    await Promise.allSettled([troubles, attending]);
  }
}

async function sendEvenly(load: Load, { seconds, runs }: ChaosOptions, calm: AbortSignal): Promise<void> {
  const begun = Date.now();
  for (let sent = 0; sent < runs && !calm.aborted; sent += 1) {
    await sleep(begun + (sent * seconds * 1_000) / runs - Date.now(), calm);
    load.send();
  }
  await sleep(begun + seconds * 1_000 - Date.now(), calm);
}

async function killNodes({ fleet, random }: World, deaths: Death[], calm: AbortSignal): Promise<void> {
  const schedule = random.fork('kills');
  for (;;) {
    await sleep(schedule.between(KILL_EVERY_MS.low, KILL_EVERY_MS.high), calm);
    if (calm.aborted) return;
    const [share, downMs, mercy] = [schedule.next(), schedule.between(0, KILLED_FOR_MS), schedule.next()];
    const up = fleet.upSlots();
    // Mostly somebody is left to take over; sometimes nobody is.
    if (up.length === 1 && mercy > WORST_SHARE) continue;
    const slot = up[Math.floor(share * up.length)];
    const death = slot === undefined ? null : await fleet.kill(slot, downMs);
    if (death !== null) deaths.push(death);
  }
}

async function restartDatabase({ postgres, fleet, random }: World, outages: Outage[], calm: AbortSignal): Promise<void> {
  const schedule = random.fork('database');
  for (;;) {
    await sleep(schedule.between(DATABASE_EVERY_MS.low, DATABASE_EVERY_MS.high), calm);
    if (calm.aborted) return;
    const [mode, downMs, mercy] = [schedule.pick<StopMode>(['fast', 'immediate']), schedule.between(0, DATABASE_AWAY_MS), schedule.next()] as const;
    // A slow machine would else spend the storm on nodes that start, find no database, and start again.
    if (fleet.up().length === 0 && mercy > WORST_SHARE) continue;
    outages.push(await postgres.restart(mode, downMs));
  }
}

/** The person on duty, until the end; what went wrong with a decision. */
export async function attend(person: ScriptedPerson, over: AbortSignal): Promise<readonly string[]> {
  const errors: string[] = [];
  while (!over.aborted) {
    await person.decideAll().catch((error: unknown) => errors.push(String(error)));
    await sleep(PERSON_LOOK_MS, over);
  }
  return errors;
}

export async function allEnded(url: string): Promise<boolean> {
  const rows = await query<{ readonly open: string }>(url, `SELECT count(*) AS open FROM runs WHERE status NOT IN ('completed', 'failed', 'cancelled')`);
  await sleep(PERSON_LOOK_MS, new AbortController().signal);
  return Number(rows[0]?.open) === 0;
}

function describe({ load, fleet, sink, person }: World, begun: number, deaths: readonly Death[], outages: readonly Outage[]): string {
  const { approved, rejected, markedDone, retried } = person.counts();
  const accepted = load.runs.filter(({ acknowledged }) => acknowledged.size > 0).length;
  return [
    `${String(Math.round((Date.now() - begun) / 1_000)).padStart(4)} s`,
    `${fleet.up().length} up`,
    `${fleet.failedStarts().length} failed starts`,
    `${deaths.length} kills`,
    `${outages.length} database restarts`,
    `${accepted}/${load.runs.length} accepted`,
    `${sink.totalRequests()} blocks`,
    `${approved + rejected} decided`,
    `${markedDone + retried} uncertain`,
  ].join('  ');
}

/** Resolves early when the signal is given; never rejects. */
function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (ms <= 0 || signal.aborted) return resolve();
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done);
  });
}
