import type { AuditFact, JsonObject } from '@openeaap/kernel';
import { PlatformError } from '@openeaap/kernel';
import type { Caller, PlatformPort, PluginItem } from '@openeaap/http';
import type { PluginDeclaration } from '@openeaap/registry';
import { PLUGIN_LIMITS, parseDeclaration } from '@openeaap/registry';
import { acceptTools, appendAudit, deletePlugin, listPlugins, restartPlugin, savePlugin } from '@openeaap/store';
import type { PlatformContext } from './context.ts';

type PluginPort = Pick<PlatformPort, 'listPlugins' | 'getPlugin' | 'declarePlugin' | 'removePlugin' | 'restartPlugin' | 'acceptPluginTools'>;

export function createPluginPort(context: PlatformContext): PluginPort {
  return {
    listPlugins: () => context.registry.listPlugins(),
    getPlugin: (_caller, name) => mustFind(context, name),
    declarePlugin: (caller, declaration) => declare(context, caller, declaration),
    removePlugin: async (caller, name) => {
      await mustFind(context, name);
      refuseFile(context, name, 'Take it out there.');
      await audited(context, caller, name, 'removed', {}, (db) => deletePlugin(db, caller.principal.tenantId, name));
      await follow(context);
    },
    restartPlugin: async (caller, name) => {
      const plugin = await mustFind(context, name);
      if (plugin.source === 'built-in') throw new PlatformError('conflict', `The plugin "${name}" is part of the platform and restarts with it.`);
      await audited(context, caller, name, 'restarted', {}, (db) => restartPlugin(db, caller.principal.tenantId, name, caller.principal.userId));
      await follow(context);
      return mustFind(context, name);
    },
    acceptPluginTools: async (caller, name, tools) => {
      await mustFind(context, name);
      const changed = context.registry.changedTools(name);
      const unknown = tools?.find((tool) => !Object.hasOwn(changed, tool));
      if (unknown !== undefined) throw new PlatformError('invalid_input', `The tool "${unknown}" of "${name}" is not withheld as changed. These are: ${Object.keys(changed).join(', ') || 'none'}.`, { details: { field: 'tools' } });
      const accepted = Object.fromEntries(Object.entries(changed).filter(([tool]) => tools === null || tools.includes(tool)));
      if (Object.keys(accepted).length === 0) return mustFind(context, name);
      const { tenantId, userId } = caller.principal;
      await audited(context, caller, name, 'accepted', { tools: accepted }, async (db) => {
        await acceptTools(db, tenantId, name, accepted, userId);
        // Every node connects anew, with what is accepted now.
        await restartPlugin(db, tenantId, name, userId);
      });
      await follow(context);
      return mustFind(context, name);
    },
  };
}

async function declare(context: PlatformContext, caller: Caller, declaration: JsonObject): Promise<{ readonly plugin: PluginItem; readonly created: boolean }> {
  const parsed = parseDeclaration(declaration, { at: 'plugin', source: 'api' });
  const builtIn = (await context.registry.listPlugins()).find(({ name }) => name === parsed.name)?.source === 'built-in';
  if (builtIn) throw new PlatformError('conflict', `"${parsed.name}" is a plugin of the platform itself. Choose another name.`, { details: { field: 'name' } });
  refuseFile(context, parsed.name, 'Change it there, or choose another name.');
  const created = !(await listPlugins(context.pool, caller.principal.tenantId)).some(({ name }) => name === parsed.name);
  await audited(context, caller, parsed.name, created ? 'declared' : 'changed', toMetadata(parsed), async (db) => {
    const saved = await savePlugin(db, { tenantId: caller.principal.tenantId, name: parsed.name, declaration, by: caller.principal.userId, most: PLUGIN_LIMITS.plugins });
    if (!saved) throw new PlatformError('conflict', `There are ${PLUGIN_LIMITS.plugins} plugins already. Remove one first.`);
  });
  await follow(context);
  return { plugin: await mustFind(context, parsed.name), created };
}

/** What runs, without values of variables and headers, which people sometimes put secrets into. */
function toMetadata({ type, start, secrets, replicas }: PluginDeclaration): JsonObject {
  const place = start.kind === 'command' ? (start.command[0] ?? '') : start.kind === 'image' ? start.image : start.kind === 'address' ? start.address : start.url;
  return { type, start: start.kind, place, replicas, secrets: [...secrets] };
}

function refuseFile(context: PlatformContext, name: string, cure: string): void {
  if (context.registry.sourceOf(name) !== 'api' && context.registry.sourceOf(name) !== null) {
    throw new PlatformError('conflict', `The plugin "${name}" is declared in configs/plugins.yaml. ${cure}`, { details: { field: 'name' } });
  }
}

async function mustFind(context: PlatformContext, name: string): Promise<PluginItem> {
  const found = (await context.registry.listPlugins()).find((plugin) => plugin.name === name);
  if (found === undefined) throw new PlatformError('not_found', `There is no plugin "${name}".`);
  return found;
}

/** This node now, the others at the notice. */
async function follow(context: PlatformContext): Promise<void> {
  context.post({ kind: 'plugins' });
  await context.plugins.sync();
}

type Work = (db: Parameters<typeof deletePlugin>[0]) => Promise<boolean | void>;

async function audited(context: PlatformContext, caller: Caller, plugin: string, outcome: string, metadata: JsonObject, work: Work): Promise<void> {
  const fact: AuditFact = {
    tenantId: caller.principal.tenantId,
    runId: null,
    traceId: '',
    actor: `user:${caller.principal.userId}`,
    action: 'plugin_change',
    phase: 'event',
    decision: null,
    outcome,
    rule: null,
    stepNo: null,
    metadata: { plugin, key_id: caller.keyId, ...metadata },
    input: null,
    output: null,
  };
  await context.lane.withAudit([fact], async (db, rows) => ((await work(db)) === false ? null : appendAudit(db, rows)));
}
