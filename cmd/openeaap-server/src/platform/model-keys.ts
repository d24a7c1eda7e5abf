import type { AuditFact, JsonObject, JsonValue, ModelKey, ModelKeySpec, ModelLimits } from '@openeaap/kernel';
import { isUuid, MODEL_LIMIT_FIELDS, PlatformError } from '@openeaap/kernel';
import type { Caller, CreateModelKeyRequest, ModelKeyChange, ModelKeyItem, ModelKeyPort } from '@openeaap/http';
import { actsForOthers } from '@openeaap/http';
import { newModelKeySecret } from '@openeaap/msig';
import { appendAudit, createModelKey, findModelKey, listModelKeys, revokeModelKey, sumModelUsage, updateModelKey } from '@openeaap/store';
import type { PlatformContext } from './context.ts';
import { pageById } from './page.ts';

/** Of a tenant, revoked ones included: their names stay taken, for the ledger speaks of them. */
const KEYS_MAX = 10_000;

type Context = Pick<PlatformContext, 'pool' | 'lane' | 'clock' | 'ids' | 'modelKeys'>;

export function createModelKeyPort(context: Context): ModelKeyPort {
  const { pool } = context;
  return {
    listModelKeys: async (caller, filter, page) => {
      const { tenantId, userId } = caller.principal;
      const owner = actsForOthers(caller) ? filter.owner : userId;
      if (filter.owner !== null && filter.owner !== owner) return { items: [], nextCursor: null };
      const found = await pageById<ModelKey>(
        page,
        (key) => key.id,
        ({ before, limit }) => listModelKeys(pool, { tenantId, owner: owner ?? undefined, withRevoked: filter.withRevoked, before, limit }),
      );
      return { items: found.items.map((key) => toItem(context, key)), nextCursor: found.nextCursor };
    },
    createModelKey: (caller, request) => create(context, caller, request),
    getModelKey: async (caller, ref) => toItem(context, await ownKey(context, caller, ref)),
    updateModelKey: (caller, ref, change) => update(context, caller, ref, change),
    revokeModelKey: async (caller, ref) => {
      const key = await ownKey(context, caller, ref);
      if (key.revokedAt !== null) return toItem(context, key);
      await context.lane.withAudit([toFact(caller, key, 'revoked', null)], async (db, rows) => ((await revokeModelKey(db, key.tenantId, key.id)) === null ? null : appendAudit(db, rows)));
      context.modelKeys.forget(key.id);
      return toItem(context, await ownKey(context, caller, key.id));
    },
    getModelUsage: (caller, query) =>
      sumModelUsage(pool, {
        tenantId: caller.principal.tenantId,
        groupBy: query.groupBy,
        from: query.from ?? undefined,
        to: query.to ?? undefined,
        userId: actsForOthers(caller) ? undefined : caller.principal.userId,
        limit: query.limit,
      }),
  };
}

async function create(context: Context, caller: Caller, request: CreateModelKeyRequest): Promise<{ readonly key: ModelKeyItem; readonly secret: string }> {
  const { tenantId, userId } = caller.principal;
  const { expiry, ...spec } = request;
  refuseReach(caller, spec);
  const { secret, hash, prefix } = newModelKeySecret();
  const expiresAt = toExpiresAt(context, expiry);
  const wanted = { ...spec, labelsGranted: actsForOthers(caller), expiresAt, tenantId, id: context.ids.newId(), keyHash: hash, prefix, createdBy: userId };
  const made: { key: ModelKey | null } = { key: null };
  await context.lane.withAudit([toFact(caller, wanted, 'created', toChangeText({ ...spec, expiresAt }))], async (db, rows) => {
    made.key = await createModelKey(db, wanted, KEYS_MAX);
    return made.key === null ? null : appendAudit(db, rows);
  });
  if (made.key === null) throw await toRefusal(context, tenantId, spec.name);
  return { key: toItem(context, made.key), secret };
}

async function toRefusal(context: Context, tenantId: string, name: string): Promise<PlatformError> {
  return (await findModelKey(context.pool, tenantId, { name })) === null
    ? new PlatformError('conflict', `There are ${KEYS_MAX} model keys already, the most that there can be, revoked ones included.`)
    : new PlatformError('conflict', `There is, or was, a model key "${name}". Choose another name.`, { details: { field: 'name' } });
}

async function update(context: Context, caller: Caller, ref: string, change: ModelKeyChange): Promise<ModelKeyItem> {
  const key = await ownKey(context, caller, ref);
  if (key.revokedAt !== null) throw new PlatformError('conflict', `The model key "${key.name}" is revoked, for good. Make a new one.`);
  if (key.createdBy !== caller.principal.userId && !actsForOthers(caller)) {
    throw new PlatformError('permission_denied', `The model key "${key.name}" was made for you by somebody else; you may revoke it, not change it.`, { details: { scope: 'act_for_others' } });
  }
  const { limits, ...rest } = change;
  refuseReach(caller, rest);
  if (rest.expiresAt !== undefined && rest.expiresAt !== null) refusePast(context, rest.expiresAt);
  const labelsGranted = rest.labels === undefined ? key.labelsGranted : actsForOthers(caller);
  const wanted: ModelKey = { ...key, ...rest, labelsGranted, limits: { ...key.limits, ...limits } };
  const saved: { key: ModelKey | null } = { key: null };
  await context.lane.withAudit([toFact(caller, key, 'changed', toChangeText(change))], async (db, rows) => {
    saved.key = await updateModelKey(db, wanted);
    return saved.key === null ? null : appendAudit(db, rows);
  });
  if (saved.key === null) throw new PlatformError('conflict', 'Somebody else has changed or revoked the model key at this moment. Look at it again.');
  context.modelKeys.forget(key.id);
  return toItem(context, saved.key);
}

/** Who may not act for others gets nothing by a key that he has not himself: neither cached answers of other groups nor a place before others. */
function refuseReach(caller: Caller, { labels = [], priority = 0 }: Partial<Pick<ModelKeySpec, 'labels' | 'priority'>>): void {
  if (actsForOthers(caller)) return;
  const foreign = labels.find((label) => !caller.principal.groups.includes(label));
  if (foreign !== undefined) throw new PlatformError('permission_denied', `You are not in the group "${foreign}", so your key cannot have its label.`, { details: { field: 'labels', scope: 'act_for_others' } });
  if (priority < 0) throw new PlatformError('permission_denied', 'A priority before that of others needs the scope act_for_others.', { details: { field: 'priority', scope: 'act_for_others' } });
}

function toExpiresAt(context: Context, expiry: CreateModelKeyRequest['expiry']): Date | null {
  if (expiry === null) return null;
  if (expiry.kind === 'after') return new Date(context.clock.now().getTime() + expiry.delayMs);
  refusePast(context, expiry.at);
  return expiry.at;
}

function refusePast(context: Context, expiresAt: Date): void {
  if (expiresAt.getTime() > context.clock.now().getTime()) return;
  throw new PlatformError('invalid_input', '`expires_at` must be in the future.', { details: { field: 'expires_at', in: 'body', cure: 'To end a key now, revoke it.' } });
}

/** Another's key is not found, so that names cannot be probed. */
async function ownKey(context: Context, caller: Caller, ref: string): Promise<ModelKey> {
  const key = await findModelKey(context.pool, caller.principal.tenantId, isUuid(ref) ? { id: ref } : { name: ref });
  if (key === null || !(actsForOthers(caller) || key.owner === caller.principal.userId)) throw new PlatformError('not_found', `There is no model key "${ref}".`, { details: { field: 'model_key_id' } });
  return key;
}

function toItem(context: Context, key: ModelKey): ModelKeyItem {
  if (key.revokedAt !== null) return { ...key, status: 'revoked' };
  return { ...key, status: key.expiresAt !== null && key.expiresAt.getTime() <= context.clock.now().getTime() ? 'expired' : 'active' };
}

/** What was asked for, in the names of the API. */
function toChangeText({ name, models, sensitivity, labels, priority, limits, expiresAt }: ModelKeyChange): JsonObject {
  const fields: Readonly<Record<string, JsonValue | undefined>> = {
    name,
    models: models === undefined || models === null ? models : [...models],
    sensitivity,
    labels: labels === undefined ? undefined : [...labels],
    priority,
    limits: limits === undefined ? undefined : toLimitText(limits),
    expires_at: expiresAt === undefined ? undefined : (expiresAt?.toISOString() ?? null),
  };
  return Object.fromEntries(Object.entries(fields).flatMap(([field, value]) => (value === undefined ? [] : [[field, value]])));
}

const toLimitText = (limits: Partial<ModelLimits>): JsonObject => Object.fromEntries(MODEL_LIMIT_FIELDS.flatMap(({ of, name }) => (limits[of] === undefined ? [] : [[name, limits[of]]])));

function toFact(caller: Caller, key: Pick<ModelKey, 'id' | 'name' | 'owner'>, outcome: string, input: JsonValue | null): AuditFact {
  return {
    tenantId: caller.principal.tenantId,
    runId: null,
    traceId: '',
    actor: `user:${caller.principal.userId}`,
    action: 'model_key_change',
    phase: 'event',
    decision: null,
    outcome,
    rule: null,
    stepNo: null,
    metadata: { model_key: key.name, model_key_id: key.id, owner: key.owner, key_id: caller.keyId },
    input,
    output: null,
  };
}
