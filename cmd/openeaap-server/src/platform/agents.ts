import type { AuditFact, JsonObject, JsonValue } from '@openeaap/kernel';
import { PlatformError } from '@openeaap/kernel';
import type { AgentDetail, Caller, CreateAgentRequest, PlatformPort } from '@openeaap/http';
import type { AgentCreation, StoredAgent } from '@openeaap/store';
import { appendAudit, createAgent, findAgent, listAgents, setAgentStatus } from '@openeaap/store';
import type { PlatformContext } from './context.ts';
import { pageById } from './page.ts';
import { toAgentReference } from './runs.ts';

type AgentPort = Pick<PlatformPort, 'listAgents' | 'createAgent' | 'getAgent' | 'publishAgent' | 'deprecateAgent'>;

export function createAgentPort(context: PlatformContext): AgentPort {
  const { pool } = context;
  return {
    listAgents: async (caller, filter, page) => {
      const found = await pageById<StoredAgent>(
        page,
        (agent) => agent.id,
        ({ before, limit }) => listAgents(pool, { tenantId: caller.principal.tenantId, name: filter.name ?? undefined, status: filter.status ?? undefined, before, limit }),
      );
      return { items: found.items.map(toDetail), nextCursor: found.nextCursor };
    },
    createAgent: async (caller, request) => {
      checkConfiguration(context, request.configuration);
      const result = await createAudited(context, caller, request);
      if (result.kind === 'differs') {
        throw new PlatformError('conflict', `Agent ${request.name}@${request.version} exists with another configuration. A version never changes: choose a new version.`, { details: { field: 'version' } });
      }
      return { agent: toDetail(result.agent), created: result.kind === 'created' };
    },
    getAgent: async (caller, agentRef) => toDetail(await mustFind(context, caller, agentRef)),
    publishAgent: (caller, agentRef) => changeStatus(context, caller, agentRef, 'published'),
    deprecateAgent: (caller, agentRef) => changeStatus(context, caller, agentRef, 'deprecated'),
  };
}

/** A plugin that has never answered may still host it; one that has, says what it hosts. */
function refuseUnknownEntrypoint(context: PlatformContext, { runtime, entrypoint }: StoredAgent['configuration']): void {
  const refuse = (message: string): never => {
    throw new PlatformError('invalid_input', message, { details: { field: 'configuration.entrypoint' } });
  };
  if (context.registry.sourceOf(runtime) === null) {
    if (entrypoint !== '') refuse(`The runtime "${runtime}" hosts no agents by name: leave entrypoint out.`);
    return;
  }
  const hosted = context.registry.listAgents(runtime)?.map(({ name }) => name);
  if (hosted === undefined) return;
  const known = hosted.join(', ') || 'none';
  if (entrypoint === '' && hosted.length !== 1) refuse(`The plugin "${runtime}" hosts ${hosted.length} agents: name one as entrypoint. They are: ${known}.`);
  if (entrypoint !== '' && !hosted.includes(entrypoint)) refuse(`The plugin "${runtime}" hosts no agent "${entrypoint}". It hosts: ${known}.`);
}

/** What can never work is refused when it is written, not when it is run. */
function checkConfiguration(context: PlatformContext, configuration: StoredAgent['configuration']): void {
  if (context.registry.findRuntime(configuration.runtime) === null) {
    throw new PlatformError('invalid_input', `There is no runtime "${configuration.runtime}".`, { details: { field: 'configuration.runtime' } });
  }
  refuseUnknownEntrypoint(context, configuration);
  const unknown = configuration.tools.find((tool) => context.registry.findTool(tool) === null);
  if (unknown !== undefined) {
    const known = context.registry.listTools().map(({ spec }) => spec.name);
    throw new PlatformError('invalid_input', `There is no tool "${unknown}". The tools are: ${known.join(', ') || 'none'}.`, { details: { field: 'configuration.tools' } });
  }
}

/** The version and the audit row that says so, both or neither. */
async function createAudited(context: PlatformContext, caller: Caller, request: CreateAgentRequest): Promise<AgentCreation> {
  const agent = { ...request, tenantId: caller.principal.tenantId, id: context.ids.newId() };
  const outcome: { result?: AgentCreation } = {};
  await context.lane.withAudit([toFact(caller, agent, 'created', { configuration: request.configuration as unknown as JsonObject })], async (db, rows) => {
    outcome.result = await createAgent(db, agent);
    return outcome.result.kind === 'created' ? appendAudit(db, rows) : null;
  });
  if (outcome.result === undefined) throw new PlatformError('internal', 'A version was written without an answer.');
  return outcome.result;
}

async function changeStatus(context: PlatformContext, caller: Caller, agentRef: string, status: 'published' | 'deprecated'): Promise<AgentDetail> {
  const agent = await mustFind(context, caller, agentRef);
  await context.lane.withAudit([toFact(caller, agent, status, {})], async (db, rows) => {
    const changed = await setAgentStatus(db, caller.principal.tenantId, agent.id, status);
    return changed ? appendAudit(db, rows) : null;
  });
  return toDetail(await mustFind(context, caller, agent.id));
}

async function mustFind(context: PlatformContext, caller: Caller, agentRef: string): Promise<StoredAgent> {
  const agent = await findAgent(context.pool, caller.principal.tenantId, toAgentReference(agentRef));
  if (agent === null) throw new PlatformError('not_found', `There is no agent "${agentRef}", or no version of it is published.`, { details: { field: 'agent_id' } });
  return agent;
}

const toDetail = (agent: StoredAgent): AgentDetail => ({ agent, current: agent.current });

function toFact(caller: Caller, agent: Pick<StoredAgent, 'id' | 'name' | 'version'>, change: string, input: JsonValue): AuditFact {
  return {
    tenantId: caller.principal.tenantId,
    runId: null,
    traceId: '',
    actor: `user:${caller.principal.userId}`,
    action: 'agent_change',
    phase: 'event',
    decision: null,
    outcome: change,
    rule: null,
    stepNo: null,
    metadata: { agent: agent.name, agent_version: agent.version, agent_id: agent.id, key_id: caller.keyId },
    input,
    output: null,
  };
}
