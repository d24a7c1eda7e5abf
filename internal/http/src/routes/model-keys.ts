import type { Static } from '@fastify/type-provider-typebox';
import { Type } from '@fastify/type-provider-typebox';
import type { ModelLimitField, ModelLimitName, ModelLimits, Sensitivity } from '@openeaap/kernel';
import { isUuid, MODEL_LIMIT_BOUNDS, MODEL_LIMIT_FIELDS, NO_MODEL_LIMITS, PlatformError } from '@openeaap/kernel';
import type { Caller, CreateModelKeyRequest, ModelKeyChange } from '../port.ts';
import { NAME_CHARS, NAME_PATTERN, PAGE, Strict, toPageRequest } from '../request-schema.ts';
import type { Routes } from '../route-context.ts';
import { callerOf } from '../route-context.ts';
import { actsForOthers } from '../scope.ts';
import { toModelKeyView, toPage } from '../to-view.ts';
import { ModelKeyCreatedView, ModelKeyView, pageOf, refTo } from '../view-schema.ts';

const KEY_NAME_CHARS = 100;
const SERVICE_CHARS = 100;
const MODELS_MAX = 256;
const LABELS_MAX = 64;
/** vLLM takes any integer; so many steps are enough for people. */
const PRIORITY_MAX = 1_000;
const EXPIRY_MAX_S = 315_360_000;

const limitOf = ({ unit, about }: ModelLimitField) => {
  const { min: minimum, max: maximum } = MODEL_LIMIT_BOUNDS[unit];
  const number = unit === 'usd' ? Type.Number({ minimum, maximum }) : Type.Integer({ minimum, maximum });
  return Type.Optional(Type.Union([number, Type.Null()], { description: `${about}.` }));
};

const LIMITS = Type.Unsafe<Readonly<Partial<Record<ModelLimitName, number | null>>>>(Strict(Object.fromEntries(MODEL_LIMIT_FIELDS.map((field) => [field.name, limitOf(field)]))));

const FIELDS = {
  name: Type.String({ minLength: 1, maxLength: KEY_NAME_CHARS, pattern: NAME_PATTERN, description: 'Unique name of the key.' }),
  models: Type.Union([Type.Array(Type.String({ minLength: 1, maxLength: NAME_CHARS }), { minItems: 1, maxItems: MODELS_MAX }), Type.Null()], { description: 'Backends, models and capabilities that may be asked for; null (default): all.' }),
  sensitivity: Type.Unsafe<Sensitivity>({ enum: [1, 2, 3], description: 'What is asked with it counts as this secret: 1 Public (default), 2 Internal, 3 Confidential. Confidential content never goes to an external backend.' }),
  labels: Type.Array(Type.String({ minLength: 1, maxLength: NAME_CHARS }), { maxItems: LABELS_MAX, uniqueItems: true, description: 'Access labels of what the holder reads; cached answers are shared among equal labels only. Others than your own groups need the scope act_for_others; a key with your own opens nothing once you have left one of them.' }),
  priority: Type.Integer({ minimum: -PRIORITY_MAX, maximum: PRIORITY_MAX, description: 'Lower is sooner; default 0. Below 0 needs the scope act_for_others.' }),
};

const CreateBody = Strict(
  {
    name: FIELDS.name,
    user_id: Type.Optional(Type.String({ minLength: 1, maxLength: NAME_CHARS, description: 'Who is billed; default: you. Another needs the scope act_for_others.' })),
    service: Type.Optional(Type.String({ minLength: 1, maxLength: SERVICE_CHARS, pattern: NAME_PATTERN, description: 'Bill a service of this name instead of a user; needs the scope act_for_others.' })),
    models: Type.Optional(FIELDS.models),
    sensitivity: Type.Optional(FIELDS.sensitivity),
    labels: Type.Optional(FIELDS.labels),
    priority: Type.Optional(FIELDS.priority),
    limits: Type.Optional(LIMITS),
    expires_at: Type.Optional(Type.String({ format: 'date-time', description: 'It opens nothing from then on; default: never.' })),
    expires_in_s: Type.Optional(Type.Integer({ minimum: 1, maximum: EXPIRY_MAX_S, description: 'Instead of expires_at.' })),
  },
  { examples: [{ name: 'ci-reviewer', service: 'ci', models: ['local-llm'], limits: { requests_per_minute: 60, tokens_per_day: 2_000_000, usd_per_month: 50 }, expires_in_s: 7_776_000 }] },
);

const UpdateBody = Strict(
  {
    name: Type.Optional(FIELDS.name),
    models: Type.Optional(FIELDS.models),
    sensitivity: Type.Optional(FIELDS.sensitivity),
    labels: Type.Optional(FIELDS.labels),
    priority: Type.Optional(FIELDS.priority),
    limits: Type.Optional(LIMITS),
    expires_at: Type.Optional(Type.Union([Type.String({ format: 'date-time' }), Type.Null()], { description: 'null: never.' })),
  },
  { examples: [{ limits: { usd_per_month: 100, tokens_per_day: null } }] },
);

const KeyParams = Strict({ model_key_id: Type.String({ minLength: 1, maxLength: KEY_NAME_CHARS, description: 'Id or name of the key.' }) });

const ListQuery = Strict({
  owner: Type.Optional(Type.String({ minLength: 1, maxLength: NAME_CHARS + SERVICE_CHARS, description: 'A user id, or service:NAME.' })),
  revoked: Type.Optional(Type.Boolean({ description: 'Revoked ones too. Default false.' })),
  ...PAGE,
});

/** Virtual keys: the right to ask models at the OpenAI-compatible door. */
export const modelKeyRoutes: Routes = ({ port }) => (app, _options, done) => {
  app.get('/model-keys', {
    config: { scope: 'models:keys' },
    schema: { operationId: 'listModelKeys', tags: ['model keys'], summary: 'List virtual keys, newest first', description: 'Without the scope act_for_others only those of your own.', querystring: ListQuery, response: { 200: pageOf(ModelKeyView) } },
    handler: async (request, reply) => {
      const filter = { owner: request.query.owner ?? null, withRevoked: request.query.revoked ?? false };
      return reply.code(200).send(toPage(await port.listModelKeys(callerOf(request), filter, toPageRequest(request.query)), toModelKeyView));
    },
  });

  app.post('/model-keys', {
    config: { scope: 'models:keys', errors: ['conflict'] },
    schema: {
      operationId: 'createModelKey',
      tags: ['model keys'],
      summary: 'Make a virtual key',
      description: 'The answer is the only place where the key itself is shown. Any OpenAI client works with it at the gateway’s address.',
      body: CreateBody,
      response: { 201: refTo(ModelKeyCreatedView) },
    },
    handler: async (request, reply) => {
      const caller = callerOf(request);
      const { key, secret } = await port.createModelKey(caller, toCreateRequest(caller, request.body));
      return reply.code(201).header('location', `/api/v1/model-keys/${key.id}`).send({ ...toModelKeyView(key), key: secret });
    },
  });

  app.get('/model-keys/:model_key_id', {
    config: { scope: 'models:keys', errors: ['not_found'] },
    schema: { operationId: 'getModelKey', tags: ['model keys'], summary: 'Get a virtual key', description: 'All but the key itself.', params: KeyParams, response: { 200: refTo(ModelKeyView) } },
    handler: async (request, reply) => reply.code(200).send(toModelKeyView(await port.getModelKey(callerOf(request), request.params.model_key_id))),
  });

  app.patch('/model-keys/:model_key_id', {
    config: { scope: 'models:keys', errors: ['not_found', 'conflict'] },
    schema: {
      operationId: 'updateModelKey',
      tags: ['model keys'],
      summary: 'Change a virtual key',
      description: 'What is left out stays, also of the limits; a limit that is null is lifted. All nodes follow within five seconds. Whose it is cannot be changed.',
      params: KeyParams,
      body: UpdateBody,
      response: { 200: refTo(ModelKeyView) },
    },
    handler: async (request, reply) => reply.code(200).send(toModelKeyView(await port.updateModelKey(callerOf(request), request.params.model_key_id, toChange(request.body)))),
  });

  app.delete('/model-keys/:model_key_id', {
    config: { scope: 'models:keys', errors: ['not_found'] },
    schema: { operationId: 'revokeModelKey', tags: ['model keys'], summary: 'Revoke a virtual key', description: 'For good: it opens nothing any more on the node that answers, and on the others within five seconds. What it has used stays in the ledger. Revoking it again changes nothing.', params: KeyParams, response: { 200: refTo(ModelKeyView) } },
    handler: async (request, reply) => reply.code(200).send(toModelKeyView(await port.revokeModelKey(callerOf(request), request.params.model_key_id))),
  });

  done();
};

/** Partial in, total out. Public: what people type into a chat is as secret as they say. */
function toCreateRequest(caller: Caller, body: Static<typeof CreateBody>): CreateModelKeyRequest {
  return {
    name: checkName(body.name),
    owner: toOwner(caller, body),
    models: body.models ?? null,
    sensitivity: body.sensitivity ?? 1,
    labels: body.labels ?? [],
    priority: body.priority ?? 0,
    limits: { ...NO_MODEL_LIMITS, ...toLimits(body.limits) },
    expiry: toExpiry(body),
  };
}

function toOwner(caller: Caller, { user_id: userId, service }: Static<typeof CreateBody>): string {
  if (userId !== undefined && service !== undefined) throw new PlatformError('invalid_input', 'Send `user_id` or `service`, not both.', { details: { field: 'service', in: 'body', cure: 'A key bills one of the two.' } });
  const owner = service === undefined ? (userId ?? caller.principal.userId) : `service:${service}`;
  if (owner === caller.principal.userId || actsForOthers(caller)) return owner;
  throw new PlatformError('permission_denied', 'This API key may not make model keys for others.', {
    details: { field: service === undefined ? 'user_id' : 'service', scope: 'act_for_others', cure: 'Leave it out, or use a key with the scope act_for_others.' },
  });
}

function toExpiry({ expires_at: at, expires_in_s: seconds }: Static<typeof CreateBody>): CreateModelKeyRequest['expiry'] {
  if (at !== undefined && seconds !== undefined) throw new PlatformError('invalid_input', 'Send `expires_at` or `expires_in_s`, not both.', { details: { field: 'expires_in_s', in: 'body', cure: 'Leave one of them out.' } });
  if (at !== undefined) return { kind: 'at', at: new Date(at) };
  return seconds === undefined ? null : { kind: 'after', delayMs: seconds * 1_000 };
}

function toChange(body: Static<typeof UpdateBody>): ModelKeyChange {
  if (Object.keys(body).length === 0) throw new PlatformError('invalid_input', 'There is nothing to change.', { details: { in: 'body', cure: 'Send one of: name, models, sensitivity, labels, priority, limits, expires_at.' } });
  const { name, models, sensitivity, labels, priority, limits, expires_at: expiresAt } = body;
  return {
    ...(name === undefined ? {} : { name: checkName(name) }),
    ...(models === undefined ? {} : { models }),
    ...(sensitivity === undefined ? {} : { sensitivity }),
    ...(labels === undefined ? {} : { labels }),
    ...(priority === undefined ? {} : { priority }),
    ...(limits === undefined ? {} : { limits: toLimits(limits) }),
    ...(expiresAt === undefined ? {} : { expiresAt: expiresAt === null ? null : new Date(expiresAt) }),
  };
}

function toLimits(limits: Static<typeof LIMITS> = {}): Partial<ModelLimits> {
  return Object.fromEntries(MODEL_LIMIT_FIELDS.flatMap(({ of, name }) => (limits[name] === undefined ? [] : [[of, limits[name]]])));
}

/** In `/model-keys/{model_key_id}` a UUID is always an id. */
function checkName(name: string): string {
  if (!isUuid(name)) return name;
  throw new PlatformError('invalid_input', '`name` must not look like a UUID.', { details: { field: 'name', in: 'body', cure: 'Choose a name for people.' } });
}
