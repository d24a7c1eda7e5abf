import type { Static } from '@fastify/type-provider-typebox';
import { Type } from '@fastify/type-provider-typebox';
import type { AgentConfiguration, AgentStatus, JsonObject, ReasoningMode } from '@openeaap/kernel';
import { AGENT_DEFAULTS, isUuid, LIMITS, PlatformError, REASONING_MODES } from '@openeaap/kernel';
import { AgentRefParams, NAME_CHARS, NAME_PATTERN, PAGE, Strict, toPageRequest, VERSION_CHARS } from '../request-schema.ts';
import type { Routes } from '../route-context.ts';
import { callerOf } from '../route-context.ts';
import { toAgentView, toPage } from '../to-view.ts';
import { AgentView, pageOf, refTo } from '../view-schema.ts';

const PROMPT_CHARS = 262_144;
const TEXT_CHARS = 4_096;
const SETTINGS_KEYS = 100;
const TOOLS_PER_AGENT = 256;
const COMPLETION_TOKENS_CEILING = 1_000_000;
const TEMPERATURE_CEILING = 2;
const MODELS_PER_AGENT = 64;

const STATUSES: AgentStatus[] = ['draft', 'published', 'deprecated'];
const Name = (description: string) => Type.String({ minLength: 1, maxLength: NAME_CHARS, pattern: NAME_PATTERN, description });
const ShortText = (description: string) => Type.Optional(Type.String({ maxLength: TEXT_CHARS, description }));

const ModelInput = Strict({
  name: Type.Optional(Type.String({ maxLength: NAME_CHARS, description: 'A backend or a capability; empty: the default of the gateway.' })),
  temperature: Type.Optional(Type.Number({ minimum: 0, maximum: TEMPERATURE_CEILING })),
  max_tokens: Type.Optional(Type.Integer({ minimum: 1, maximum: COMPLETION_TOKENS_CEILING })),
  tool_calling: Type.Optional(Type.Unsafe<'native' | 'text'>({ enum: ['native', 'text'] })),
  allowed: Type.Optional(Type.Array(Type.String({ minLength: 1, maxLength: NAME_CHARS }), { maxItems: MODELS_PER_AGENT, uniqueItems: true, description: 'Further backends, models and capabilities that steps of the agent may ask for; not given: all. The one of `name` is always allowed.' })),
});

const ConfigurationInput = Strict({
  description: ShortText('For people.'),
  runtime: Type.Optional(Name('Name of the runtime plugin; default native.')),
  entrypoint: Type.Optional(Type.String({ maxLength: NAME_CHARS, description: 'Which of the agents that the runtime hosts; empty: its only one.' })),
  settings: Type.Optional(Type.Unsafe<JsonObject>({ type: 'object', maxProperties: SETTINGS_KEYS, description: 'For the hosted agent; the platform does not look into it. No secrets: anybody who may read agents reads this.' })),
  reasoning: Type.Optional(Type.Unsafe<ReasoningMode>({ enum: [...REASONING_MODES] })),
  system_prompt: Type.Optional(Type.String({ maxLength: PROMPT_CHARS })),
  tools: Type.Optional(Type.Array(Type.String({ minLength: 1, maxLength: NAME_CHARS }), { maxItems: TOOLS_PER_AGENT, uniqueItems: true, description: 'Tools that the agent may propose.' })),
  model: Type.Optional(ModelInput),
  max_steps: Type.Optional(Type.Integer({ minimum: 1, maximum: LIMITS.stepsPerRunCeiling })),
  think_timeout_ms: Type.Optional(Type.Integer({ minimum: 1, maximum: LIMITS.thinkTimeoutCeilingMs })),
  dry_run: Type.Optional(Type.Boolean({ description: 'Only say what would be done.' })),
  fallback_text: ShortText('Told to the user when no model answers.'),
});

const CreateAgentBody = Strict(
  {
    name: Name('Name of the agent; all its versions share it.'),
    version: Type.String({ minLength: 1, maxLength: VERSION_CHARS, pattern: NAME_PATTERN, description: 'Version of this configuration, e.g. 1.0.0.' }),
    configuration: Type.Optional(ConfigurationInput),
  },
  { examples: [{ name: 'soc-triage', version: '1.0.0', configuration: { system_prompt: 'You triage security alerts.', tools: ['check_ip_reputation', 'block_ip'] } }] },
);

const ListAgentsQuery = Strict({
  name: Type.Optional(Type.String({ minLength: 1, maxLength: NAME_CHARS })),
  status: Type.Optional(Type.Unsafe<AgentStatus>({ enum: STATUSES })),
  ...PAGE,
});

export const agentRoutes: Routes = ({ port }) => (app, _options, done) => {
  app.get('/agents', {
    config: { scope: 'agents:read' },
    schema: { operationId: 'listAgents', tags: ['agents'], summary: 'List agent versions', querystring: ListAgentsQuery, response: { 200: pageOf(AgentView) } },
    handler: async (request, reply) => {
      const filter = { name: request.query.name ?? null, status: request.query.status ?? null };
      return reply.code(200).send(toPage(await port.listAgents(callerOf(request), filter, toPageRequest(request.query)), toAgentView));
    },
  });

  app.post('/agents', {
    config: { scope: 'agents:write', errors: ['conflict'] },
    schema: {
      operationId: 'createAgent',
      tags: ['agents'],
      summary: 'Create an agent version',
      description: 'A version never changes: the same configuration again is answered with 200, another one with 409. It is a draft until published.',
      body: CreateAgentBody,
      response: { 200: refTo(AgentView), 201: refTo(AgentView) },
    },
    handler: async (request, reply) => {
      const { name, version, configuration } = request.body;
      refuseUuidName(name);
      const { agent, created } = await port.createAgent(callerOf(request), { name, version, configuration: toConfiguration(configuration ?? {}) });
      return reply.code(created ? 201 : 200).header('location', `/api/v1/agents/${agent.agent.id}`).send(toAgentView(agent));
    },
  });

  app.get('/agents/:agent_id', {
    config: { scope: 'agents:read', errors: ['not_found'] },
    schema: { operationId: 'getAgent', tags: ['agents'], summary: 'Get an agent version', params: AgentRefParams, response: { 200: refTo(AgentView) } },
    handler: async (request, reply) => reply.code(200).send(toAgentView(await port.getAgent(callerOf(request), request.params.agent_id))),
  });

  app.post('/agents/:agent_id/publish', {
    config: { scope: 'agents:write', errors: ['not_found', 'conflict'] },
    schema: {
      operationId: 'publishAgent',
      tags: ['agents'],
      summary: 'Make a version the current one',
      description: 'What the bare name means from now on; running runs keep their version. Publishing an older version again is the rollback.',
      params: AgentRefParams,
      body: Strict({}),
      response: { 200: refTo(AgentView) },
    },
    handler: async (request, reply) => reply.code(200).send(toAgentView(await port.publishAgent(callerOf(request), request.params.agent_id))),
  });

  app.post('/agents/:agent_id/deprecate', {
    config: { scope: 'agents:write', errors: ['not_found', 'conflict'] },
    schema: { operationId: 'deprecateAgent', tags: ['agents'], summary: 'Take a version out of use', params: AgentRefParams, body: Strict({}), response: { 200: refTo(AgentView) } },
    handler: async (request, reply) => reply.code(200).send(toAgentView(await port.deprecateAgent(callerOf(request), request.params.agent_id))),
  });

  done();
};

/** Partial in, total out; each default and its reason is in the kernel's AGENT_DEFAULTS. */
function toConfiguration(input: Static<typeof ConfigurationInput>): AgentConfiguration {
  const model = input.model ?? {};
  const defaults = AGENT_DEFAULTS;
  return {
    description: input.description ?? defaults.description,
    runtime: input.runtime ?? defaults.runtime,
    entrypoint: input.entrypoint ?? defaults.entrypoint,
    settings: input.settings ?? defaults.settings,
    reasoning: input.reasoning ?? defaults.reasoning,
    systemPrompt: input.system_prompt ?? defaults.systemPrompt,
    tools: input.tools ?? defaults.tools,
    model: {
      name: model.name ?? defaults.model.name,
      temperature: model.temperature ?? defaults.model.temperature,
      maxTokens: model.max_tokens ?? defaults.model.maxTokens,
      toolCalling: model.tool_calling ?? defaults.model.toolCalling,
      // Left out where it is not given: a version that was made before is still the same.
      ...(model.allowed === undefined ? {} : { allowed: model.allowed }),
    },
    maxSteps: input.max_steps ?? defaults.maxSteps,
    thinkTimeoutMs: input.think_timeout_ms ?? defaults.thinkTimeoutMs,
    dryRun: input.dry_run ?? defaults.dryRun,
    fallbackText: input.fallback_text ?? defaults.fallbackText,
  };
}

/** In `/agents/{agent_id}` a UUID is always an id. */
function refuseUuidName(name: string): void {
  if (!isUuid(name)) return;
  throw new PlatformError('invalid_input', '`name` must not look like a UUID.', { details: { field: 'name', in: 'body', cure: 'Choose a name for people.' } });
}
