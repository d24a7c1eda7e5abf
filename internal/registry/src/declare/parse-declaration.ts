import { Ajv2020 } from 'ajv/dist/2020.js';
import type { ErrorObject } from 'ajv/dist/2020.js';
import { PlatformError, isJsonObject } from '@openeaap/kernel';
import { isLoopbackTarget } from './is-loopback-target.ts';
import type { DeclarationSource, McpGovernance, PluginDeclaration, PluginStart } from './plugin-declaration.ts';

export const PLUGIN_LIMITS = { plugins: 100, replicas: 16, startTimeoutMs: 60_000, startTimeoutCeilingMs: 600_000 } as const;

const NAME = '^[a-z0-9]([a-z0-9-]{0,48}[a-z0-9])?$';
const VARIABLE = '^[A-Za-z_][A-Za-z0-9_]*$';
const text = { type: 'string', minLength: 1, maxLength: 4_096 } as const;
const texts = { type: 'array', items: text, maxItems: 200 } as const;
const pairs = (names: string) => ({ type: 'object', propertyNames: { pattern: names }, additionalProperties: { type: 'string', maxLength: 32_768 }, maxProperties: 200 }) as const;
const strict = <P extends object>(properties: P) => ({ type: 'object', properties, additionalProperties: false }) as const;

/** What may be written of one plugin, in the words of the file. */
const DECLARATION = {
  ...strict({
    name: { type: 'string', pattern: NAME },
    type: { enum: ['runtime-worker', 'mcp'] },
    image: text,
    command: { ...texts, minItems: 1 },
    args: texts,
    cwd: text,
    address: text,
    url: text,
    tls: strict({ ca: text, cert: text, key: text, server_name: text }),
    token_env: { type: 'string', pattern: VARIABLE },
    headers: pairs('^[A-Za-z0-9-]+$'),
    replicas: { type: 'integer', minimum: 1, maximum: PLUGIN_LIMITS.replicas },
    env: pairs(VARIABLE),
    secrets: { type: 'array', items: { type: 'string', pattern: VARIABLE }, maxItems: 100, uniqueItems: true },
    start_timeout_ms: { type: 'integer', minimum: 100, maximum: PLUGIN_LIMITS.startTimeoutCeilingMs },
    resources: strict({ cpu: text, memory: text }),
    runtime_class: text,
    prefix: { type: 'string', pattern: '^[A-Za-z0-9_-]{0,32}$' },
    allow: texts,
    deny: texts,
    trust_annotations: { type: 'boolean' },
    pin: { type: 'boolean' },
    tools: {
      type: 'object',
      additionalProperties: strict({
        effect: { enum: ['read', 'write', 'egress', 'destructive'] },
        idempotent: { type: 'boolean' },
        timeout_ms: { type: 'integer', minimum: 1, maximum: 600_000 },
        untrusted_output: { type: 'boolean' },
      }),
    },
  }),
  required: ['name', 'type'],
} as const;

const STARTS = ['command', 'image', 'address', 'url'] as const;
const MCP_ONLY = ['url', 'headers', 'prefix', 'allow', 'deny', 'trust_annotations', 'pin', 'tools'] as const;

interface Written {
  readonly name: string;
  readonly type: PluginDeclaration['type'];
  readonly image?: string;
  readonly command?: readonly string[];
  readonly args?: readonly string[];
  readonly cwd?: string;
  readonly address?: string;
  readonly url?: string;
  readonly tls?: { readonly ca?: string; readonly cert?: string; readonly key?: string; readonly server_name?: string };
  readonly token_env?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly replicas?: number;
  readonly env?: Readonly<Record<string, string>>;
  readonly secrets?: readonly string[];
  readonly start_timeout_ms?: number;
  readonly resources?: { readonly cpu?: string; readonly memory?: string };
  readonly runtime_class?: string;
  readonly prefix?: string;
  readonly allow?: readonly string[];
  readonly deny?: readonly string[];
  readonly trust_annotations?: boolean;
  readonly pin?: boolean;
  readonly tools?: Readonly<Record<string, { readonly effect?: 'read' | 'write' | 'egress' | 'destructive'; readonly idempotent?: boolean; readonly timeout_ms?: number; readonly untrusted_output?: boolean }>>;
}

/** What `configs/plugins.yaml` says. */
export interface PluginFile {
  readonly plugins: readonly PluginDeclaration[];
  /** Plugins of the platform itself that are left out, for example because declared ones offer the same tools. */
  readonly without: readonly string[];
}

/** `configs/plugins.yaml`; no file and an empty one are no plugins. Errors: invalid_input that names the place and the cure. */
export function parsePluginFile(document: unknown, file: string): PluginFile {
  if (document === null || document === undefined) return { plugins: [], without: [] };
  const wrong = (what: string): PlatformError => new PlatformError('invalid_input', `${file}: ${what}`, { details: { file } });
  if (!isJsonObject(document)) throw wrong('it must be a mapping with the key "plugins".');
  const unknown = Object.keys(document).find((key) => key !== 'plugins' && key !== 'without');
  if (unknown !== undefined) throw wrong(`it has an unknown key "${unknown}"; it takes "plugins" and "without".`);
  const without = document['without'] ?? [];
  if (!Array.isArray(without) || without.some((name) => typeof name !== 'string')) throw wrong('"without" must be a list of names of built-in plugins.');
  const list = document['plugins'] ?? [];
  if (!Array.isArray(list) || list.length > PLUGIN_LIMITS.plugins) throw wrong(`"plugins" must be a list of at most ${PLUGIN_LIMITS.plugins}.`);
  const declared = list.map((entry, index) => parseDeclaration(entry, { at: `${file}: plugins[${index}]`, source: 'file' }));
  const twice = declared.find(({ name }, index) => declared.findIndex((other) => other.name === name) !== index);
  if (twice !== undefined) throw wrong(`the plugin "${twice.name}" is declared twice. Rename one.`);
  return { plugins: declared, without: without as readonly string[] };
}

/** One declaration. Errors: invalid_input with `details.field` and the cure. */
export function parseDeclaration(value: unknown, from: { readonly at: string; readonly source: DeclarationSource }): PluginDeclaration {
  const fail = (field: string, what: string): PlatformError => new PlatformError('invalid_input', `${from.at}${field === '' ? '' : `.${field}`} ${what}`, { details: { field: field === '' ? 'plugin' : field } });
  const validate = new Ajv2020({ strict: false }).compile(DECLARATION);
  if (!validate(value)) {
    const error = validate.errors?.[0];
    throw fail(fieldOf(error), explain(error));
  }
  const written = value as Written;
  if (from.source === 'api' && written.command !== undefined) {
    throw fail('command', 'may only be used in configs/plugins.yaml: whoever holds an API key must not be able to run programs on the nodes. Use "address" or "image".');
  }
  const given = STARTS.filter((start) => written[start] !== undefined);
  if (given.length !== 1) throw fail('', `must have exactly one of ${STARTS.join(', ')}; it has ${given.length === 0 ? 'none' : given.join(' and ')}.`);
  const misplaced = written.type === 'mcp' ? undefined : MCP_ONLY.find((key) => written[key] !== undefined);
  if (misplaced !== undefined) throw fail(misplaced, 'is for plugins of type "mcp".');
  if (written.type === 'mcp' && (written.image !== undefined || written.address !== undefined)) {
    throw fail(written.image === undefined ? 'address' : 'image', 'is not for MCP servers: they take "command" (stdio) or "url" (HTTP).');
  }
  const start = toStart(written, fail);
  const replicas = written.replicas ?? 1;
  if (replicas > 1 && (written.type === 'mcp' || (start.kind !== 'command' && start.kind !== 'image'))) {
    throw fail('replicas', 'above 1 needs a plugin that is started here, by "command" or "image"; behind an address, dns:/// finds all replicas by itself.');
  }
  return {
    name: written.name,
    type: written.type,
    start,
    replicas,
    env: written.env ?? {},
    secrets: written.secrets ?? [],
    startTimeoutMs: written.start_timeout_ms ?? PLUGIN_LIMITS.startTimeoutMs,
    mcp: toMcp(written),
  };
}

function toStart(written: Written, fail: (field: string, what: string) => PlatformError): PluginStart {
  if (written.command !== undefined) return { kind: 'command', command: [...written.command, ...(written.args ?? [])], cwd: written.cwd ?? null };
  if (written.image !== undefined) {
    return { kind: 'image', image: written.image, resources: { cpu: written.resources?.cpu ?? null, memory: written.resources?.memory ?? null }, runtimeClass: written.runtime_class ?? null };
  }
  const tokenEnv = written.token_env ?? null;
  if (written.url !== undefined) {
    if (!/^https?:\/\/[^/]/.test(written.url)) throw fail('url', 'must begin with http:// or https://.');
    return { kind: 'url', url: written.url, tokenEnv, headers: written.headers ?? {} };
  }
  const address = written.address ?? '';
  if (!/^(unix:\/?|dns:\/\/\/|ipv4:|ipv6:)?[^\s]+$/.test(address) || /^https?:/.test(address)) throw fail('address', `must be HOST:PORT, dns:///NAME:PORT or unix:/PATH, not "${address}".`);
  if (written.tls === undefined && !isLoopbackTarget(address)) {
    throw fail('tls', `is missing: plain text is for loopback and Unix sockets only, and "${address}" is neither. Say tls: {} to trust the system's authorities, or tls: {ca: FILE, cert: FILE, key: FILE}.`);
  }
  const { tls } = written;
  if (tls !== undefined && (tls.cert === undefined) !== (tls.key === undefined)) throw fail('tls', 'needs cert and key together.');
  return {
    kind: 'address',
    address,
    tls: tls === undefined ? null : { ca: tls.ca ?? null, cert: tls.cert ?? null, key: tls.key ?? null, serverName: tls.server_name ?? null },
    tokenEnv,
  };
}

function toMcp(written: Written): McpGovernance {
  const tools = Object.entries(written.tools ?? {}).map(([name, tool]) => {
    const { timeout_ms: timeoutMs, untrusted_output: untrustedOutput, ...rest } = tool;
    return [name, { ...rest, ...(timeoutMs === undefined ? {} : { timeoutMs }), ...(untrustedOutput === undefined ? {} : { untrustedOutput }) }] as const;
  });
  return {
    prefix: written.prefix ?? '',
    allow: written.allow ?? null,
    deny: written.deny ?? [],
    trustAnnotations: written.trust_annotations ?? false,
    pin: written.pin ?? true,
    tools: Object.fromEntries(tools),
  };
}

const fieldOf = (error: ErrorObject | undefined): string => {
  const place = (error?.instancePath ?? '').slice(1).replaceAll('/', '.');
  const name = error?.params['missingProperty'] ?? error?.params['additionalProperty'];
  return [place, typeof name === 'string' ? name : ''].filter((part) => part !== '').join('.');
};

function explain(error: ErrorObject | undefined): string {
  switch (error?.keyword) {
    case 'required':
      return 'is missing.';
    case 'additionalProperties':
      return `is not known. A plugin has: ${Object.keys(DECLARATION.properties).join(', ')}.`;
    case 'enum':
      return `must be one of ${JSON.stringify(error.params['allowedValues'])}.`;
    case 'pattern':
      return error.instancePath === '/name' ? 'must be lower-case letters, digits and -, at most 50 characters.' : `must match ${String(error.params['pattern'])}.`;
    default:
      return `${error?.message ?? 'is wrong'}.`;
  }
}
