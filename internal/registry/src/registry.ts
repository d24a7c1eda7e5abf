import type { HostedAgent, RuntimeAdapter, ToolAdapter, ToolContext, ToolInvocation, ToolOutcome } from '@openeaap/adapter';
import type { Clock, JsonValue, ToolSpec } from '@openeaap/kernel';
import { PlatformError, hashJson, systemClock } from '@openeaap/kernel';
import type { ToolEntry } from './call-tool.ts';
import { callTool, timeoutOf } from './call-tool.ts';
import type { DeclarationSource, PluginDeclaration } from './declare/plugin-declaration.ts';
import type { BuiltIn, Declared, PluginStatus } from './plugin-status.ts';
import { statusOf, statusOfBuiltIn } from './plugin-status.ts';
import type { CopyTimes } from './supervise/keep-copy.ts';
import { COPY_TIMES } from './supervise/keep-copy.ts';
import type { PeerSource } from './supervise/plugin-peer.ts';
import type { SupervisedPlugin } from './supervise/supervise-plugin.ts';
import { WAIT_FOR_COPY_MS, supervisePlugin } from './supervise/supervise-plugin.ts';
import { toRemoteRuntime } from './to-remote-runtime.ts';
import type { ArgumentCheck } from './validate-arguments.ts';
import { compileArgumentCheck, createSchemaCompiler } from './validate-arguments.ts';

/** A plugin in this process. */
export type Plugin =
  | { readonly kind: 'runtime'; readonly name: string; readonly adapter: RuntimeAdapter }
  | { readonly kind: 'tools'; readonly name: string; readonly adapter: ToolAdapter };

export interface RegistryOptions {
  readonly plugins: readonly Plugin[];
  /** The value of a secret; undefined: not configured. */
  readonly secret: (name: string) => string | undefined;
  /** How copies of a declared plugin come to be; without it nothing can be declared. */
  readonly toPeerSource?: (declaration: PluginDeclaration) => PeerSource;
  readonly onNews?: (news: PluginNews) => void;
  readonly clock?: Clock;
  readonly times?: CopyTimes;
}

export interface WantedPlugin {
  readonly declaration: PluginDeclaration;
  /** Counts restarts that people asked for: another number replaces the copies although nothing else has changed. */
  readonly generation: number;
}

/** Something that an operator may want to read in the log. */
export interface PluginNews {
  readonly plugin: string;
  readonly status: PluginStatus['status'];
  readonly detail: string;
}

/** Which plugins there are, what they offer, and the one way to call them. */
export interface Registry {
  readonly findTool: (name: string) => ToolSpec | null;
  readonly findRuntime: (name: string) => RuntimeAdapter | null;
  /** Agents that a runtime plugin hosts; null: no such plugin, or it has not said yet. */
  readonly listAgents: (runtime: string) => readonly HostedAgent[] | null;
  /** Where a plugin is declared; null: it is not. */
  readonly sourceOf: (name: string) => DeclarationSource | null;
  /** Tools of a plugin that are withheld because they are not what was accepted, with their new hashes. */
  readonly changedTools: (name: string) => Readonly<Record<string, string>>;
  readonly listTools: () => readonly { readonly spec: ToolSpec; readonly plugin: string }[];
  readonly listPlugins: () => Promise<readonly PluginStatus[]>;
  /** null: valid. */
  readonly validate: (tool: string, args: JsonValue) => string | null;
  /**
   * One call, with the tool's timeout, its secrets and nothing else, and a bounded result. `credentials` are those minted
   * for this step; a tool gets the ones that its spec names. Errors: PlatformError `tool_timeout`, `tool_unavailable`,
   * `tool_failed`, `cancelled`, `not_found`; `details.sent` is false when the tool certainly never saw the call.
   */
  readonly call: (invocation: ToolInvocation, context: Omit<ToolContext, 'secrets'>, credentials?: Readonly<Record<string, string>>) => Promise<ToolOutcome>;
  /**
   * Makes the plugins of one source those of the list: new ones start, missing ones end, changed ones are replaced by
   * a new copy that takes over when it is ready; if it never is, the old one stays. Errors: conflict.
   */
  readonly declare: (source: DeclarationSource, wanted: readonly WantedPlugin[]) => void;
  /** Resolves when every declared plugin has been judged once, or when the time is up. */
  readonly settle: (timeoutMs: number) => Promise<void>;
  readonly close: (graceMs: number) => Promise<void>;
}

/** A call that its deadline has ended says so itself; this is for a peer that does not even do that. */
const ANSWER_MS = 1_000;
/** For steps under way when a plugin is replaced or withdrawn. */
const REPLACE_GRACE_MS = 30_000;

/** Errors: conflict (two plugins with one tool name, or one name twice), invalid_input (a schema is not valid). */
export async function createRegistry(options: RegistryOptions): Promise<Registry> {
  const clock = options.clock ?? systemClock;
  const builtIn = new Map<string, BuiltIn>();
  const declared = new Map<string, Declared>();
  const checks = new WeakMap<ToolSpec, ArgumentCheck>();
  const compiler = createSchemaCompiler();
  const leaving = new Set<Promise<void>>();
  let tools = new Map<string, ToolEntry>();

  for (const plugin of options.plugins) {
    if (builtIn.has(plugin.name)) throw new PlatformError('conflict', `Two plugins are called "${plugin.name}". Rename one of them.`);
    const handshake = await plugin.adapter.handshake();
    builtIn.set(plugin.name, { plugin, version: handshake.version, tools: 'tools' in handshake ? handshake.tools : [] });
    refuseConflicts(plugin.name, 'tools' in handshake ? handshake.tools : []);
    rebuild();
  }

  return {
    findTool: (name) => tools.get(name)?.spec ?? null,
    findRuntime,
    listAgents: (runtime) => declared.get(runtime)?.current.offer()?.agents ?? null,
    sourceOf: (name) => declared.get(name)?.source ?? null,
    changedTools: (name) => declared.get(name)?.current.offer()?.changed ?? {},
    listTools: () => [...tools.values()].map(({ spec, plugin }) => ({ spec, plugin })),
    listPlugins: async () => [...(await Promise.all([...builtIn.values()].map(statusOfBuiltIn))), ...[...declared.values()].map((entry) => statusOf(entry, options.secret))],
    validate: (tool, args) => tools.get(tool)?.check(args) ?? null,
    call: async (invocation, context, credentials = {}) => {
      const entry = tools.get(invocation.tool);
      if (entry === undefined) throw new PlatformError('not_found', `There is no tool "${invocation.tool}".`, { details: { sent: false } });
      return callTool(entry, invocation, { ...context, secrets: { ...secretsOf(entry, options.secret), ...namedIn(entry.spec, credentials) } });
    },
    declare,
    settle: async (timeoutMs) => {
      const stop = new AbortController();
      await Promise.race([Promise.all([...declared.values()].map((entry) => entry.current.settled)), clock.sleep(timeoutMs, stop.signal)]);
      stop.abort();
    },
    close: async (graceMs) => {
      const all = [...declared.values()].flatMap((entry) => [entry.current, ...(entry.next === null ? [] : [entry.next])]);
      declared.clear();
      rebuild();
      await Promise.all([...all.map((plugin) => plugin.close(graceMs)), ...leaving]);
    },
  };

  function declare(source: DeclarationSource, list: readonly WantedPlugin[]): void {
    for (const { declaration: { name } } of list) {
      if (builtIn.has(name)) throw new PlatformError('conflict', `"${name}" is a plugin of the platform itself. Choose another name.`, { details: { field: 'name' } });
      const other = declared.get(name);
      if (other !== undefined && other.source !== source) {
        throw new PlatformError('conflict', `The plugin "${name}" is declared ${other.source === 'file' ? 'in configs/plugins.yaml' : 'by the API'} already. Choose another name, or remove it there.`, { details: { field: 'name' } });
      }
    }
    const names = new Set(list.map(({ declaration }) => declaration.name));
    for (const [name, entry] of declared) if (entry.source === source && !names.has(name)) withdraw(name, entry);
    for (const { declaration, generation } of list) {
      const entry = declared.get(declaration.name);
      const hash = hashJson(JSON.parse(JSON.stringify({ declaration, generation })) as JsonValue);
      if (entry === undefined) {
        const fresh: Declared = { source, declaration, hash, current: supervise(declaration), next: null, told: '' };
        declared.set(declaration.name, fresh);
      } else if (entry.hash !== hash) {
        entry.declaration = declaration;
        entry.hash = hash;
        replace(entry);
      }
    }
    changed();
  }

  /** The successor takes over when it is ready; a second change meanwhile replaces the successor. */
  function replace(entry: Declared): void {
    if (entry.next !== null) leave(entry.next);
    entry.next = supervise(entry.declaration);
    changed();
  }

  function withdraw(name: string, entry: Declared): void {
    declared.delete(name);
    leave(entry.current);
    if (entry.next !== null) leave(entry.next);
    options.onNews?.({ plugin: name, status: 'down', detail: 'It was withdrawn.' });
  }

  function leave(plugin: SupervisedPlugin): void {
    const left = plugin.close(REPLACE_GRACE_MS).finally(() => leaving.delete(left));
    leaving.add(left);
  }

  function supervise(declaration: PluginDeclaration): SupervisedPlugin {
    if (options.toPeerSource === undefined) throw new PlatformError('unsupported', 'This installation cannot start plugins.');
    const source = options.toPeerSource(declaration);
    return supervisePlugin({
      name: declaration.name,
      replicas: source.copies,
      open: source.open,
      admit: (offer) => refuseConflicts(declaration.name, offer.tools),
      onChange: changed,
      times: options.times ?? COPY_TIMES,
      clock,
    });
  }

  /** Something about a declared plugin is new: successors that are ready take over, and the table of tools is made again. */
  function changed(): void {
    for (const entry of declared.values()) {
      if (entry.next?.isReady() === true) {
        leave(entry.current);
        entry.current = entry.next;
        entry.next = null;
      }
    }
    rebuild();
    for (const entry of declared.values()) tell(entry);
  }

  function tell(entry: Declared): void {
    const { name, status, detail } = statusOf(entry, options.secret);
    const told = `${status} ${detail}`;
    if (entry.told === told) return;
    entry.told = told;
    options.onNews?.({ plugin: name, status, detail });
  }

  function rebuild(): void {
    const fresh = new Map<string, ToolEntry>();
    for (const { plugin, tools: specs } of builtIn.values()) {
      const { adapter } = plugin;
      if ('call' in adapter) for (const spec of specs) fresh.set(spec.name, { spec, plugin: plugin.name, check: checkOf(spec), secrets: spec.secrets ?? [], waitMs: 0, call: adapter.call });
    }
    for (const [name, entry] of declared) {
      for (const spec of entry.current.offer()?.tools ?? []) {
        if (fresh.has(spec.name)) continue;
        const call: ToolEntry['call'] = (invocation, context) => entry.current.callTool(invocation, context, timeoutOf(spec));
        fresh.set(spec.name, { spec, plugin: name, check: checkOf(spec), secrets: grantedTo(spec, entry.declaration), waitMs: WAIT_FOR_COPY_MS + ANSWER_MS, call });
      }
    }
    tools = fresh;
  }

  /** Errors: conflict that names both plugins; invalid_input when a schema cannot be used. */
  function refuseConflicts(plugin: string, specs: readonly ToolSpec[]): void {
    for (const spec of specs) {
      const other = tools.get(spec.name);
      if (other !== undefined && other.plugin !== plugin) {
        throw new PlatformError('conflict', `The plugins "${other.plugin}" and "${plugin}" both offer a tool "${spec.name}". Rename one, or leave one plugin out.`, { details: { tool: spec.name } });
      }
      checkOf(spec);
    }
  }

  function checkOf(spec: ToolSpec): ArgumentCheck {
    const known = checks.get(spec);
    if (known !== undefined) return known;
    const check = compileArgumentCheck(spec, compiler);
    checks.set(spec, check);
    return check;
  }

  function findRuntime(name: string): RuntimeAdapter | null {
    const own = builtIn.get(name)?.plugin;
    if (own !== undefined) return own.kind === 'runtime' ? own.adapter : null;
    const entry = declared.get(name);
    return entry === undefined ? null : toRemoteRuntime(name, () => entry.current);
  }
}

/** What the operator granted to the plugin and the tool names; a tool that names nothing gets all that was granted. */
function grantedTo(spec: ToolSpec, declaration: PluginDeclaration): readonly string[] {
  const named = spec.secrets ?? [];
  return named.length === 0 ? declaration.secrets : declaration.secrets.filter((name) => named.includes(name));
}

function secretsOf(entry: ToolEntry, secret: RegistryOptions['secret']): Readonly<Record<string, string>> {
  return Object.fromEntries(
    entry.secrets.flatMap((name) => {
      const value = secret(name);
      return value === undefined ? [] : [[name, value]];
    }),
  );
}

/** Credentials of the step go only to a tool whose spec names them. */
const namedIn = (spec: ToolSpec, credentials: Readonly<Record<string, string>>): Readonly<Record<string, string>> =>
  Object.fromEntries(Object.entries(credentials).filter(([name]) => spec.secrets?.includes(name) === true));
