import { createHmac } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import type { Pool } from 'pg';
import type { Logger } from 'pino';
import type { AuditFact } from '@openeaap/kernel';
import { PlatformError, randomIds, toPlatformError } from '@openeaap/kernel';
import type { AnswerCache, Gateway, GatewayConfig, KeyResolver, RedisLink, SharedCounters } from '@openeaap/msig';
import {
  createAccountant,
  createAnswerCache,
  createEgressGuard,
  createEmbed,
  createGateway,
  createKeyResolver,
  createRedisCounters,
  describeInactiveSettings,
  openRedisLink,
  parseGatewayConfig,
  toEgressAudit,
  withOpenAiEnvironment,
} from '@openeaap/msig';
import { createSemanticStore, findLiveModelKey, giveLimits, takeLimits, touchModelKey, writeModelUsage } from '@openeaap/store';
import type { ServerConfig } from './config.ts';
import { followFile } from './follow-file.ts';
import type { Metrics } from './metrics.ts';
import type { PolicyKeeper } from './policy-keeper.ts';

export interface OpenedGateway {
  readonly gateway: Gateway;
  readonly keys: KeyResolver;
  readonly close: () => Promise<void>;
}

export interface OpenGatewayParts {
  readonly config: ServerConfig;
  readonly pool: Pool;
  readonly policy: PolicyKeeper;
  readonly metrics: Metrics;
  readonly log: Logger;
  /** The installation's secret; keys for single purposes are made from it. */
  readonly secret: string;
  readonly appendAudit: (facts: readonly AuditFact[]) => Promise<void>;
  /** How often it looks at its file; a change holds at the second look. */
  readonly followMs?: number;
}

const FILE = 'msig.yaml';
const FOLLOW_MS = 2_000;

/** The gateway with everything that it needs of the platform; follows its configuration file. */
export async function openGateway(parts: OpenGatewayParts): Promise<OpenedGateway> {
  const { config, pool, policy, metrics, log, appendAudit, followMs = FOLLOW_MS } = parts;
  const file = path.join(config.configDir, FILE);
  const text = await readFile(file, 'utf8').catch((thrown: unknown) => {
    throw new PlatformError('invalid_input', `${file} cannot be read. It names the model backends; start from the one that comes with the platform.`, { cause: thrown });
  });
  const parse = (yaml: string): GatewayConfig => {
    const parsed = withOpenAiEnvironment(parseGatewayConfig(yaml, config.environment, FILE), config.openAi);
    for (const note of describeInactiveSettings(parsed)) log.info({ file: FILE }, note);
    return parsed;
  };
  let current = parse(text);
  const keyFor = (purpose: string): string => createHmac('sha256', parts.secret).update(`gateway:${purpose}`).digest('base64url');
  const store = limitStoreOf(current);
  const limitsLink = store === 'postgres' ? null : openLink(store, log);
  const accountant = createAccountant({
    limits: () => current.limits,
    counters: limitsLink === null ? countersIn(pool) : createRedisCounters({ link: limitsLink }),
    writeUsage: (batchId, rows) => writeModelUsage(pool, batchId, rows),
    newId: randomIds.newId,
    onError: (err) => log.warn({ err }, 'what models were asked could not be written down'),
  });
  const gateway: Gateway = createGateway(current, {
    now: Date.now,
    newId: randomIds.newId,
    random: Math.random,
    readScript: (script) => readFileSync(path.resolve(config.configDir, script), 'utf8'),
    guard: createEgressGuard({ scanner: policy.scanner, placeholderKey: keyFor('placeholders') }),
    auditEgress: async (fact) => appendAudit([toEgressAudit(fact)]),
    saltKey: keyFor('salts'),
    openCache: (of) => openCache(of, { parts, hashKey: keyFor('cache'), gateway: () => gateway }),
    accountant,
    observe: metrics.observeModel,
    onFleetEvent: metrics.observeFleet,
  });
  const followed = followFile({
    file,
    text,
    intervalMs: followMs,
    apply: async (changed) => {
      const next = parse(changed);
      gateway.reload(next);
      current = next;
      if (limitStoreOf(next) !== store) log.warn({ file: FILE }, 'limits_in, or the Redis that it means, has changed: limits are counted where they were until the program is restarted');
      log.info({ file: FILE, backends: next.backends.length }, 'the gateway follows its changed configuration');
    },
    onError: (thrown) => {
      const error = toPlatformError(thrown);
      log.error({ file: FILE, code: error.code, detail: error.message }, 'the changed configuration of the gateway cannot be used; it goes on with the last good one');
    },
  });
  const keys = createKeyResolver({ find: (hash) => findKey(pool, hash, log), now: Date.now });
  return {
    gateway,
    keys,
    close: async () => {
      followed.stop();
      await gateway.close();
      await limitsLink?.close();
    },
  };
}

/**
 * `postgres`, or the URL of a Redis: for the life of the process. What was taken in one store cannot
 * be given back in another, and a budget must not begin anew because a file was saved.
 */
function limitStoreOf({ limitsIn, cache }: GatewayConfig): string {
  return limitsIn === 'redis' && cache.redisUrl !== undefined ? cache.redisUrl() : 'postgres';
}

const openLink = (url: string, log: Logger): RedisLink => openRedisLink(url, { log: (line) => log.warn(line), random: Math.random });

function countersIn(pool: Pool): SharedCounters {
  return { take: (tenantId, items) => takeLimits(pool, tenantId, items), give: (tenantId, items) => giveLimits(pool, tenantId, items) };
}

interface CacheParts {
  readonly parts: OpenGatewayParts;
  readonly hashKey: string;
  readonly gateway: () => Gateway;
}

/** With a way to Redis of its own, so that both follow the configuration together. */
function openCache({ cache, semanticCache }: GatewayConfig, { parts, hashKey, gateway }: CacheParts): AnswerCache | null {
  if (!cache.l1.enabled && !cache.l2.enabled && !semanticCache.enabled) return null;
  const { policy, metrics, log } = parts;
  const needsRedis = cache.l2.enabled || (semanticCache.enabled && semanticCache.backend === 'redis-vector');
  const redis = needsRedis && cache.redisUrl !== undefined ? openLink(cache.redisUrl(), log) : null;
  const answers = createAnswerCache({
    cache,
    semantic: semanticCache,
    now: Date.now,
    random: Math.random,
    redis,
    vectors: semanticCache.enabled && semanticCache.backend === 'postgres' ? createSemanticStore(parts.pool, { maxEntries: semanticCache.maxEntries }) : null,
    embed: semanticCache.embeddingBackend === null ? null : createEmbed(gateway, semanticCache.embeddingBackend),
    mayStore: (text) => policy.scanner().scan(text).length === 0,
    hashKey,
    observe: metrics.observeCache,
    log: (line) => log.info(line),
  });
  return {
    through: answers.through,
    close: async () => {
      await answers.close();
      await redis?.close();
    },
  };
}

/** That it was used is worth a moment of the database, and not of the caller. */
async function findKey(pool: Pool, hash: string, log: Logger): ReturnType<typeof findLiveModelKey> {
  const key = await findLiveModelKey(pool, hash);
  if (key !== null) touchModelKey(pool, key.tenantId, key.id).catch((err: unknown) => log.warn({ err }, 'the last use of a key could not be noted'));
  return key;
}
