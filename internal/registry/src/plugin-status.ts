import type { ToolSpec } from '@openeaap/kernel';
import { toPlatformError } from '@openeaap/kernel';
import type { DeclarationSource, PluginDeclaration } from './declare/plugin-declaration.ts';
import type { Plugin } from './registry.ts';
import type { SupervisedPlugin } from './supervise/supervise-plugin.ts';

/** How a plugin is, for people. */
export interface PluginStatus {
  readonly name: string;
  readonly version: string;
  readonly kind: 'runtime' | 'tools';
  readonly status: 'ready' | 'degraded' | 'starting' | 'sick' | 'incompatible' | 'refused' | 'conflict' | 'down';
  readonly detail: string;
  readonly source: 'built-in' | DeclarationSource;
  /** Language and version of its SDK; empty for what is in the process. */
  readonly sdk: string;
  readonly copies: { readonly ready: number; readonly wanted: number; readonly restarts: number };
  readonly tools: readonly string[];
  readonly agents: readonly string[];
  readonly warnings: readonly string[];
}

/** A plugin in this process, with what it said at the start. */
export interface BuiltIn {
  readonly plugin: Plugin;
  readonly version: string;
  readonly tools: readonly ToolSpec[];
}

/** A plugin that somebody declared, as it is kept. */
export interface Declared {
  readonly source: DeclarationSource;
  declaration: PluginDeclaration;
  hash: string;
  current: SupervisedPlugin;
  /** Its successor, until that is ready. */
  next: SupervisedPlugin | null;
  told: string;
}

export async function statusOfBuiltIn({ plugin, version, tools }: BuiltIn): Promise<PluginStatus> {
  const base = { name: plugin.name, version, kind: plugin.kind, source: 'built-in', sdk: '', tools: tools.map(({ name }) => name), agents: [], warnings: [] } as const;
  const one = { ready: 1, wanted: 1, restarts: 0 };
  try {
    const health = await plugin.adapter.healthCheck();
    return health.serving ? { ...base, status: 'ready', detail: health.detail, copies: one } : { ...base, status: 'down', detail: health.detail, copies: { ...one, ready: 0 } };
  } catch (thrown) {
    return { ...base, status: 'down', detail: toPlatformError(thrown).message, copies: { ...one, ready: 0 } };
  }
}

export function statusOf({ declaration, source, current, next }: Declared, secret: (name: string) => string | undefined): PluginStatus {
  const copies = current.copies();
  const offer = current.offer();
  const ready = copies.filter(({ status }) => status === 'ready').length;
  const worst = copies.find(({ status }) => status !== 'ready');
  const replacing = next?.copies().find(({ status }) => status !== 'ready' && status !== 'starting');
  const status = worst === undefined ? 'ready' : ready > 0 ? 'degraded' : worst.status === 'stopped' ? 'down' : worst.status;
  const detail = [worst?.detail ?? copies[0]?.detail ?? '', ...(replacing === undefined ? [] : [`Its replacement does not come up, so it stays: ${replacing.detail}`])].join(' ');
  const unset = declaration.secrets.filter((name) => secret(name) === undefined).map((name) => `The secret ${name} is not set on this node.`);
  const ungranted = (offer?.tools ?? []).flatMap((tool) => (tool.secrets ?? []).filter((name) => !declaration.secrets.includes(name) && !name.startsWith('OPENEAAP_')).map((name) => `The tool ${tool.name} asks for the secret ${name}, which its declaration does not grant.`));
  return {
    name: declaration.name,
    version: offer?.version ?? '',
    kind: (offer?.agents.length ?? 0) > 0 ? 'runtime' : 'tools',
    status,
    detail,
    source,
    sdk: offer?.sdk ?? '',
    copies: { ready, wanted: copies.length, restarts: copies.reduce((sum, copy) => sum + copy.restarts, 0) },
    tools: offer?.tools.map(({ name }) => name) ?? [],
    agents: offer?.agents.map(({ name }) => name) ?? [],
    warnings: [...(offer?.warnings ?? []), ...unset, ...ungranted],
  };
}
