import type { JsonValue, ToolSpec } from '@openeaap/kernel';
import { LIMITS, PlatformError, linkSignals, toPlatformError, unlessAborted } from '@openeaap/kernel';
import type { RuntimeAdapter, ToolAdapter, ToolContext, ToolInvocation, ToolOutcome } from '@openeaap/adapter';
import { limitOutput } from './limit-output.ts';
import type { ArgumentCheck } from './validate-arguments.ts';
import { compileArgumentCheck } from './validate-arguments.ts';

export type Plugin =
  | { readonly kind: 'runtime'; readonly name: string; readonly adapter: RuntimeAdapter }
  | { readonly kind: 'tools'; readonly name: string; readonly adapter: ToolAdapter };

export interface RegistryOptions {
  readonly plugins: readonly Plugin[];
  /** The value of a secret; undefined: not configured. */
  readonly secret: (name: string) => string | undefined;
}

/** Which plugins there are, what they offer, and the one way to call them. */
export interface Registry {
  readonly findTool: (name: string) => ToolSpec | null;
  readonly findRuntime: (name: string) => RuntimeAdapter | null;
  readonly listTools: () => readonly { readonly spec: ToolSpec; readonly plugin: string }[];
  readonly listPlugins: () => Promise<readonly PluginStatus[]>;
  /** null: valid. */
  readonly validate: (tool: string, args: JsonValue) => string | null;
  /**
   * One call, with the tool's timeout, its secrets and nothing else, and a bounded result. Errors:
   * PlatformError `tool_timeout`, `tool_unavailable`, `tool_failed`, `cancelled`, `not_found`.
   */
  readonly call: (invocation: ToolInvocation, context: Omit<ToolContext, 'secrets'>) => Promise<ToolOutcome>;
}

export interface PluginStatus {
  readonly name: string;
  readonly version: string;
  readonly kind: Plugin['kind'];
  readonly status: 'ready' | 'down';
  readonly detail: string;
}

interface Entry {
  readonly spec: ToolSpec;
  readonly plugin: string;
  readonly adapter: ToolAdapter;
  readonly check: ArgumentCheck;
}

/** Errors: conflict (two plugins with one tool name, or one name twice), invalid_input (a schema is not valid). */
export async function createRegistry(options: RegistryOptions): Promise<Registry> {
  const runtimes = new Map<string, RuntimeAdapter>();
  const tools = new Map<string, Entry>();
  const versions = new Map<Plugin, string>();
  for (const plugin of options.plugins) {
    if ([...versions.keys()].some((other) => other.name === plugin.name)) throw new PlatformError('conflict', `Two plugins are called "${plugin.name}". Rename one of them.`);
    const handshake = await plugin.adapter.handshake();
    versions.set(plugin, handshake.version);
    if (plugin.kind === 'runtime') runtimes.set(plugin.name, plugin.adapter);
    else if ('tools' in handshake) for (const spec of handshake.tools) addTool(tools, { spec, plugin: plugin.name, adapter: plugin.adapter, check: compileArgumentCheck(spec) });
  }
  return {
    findTool: (name) => tools.get(name)?.spec ?? null,
    findRuntime: (name) => runtimes.get(name) ?? null,
    listTools: () => [...tools.values()].map(({ spec, plugin }) => ({ spec, plugin })),
    listPlugins: () => Promise.all([...versions].map(([plugin, version]) => statusOf(plugin, version))),
    validate: (tool, args) => tools.get(tool)?.check(args) ?? null,
    call: async (invocation, context) => {
      const entry = tools.get(invocation.tool);
      if (entry === undefined) throw new PlatformError('not_found', `There is no tool "${invocation.tool}".`);
      return callTool(entry, invocation, { ...context, secrets: secretsOf(entry.spec, options.secret) });
    },
  };
}

function addTool(tools: Map<string, Entry>, entry: Entry): void {
  const other = tools.get(entry.spec.name);
  if (other !== undefined) {
    throw new PlatformError('conflict', `The plugins "${other.plugin}" and "${entry.plugin}" both offer a tool "${entry.spec.name}". Rename one, or leave one plugin out.`);
  }
  tools.set(entry.spec.name, entry);
}

function secretsOf(spec: ToolSpec, secret: RegistryOptions['secret']): Readonly<Record<string, string>> {
  return Object.fromEntries(
    (spec.secrets ?? []).flatMap((name) => {
      const value = secret(name);
      return value === undefined ? [] : [[name, value]];
    }),
  );
}

async function callTool(entry: Entry, invocation: ToolInvocation, context: ToolContext): Promise<ToolOutcome> {
  const timeoutMs = Math.min(entry.spec.timeoutMs, LIMITS.toolTimeoutCeilingMs);
  const { signal, timedOut, release } = linkSignals([context.signal], timeoutMs);
  try {
    const outcome = await unlessAborted(signal, entry.adapter.call(invocation, { ...context, signal }), stopped);
    const output = limitOutput(outcome.output, LIMITS.toolResultBytes);
    return outcome.lineage === undefined ? { output } : { output, lineage: outcome.lineage };
  } catch (thrown) {
    if (context.signal.aborted) throw new PlatformError('cancelled', `The call of ${entry.spec.name} was stopped.`, { cause: thrown });
    if (timedOut()) throw new PlatformError('tool_timeout', `The tool ${entry.spec.name} did not answer within ${timeoutMs} ms.`, { cause: thrown });
    if (thrown instanceof PlatformError) throw thrown;
    // A tool that breaks in the middle has not said whether it had its effect: only a read has certainly failed.
    throw entry.spec.effect === 'read' ? toPlatformError(thrown, 'tool_failed') : new PlatformError('internal', `The tool ${entry.spec.name} broke off.`, { cause: thrown });
  } finally {
    release();
  }
}

/** A tool that ignores its signal must not hold the run. */
const stopped = (): PlatformError => new PlatformError('cancelled', 'The call was stopped.');

async function statusOf(plugin: Plugin, version: string): Promise<PluginStatus> {
  const base = { name: plugin.name, version, kind: plugin.kind };
  try {
    const health = await plugin.adapter.healthCheck();
    return { ...base, status: health.serving ? 'ready' : 'down', detail: health.detail };
  } catch (thrown) {
    return { ...base, status: 'down', detail: toPlatformError(thrown).message };
  }
}
