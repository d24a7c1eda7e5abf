import path from 'node:path';
import { parseArgs } from 'node:util';
import { PlatformError } from '@openeaap/kernel';

/** They look at an installation, or save one, and end; without one of them the program serves. */
const COMMANDS = ['doctor', 'backup'] as const;
export type Command = 'serve' | (typeof COMMANDS)[number];

/** Everything that the program can be told, parsed once. */
export interface ServerConfig {
  readonly command: Command;
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  /** A taken port is an error when it was asked for, and the next free one is tried when it was not. */
  readonly portWasAsked: boolean;
  readonly dataDir: string;
  readonly configDir: string;
  readonly policyDir: string;
  /** null: the embedded server. */
  readonly databaseUrl: string | null;
  readonly json: boolean;
  /** Where `backup` puts the copy. */
  readonly backupTo: string | null;
  /** Add the demo's agent, SOPs, users and simulators. */
  readonly demo: boolean;
  /** Run the flagship job and show it. */
  readonly job: 'none' | 'once' | 'stay';
  readonly logLevel: string;
  readonly roles: ReadonlySet<Role>;
  /** How long runs in hand get to reach a rest when the program is asked to stop. */
  readonly drainMs: number;
  readonly otlpEndpoint: string | undefined;
  readonly adminKey: string | undefined;
  readonly maskingKey: string | undefined;
  readonly auditKeyFile: string | undefined;
  /** How long requests are still served after the stop was asked for, while probes are told that the node is not ready. */
  readonly drainDelayMs: number;
  /** Base URL of this node's gateway as plugins reach it, ending in /v1; null: the address that the node listens on. */
  readonly gatewayUrl: string | null;
  /** Where the gateway listens for hosted agents, beside the REST API; 0: any free port. */
  readonly gatewayPort: number;
  /** What starts plugins that are images; undefined: whatever is there. */
  readonly imageLauncher: 'docker' | 'kubernetes' | 'none' | undefined;
  readonly openAi: { readonly baseUrl: string | undefined; readonly apiKey: string | undefined; readonly model: string | undefined };
  /** Addresses of the products behind the tools; undefined: that tool is off (or simulated, in the demo). */
  readonly products: { readonly threatIntelUrl: string | undefined; readonly cmdbUrl: string | undefined; readonly firewallUrl: string | undefined; readonly allowInsecure: boolean };
  /** For secrets of tools and keys of model backends, looked up by name. */
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/**
 * What a node is for. `api`: the REST API and its streams. `orchestrator`: claims and drives runs. `gateway`: reaches the
 * models; runs think through the gateway of their own process, so `orchestrator` needs it. Alone it serves OpenAI clients.
 */
export const ROLES = ['api', 'orchestrator', 'gateway'] as const;
export type Role = (typeof ROLES)[number];

export const DEFAULT_PORT = 7080;
/** More than most model calls take. A pod needs 15 s more than this (docs/operations.md). */
const DEFAULT_DRAIN_SECONDS = 25;

const OPTIONS = {
  host: { type: 'string' },
  port: { type: 'string' },
  'data-dir': { type: 'string' },
  'config-dir': { type: 'string' },
  'policy-dir': { type: 'string' },
  role: { type: 'string' },
  json: { type: 'boolean' },
  demo: { type: 'boolean' },
  job: { type: 'boolean' },
  once: { type: 'boolean' },
  to: { type: 'string' },
  help: { type: 'boolean' },
} as const;

export const USAGE = `openeaap-server [--port N] [--host 127.0.0.1] [--data-dir DIR] [--config-dir DIR] [--policy-dir DIR] [--role ROLES] [--json] [--demo] [--job [--once]]
openeaap-server doctor [--data-dir DIR] [--json]
openeaap-server backup --to DIR [--data-dir DIR] [--json]

  --port N        7080 by default, or the next free one; with --port exactly this one; 0: any free port
  --host ADDRESS  127.0.0.1 by default
  --data-dir DIR  state: embedded database, keys, connection.json (./.openeaap)
  --config-dir DIR  msig.yaml, plugins.yaml, directory.yaml, triggers.yaml, limits.yaml (./configs)
  --policy-dir DIR  the policy, all *.yaml of the folder together (./policies)
  --role ROLES    what this node does: api, orchestrator, gateway, with commas (all of them)
  --json          print one line {"url": ..., "api_key": ...} when ready
  --demo          add the demo's agent, SOPs, users, tools and simulators
  --job           run the flagship job (implies --demo); with --once stop after it

Environment: DATABASE_URL (or DB_HOST, DB_PORT, DB_USER, DB_PASSWORD, DB_NAME), OPENAI_BASE_URL, OPENAI_API_KEY, OPENAI_MODEL,
THREAT_INTEL_URL, THREAT_INTEL_KEY, CMDB_URL, FIREWALL_URL, OTEL_EXPORTER_OTLP_ENDPOINT, LOG_LEVEL, OPENEAAP_DATA_DIR, OPENEAAP_ADMIN_KEY,
OPENEAAP_MASKING_KEY, OPENEAAP_AUDIT_KEY_FILE, OPENEAAP_DRAIN_SECONDS (25: for runs in hand when the program is stopped), OPENEAAP_DRAIN_DELAY_MS, OPENEAAP_IMAGE_LAUNCHER (docker, kubernetes or none; what starts plugins that are images), OPENEAAP_PLUGIN_NAMESPACE, OPENEAAP_INSTALLATION, KUBECONFIG, OPENEAAP_GATEWAY_PORT (0: any; where hosted agents reach their model), OPENEAAP_GATEWAY_URL (how those on other machines do, ending in /v1), OPENEAAP_ALLOW_INSECURE_TOOLS (true: tools may use plain http beyond loopback). Docs: docs/configuration.md`;

/** Errors: invalid_input that names the flag or variable and the cure. */
export function parseConfig(argv: readonly string[], cwd: string, variables: Readonly<Record<string, string | undefined>> = process.env): ServerConfig {
  const { values: flags, positionals } = parseFlags(argv);
  // An empty variable is one that is not set, as in `VARIABLE= command`.
  const environment = Object.fromEntries(Object.entries(variables).filter(([, value]) => value !== ''));
  refuseSwitchedOffSafety(environment);
  const job = flags.job === true ? (flags.once === true ? 'once' : 'stay') : 'none';
  refuseScriptedApproval(job, environment);
  const products = {
    threatIntelUrl: environment['THREAT_INTEL_URL'],
    cmdbUrl: environment['CMDB_URL'],
    firewallUrl: environment['FIREWALL_URL'],
    allowInsecure: environment['OPENEAAP_ALLOW_INSECURE_TOOLS'] === 'true',
  };
  return {
    ...parseCommand(positionals, flags.to, cwd),
    host: flags.host ?? '127.0.0.1',
    port: parsePort(flags.port),
    portWasAsked: flags.port !== undefined,
    dataDir: path.resolve(cwd, flags['data-dir'] ?? environment['OPENEAAP_DATA_DIR'] ?? '.openeaap'),
    configDir: path.resolve(cwd, flags['config-dir'] ?? 'configs'),
    policyDir: path.resolve(cwd, flags['policy-dir'] ?? 'policies'),
    databaseUrl: toDatabaseUrl(environment),
    json: flags.json === true,
    demo: flags.demo === true || job !== 'none',
    job,
    logLevel: parseLogLevel(environment['LOG_LEVEL']),
    roles: parseRoles(flags.role, { demo: flags.demo === true || job !== 'none' }),
    drainMs: parseDrain(environment['OPENEAAP_DRAIN_SECONDS'], job) * 1_000,
    otlpEndpoint: environment['OTEL_EXPORTER_OTLP_ENDPOINT'],
    adminKey: environment['OPENEAAP_ADMIN_KEY'],
    maskingKey: environment['OPENEAAP_MASKING_KEY'],
    auditKeyFile: environment['OPENEAAP_AUDIT_KEY_FILE'],
    drainDelayMs: parseDrainDelay(environment['OPENEAAP_DRAIN_DELAY_MS']),
    gatewayUrl: parseGatewayUrl(environment['OPENEAAP_GATEWAY_URL']),
    gatewayPort: parseGatewayPort(environment['OPENEAAP_GATEWAY_PORT']),
    imageLauncher: parseImageLauncher(environment['OPENEAAP_IMAGE_LAUNCHER']),
    openAi: { baseUrl: environment['OPENAI_BASE_URL'], apiKey: environment['OPENAI_API_KEY'], model: environment['OPENAI_MODEL'] },
    products,
    environment,
  };
}

function parseGatewayUrl(text: string | undefined): string | null {
  if (text === undefined) return null;
  if (!/^https?:\/\/[^/\s]+.*\/v1$/.test(text)) throw new PlatformError('invalid_input', `OPENEAAP_GATEWAY_URL must be a URL that ends in /v1, e.g. http://10.0.0.7:7080/v1, not "${text}".`, { details: { field: 'OPENEAAP_GATEWAY_URL' } });
  return text;
}

function parseGatewayPort(text: string | undefined): number {
  if (text === undefined) return 0;
  if (!/^\d{1,5}$/.test(text) || Number(text) > 65_535) throw new PlatformError('invalid_input', `OPENEAAP_GATEWAY_PORT must be a port from 0 to 65535, not "${text}".`, { details: { field: 'OPENEAAP_GATEWAY_PORT' } });
  return Number(text);
}

function parseImageLauncher(text: string | undefined): ServerConfig['imageLauncher'] {
  if (text === undefined || text === 'docker' || text === 'kubernetes' || text === 'none') return text;
  throw new PlatformError('invalid_input', `OPENEAAP_IMAGE_LAUNCHER must be docker, kubernetes or none, not "${text}".`, { details: { field: 'OPENEAAP_IMAGE_LAUNCHER' } });
}

function parseFlags(argv: readonly string[]): Pick<ReturnType<typeof parseArgs<{ options: typeof OPTIONS; allowPositionals: true }>>, 'values' | 'positionals'> {
  try {
    return parseArgs({ args: [...argv], options: OPTIONS, allowPositionals: true });
  } catch (thrown) {
    throw new PlatformError('invalid_input', `${thrown instanceof Error ? thrown.message : 'A flag is wrong.'}\n\n${USAGE}`, { cause: thrown });
  }
}

function parseCommand(positionals: readonly string[], to: string | undefined, cwd: string): Pick<ServerConfig, 'command' | 'backupTo'> {
  const [named, ...more] = positionals;
  const command: Command | undefined = named === undefined ? 'serve' : COMMANDS.find((each) => each === named);
  if (command === undefined || more.length > 0) {
    throw new PlatformError('invalid_input', `"${positionals.join(' ')}" is not a command. The commands are ${COMMANDS.join(' and ')}; without one it serves.\n\n${USAGE}`, { details: { field: 'command' } });
  }
  if ((command === 'backup') !== (to !== undefined)) {
    throw new PlatformError('invalid_input', command === 'backup' ? 'backup needs --to DIR: a folder that is not there yet.' : '--to belongs to the command backup.', { details: { field: '--to' } });
  }
  return { command, backupTo: to === undefined ? null : path.resolve(cwd, to) };
}

/** The job's approver is a script: it must never stand before a firewall that is real. */
function refuseScriptedApproval(job: ServerConfig['job'], environment: Readonly<Record<string, string | undefined>>): void {
  if (job === 'none' || environment['FIREWALL_URL'] === undefined) return;
  throw new PlatformError('invalid_input', 'FIREWALL_URL is set, and the flagship job approves its block by a script. Unset FIREWALL_URL for the job, or start the platform without it: npm run serve -- --demo', {
    details: { field: 'FIREWALL_URL' },
  });
}

const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'];

function parseLogLevel(text = 'info'): string {
  if (LOG_LEVELS.includes(text)) return text;
  throw new PlatformError('invalid_input', `LOG_LEVEL is one of ${LOG_LEVELS.join(', ')}, not "${text}".`, { details: { field: 'LOG_LEVEL' } });
}

function parseRoles(text: string | undefined, { demo }: { readonly demo: boolean }): ReadonlySet<Role> {
  const wrong = (message: string): PlatformError => new PlatformError('invalid_input', message, { details: { field: '--role' } });
  const names = text === undefined ? [...ROLES] : text.split(',').map((name) => name.trim());
  const roles = new Set(
    names.map((name) => {
      const role = ROLES.find((known) => known === name);
      if (role === undefined) throw wrong(`--role takes ${ROLES.join(', ')}, with commas between them, not "${name}".`);
      return role;
    }),
  );
  if (roles.has('orchestrator') && !roles.has('gateway')) throw wrong('--role: runs think through the gateway of their own process. Write orchestrator,gateway.');
  if (demo && roles.size < ROLES.length) throw wrong('--role: the demo needs every role in one process. Leave --role out.');
  return roles;
}

/** The demo has nothing that is worth waiting for when somebody presses Ctrl-C. */
function parseDrain(text: string | undefined, job: ServerConfig['job']): number {
  if (text === undefined) return job === 'none' ? DEFAULT_DRAIN_SECONDS : 2;
  const seconds = Number(text);
  if (Number.isFinite(seconds) && seconds >= 0 && seconds <= 3_600) return seconds;
  throw new PlatformError('invalid_input', `OPENEAAP_DRAIN_SECONDS takes seconds from 0 to 3600, not "${text}".`, { details: { field: 'OPENEAAP_DRAIN_SECONDS' } });
}

function parsePort(text: string | undefined): number {
  if (text === undefined) return DEFAULT_PORT;
  const port = Number(text);
  if (Number.isInteger(port) && port >= 0 && port <= 65_535) return port;
  throw new PlatformError('invalid_input', `--port takes a number from 0 to 65535, not "${text}".`, { details: { field: '--port' } });
}

/** Longer than this and an orchestrator's grace period is over first. */
const DRAIN_DELAY_CEILING_MS = 60_000;

function parseDrainDelay(text = '0'): number {
  const delayMs = Number(text);
  if (/^\d+$/.test(text) && delayMs <= DRAIN_DELAY_CEILING_MS) return delayMs;
  throw new PlatformError('invalid_input', `OPENEAAP_DRAIN_DELAY_MS takes milliseconds from 0 to ${DRAIN_DELAY_CEILING_MS}, not "${text}".`, { details: { field: 'OPENEAAP_DRAIN_DELAY_MS' } });
}

/** The deployment manifest of the document names these; safety is not an option here (section 18.2). */
function refuseSwitchedOffSafety(environment: Readonly<Record<string, string | undefined>>): void {
  for (const name of ['ENABLE_PII_MASKING', 'ENABLE_AUDIT_LOG']) {
    const value = environment[name];
    if (value !== undefined && value !== 'true') {
      throw new PlatformError('invalid_input', `${name}=${value}: masking and audit cannot be switched off. Set it to true or leave it out.`, { details: { field: name } });
    }
  }
}

function toDatabaseUrl(environment: Readonly<Record<string, string | undefined>>): string | null {
  const url = environment['DATABASE_URL'];
  if (url !== undefined) return url;
  const host = environment['DB_HOST'];
  if (host === undefined) return null;
  const user = encodeURIComponent(environment['DB_USER'] ?? 'openeaap');
  const password = environment['DB_PASSWORD'];
  const login = password === undefined ? user : `${user}:${encodeURIComponent(password)}`;
  return `postgres://${login}@${host}:${environment['DB_PORT'] ?? '5432'}/${environment['DB_NAME'] ?? 'openeaap'}`;
}
