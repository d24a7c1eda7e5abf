import type { Server } from 'node:http';
import type { FastifyInstance } from 'fastify';
import picocolors from 'picocolors';
import type { Logger } from 'pino';
import { PlatformError, randomIds, systemClock } from '@openeaap/kernel';
import type { Simulators } from '@openeaap/demo';
import { createPlatformClient, demoFiles, leaveOneWaiting, runFlagship, seedDemo, startSimulators } from '@openeaap/demo';
import type { OpenAiDoor, Scope } from '@openeaap/http';
import { createHttpApp, createOpenAiDoor } from '@openeaap/http';
import { authenticate, grantKey, newApiKey } from './access.ts';
import type { ServerConfig } from './config.ts';
import type { Database } from './open-database.ts';
import { openDatabase } from './open-database.ts';
import { createPlatform } from './platform/create-platform.ts';
import { ensureStateFolder, readConnection, writeConnection } from './state-folder.ts';
import type { Tracing } from './telemetry.ts';
import { startTracing } from './telemetry.ts';
import type { Wired } from './wire.ts';
import { wire } from './wire.ts';

export interface Served {
  readonly url: string;
  readonly apiKey: string;
  /** The key was made just now; it is shown this once. */
  readonly keyIsNew: boolean;
  readonly models: readonly { readonly name: string; readonly labels: Readonly<Record<string, string>> }[];
  readonly store: string;
  readonly simulators: Simulators | null;
  /** Resolves when the platform cannot go on. */
  readonly died: Promise<PlatformError>;
  readonly grant: (userId: string, scopes: readonly Scope[]) => Promise<string>;
  readonly close: () => Promise<void>;
}

/** For requests in flight when the program is asked to stop. */
const HTTP_DRAIN_MS = 5_000;
/** For calls of models when the runs have used the time up. */
const DOOR_DRAIN_MIN_MS = 1_000;
const PORTS_TO_TRY = 20;

/** Starts the whole platform in this process; `close` stops it in the opposite order. */
export async function serve(config: ServerConfig, log: Logger, version: string): Promise<Served> {
  await ensureStateFolder(config.dataDir);
  const database = await openDatabase({ databaseUrl: config.databaseUrl, dataDir: config.dataDir, onError: (err) => log.warn({ err }, 'a database connection was lost'), log: (line) => log.info(line) });
  const opened: Opened = { database, tracing: startTracing({ endpoint: config.otlpEndpoint, version }), drainMs: config.drainMs, simulators: null, wired: null, app: null, door: null };
  try {
    return await open(opened, config, log, version);
  } catch (thrown) {
    await closeAll(opened, log, 0);
    throw thrown;
  }
}

interface Opened {
  readonly database: Database;
  readonly tracing: Tracing;
  readonly drainMs: number;
  simulators: Simulators | null;
  wired: Wired | null;
  app: FastifyInstance | null;
  /** For hosted agents; closed when no run needs it any more. */
  door: OpenAiDoor | null;
}

async function open(opened: Opened, config: ServerConfig, log: Logger, version: string): Promise<Served> {
  const { database, tracing } = opened;
  if (config.demo) opened.simulators = await startSimulators({ host: '127.0.0.1' });
  const wired = await wire({
    config,
    database,
    log,
    tracing,
    version,
    products: config.demo ? withSimulators(config.products, opened.simulators) : config.products,
    secret: (name) => config.environment[name] ?? (config.demo && name === 'THREAT_INTEL_KEY' ? 'simulated' : undefined),
    knowledge: config.demo ? [{ dir: demoFiles.sopsDir, prefix: 'sops' }] : [],
  });
  opened.wired = wired;
  const door = createOpenAiDoor(wired.modelDoor, { newId: randomIds.newId, now: Date.now, logger: log });
  opened.door = door;
  const doorUrl = await listen(door, { host: config.host, port: config.gatewayPort, portWasAsked: true });
  log.info(`Model gateway listening at ${doorUrl}/v1`);
  wired.offerGateway(config.gatewayUrl ?? `${doorUrl}/v1`);
  const app = createHttpApp(createPlatform(wired.context), { version, logger: log, newTraceId: randomIds.newTraceId, servesApi: config.roles.has('api') });
  opened.app = app;
  const url = await listen({ server: app.server, listen: (at) => app.listen(at) }, config);
  const { apiKey, keyIsNew } = await ensureAdminKey(database, config);
  await writeConnection(config.dataDir, { url, api_key: apiKey });
  const grant = async (userId: string, scopes: readonly Scope[]): Promise<string> => {
    const key = newApiKey();
    await grantKey(database.pool, { id: randomIds.newId(), name: `demo ${userId}`, userId, scopes }, key);
    return key;
  };
  if (config.demo) await seedDemo(createPlatformClient(url, apiKey));
  return {
    url,
    apiKey,
    keyIsNew,
    models: wired.gateway.models(),
    store: database.kind === 'embedded' ? `embedded PostgreSQL ${database.version}` : 'PostgreSQL (DATABASE_URL)',
    simulators: opened.simulators,
    died: database.died,
    grant,
    close: () => closeAll(opened, log, config.drainDelayMs),
  };
}

async function closeAll(opened: Opened, log: Logger, drainDelayMs: number): Promise<void> {
  const drainUntil = performance.now() + drainDelayMs + opened.drainMs;
  const steps: readonly (readonly [string, () => Promise<unknown> | undefined])[] = [
    ['readiness', () => announceStop(opened.wired, drainDelayMs)],
    ['http', () => closeHttp(opened.app)],
    ['runs', () => opened.wired?.rest(opened.drainMs)],
    // Runs think until they rest, and agents elsewhere through the door; other clients' calls get what is left of the time.
    ['gateway', () => opened.door?.close(Math.max(DOOR_DRAIN_MIN_MS, drainUntil - performance.now()))],
    ['platform', () => opened.wired?.close()],
    ['simulators', () => opened.simulators?.close()],
    ['tracing', () => opened.tracing.close()],
    ['database', () => opened.database.close()],
  ];
  for (const [part, close] of steps) {
    try {
      await close();
    } catch (err) {
      log.warn({ err, part }, 'did not stop cleanly');
    }
  }
}

/** Goes on serving while load balancers learn by the probe that this node is no longer ready. */
async function announceStop(wired: Wired | null, delayMs: number): Promise<void> {
  if (wired === null) return;
  wired.context.readiness.drain();
  await systemClock.sleep(delayMs);
}

/** Requests in flight get their time; what still holds a connection after it is cut. */
async function closeHttp(app: FastifyInstance | null): Promise<void> {
  if (app === null) return;
  const timer = setTimeout(() => app.server.closeAllConnections(), HTTP_DRAIN_MS);
  await app.close().finally(() => clearTimeout(timer));
}

/** Real products by configuration alone; what is not configured is simulated in the demo. */
function withSimulators(products: ServerConfig['products'], simulators: Simulators | null): ServerConfig['products'] {
  return {
    ...products,
    threatIntelUrl: products.threatIntelUrl ?? simulators?.threatIntelUrl,
    cmdbUrl: products.cmdbUrl ?? simulators?.cmdbUrl,
    firewallUrl: products.firewallUrl ?? simulators?.firewallUrl,
  };
}

/** The asked port or an error; without one asked for, the first free one from the default on. */
async function listen({ server, listen: begin }: { readonly server: Server; readonly listen: (at: { readonly host: string; readonly port: number }) => Promise<unknown> }, config: Pick<ServerConfig, 'host' | 'port' | 'portWasAsked'>): Promise<string> {
  const tries = config.portWasAsked ? 1 : PORTS_TO_TRY;
  for (let offset = 0; offset < tries; offset += 1) {
    try {
      await begin({ host: config.host, port: config.port + offset });
      const address = server.address();
      const port = typeof address === 'object' && address !== null ? address.port : config.port;
      const host = config.host === '0.0.0.0' || config.host === '::' ? '127.0.0.1' : config.host;
      return `http://${host.includes(':') ? `[${host}]` : host}:${port}`;
    } catch (thrown) {
      const code = typeof thrown === 'object' && thrown !== null && 'code' in thrown ? thrown.code : undefined;
      if (code !== 'EADDRINUSE') throw new PlatformError('unavailable', `Cannot listen on ${config.host}:${config.port + offset} (${String(code)}).`, { cause: thrown });
    }
  }
  const last = config.port + tries - 1;
  throw new PlatformError('conflict', tries === 1 ? `Port ${config.port} is taken. Choose another with --port, or leave --port out.` : `The ports ${config.port} to ${last} are all taken. Choose one with --port.`);
}

/** The administrator's key: the configured one, the one of the last start, or a new random one. */
async function ensureAdminKey(database: Database, config: ServerConfig): Promise<{ readonly apiKey: string; readonly keyIsNew: boolean }> {
  const known = config.adminKey ?? (await readConnection(config.dataDir))?.api_key;
  if (known !== undefined && (await authenticate(database.pool, known)) !== null) return { apiKey: known, keyIsNew: false };
  const apiKey = config.adminKey ?? newApiKey();
  await grantKey(database.pool, { id: randomIds.newId(), name: 'administrator', userId: 'admin', scopes: ['*'] }, apiKey);
  return { apiKey, keyIsNew: true };
}

/** Runs the flagship job against a served demo and shows it. Returns what was not as expected. */
export async function runJob(served: Served, options: { readonly print: (line: string) => void; readonly colors: boolean; readonly signal: AbortSignal; readonly stay: boolean }): Promise<JobResult> {
  const { simulators } = served;
  if (simulators === null) throw new PlatformError('unsupported', 'The flagship job needs the demo.');
  const job = {
    url: served.url,
    siemKey: await served.grant('svc-siem', ['triggers:write']),
    operator: createPlatformClient(served.url, served.apiKey),
    approver: createPlatformClient(served.url, await served.grant('admin', ['approvals:read', 'approvals:decide'])),
    simulators,
    colors: picocolors.createColors(options.colors),
    print: options.print,
    clock: () => performance.now(),
    occurrence: systemClock.now().toISOString().replace(/[-:]/g, ''),
    signal: options.signal,
  };
  const result = await runFlagship(job);
  const waiting = options.stay ? await leaveOneWaiting(job) : null;
  return { ...result, waiting };
}

export interface JobResult {
  readonly runId: string;
  readonly surprises: readonly string[];
  readonly seconds: number;
  /** The second run, and whether it waits for a person. */
  readonly waiting: { readonly runId: string; readonly isHeld: boolean } | null;
}
