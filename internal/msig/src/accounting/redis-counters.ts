import { createHash } from 'node:crypto';
import { PlatformError } from '@openeaap/kernel';
import type { RedisClient, RedisLink } from '../cache/redis-link.ts';
import type { CounterState } from './limit-window.ts';
import { GIVE_SCRIPT, TAKE_SCRIPT } from './redis-scripts.ts';
import type { SharedCounters, TakeResult } from './shared-counters.ts';

export interface RedisCountersDeps {
  readonly link: Pick<RedisLink, 'run'>;
  /** For tests; not set: the clock of the server, which all nodes share. */
  readonly now?: () => number;
  /** After so long a script counts as late, and with several late ones the link as down. */
  readonly lateMs?: number;
}

const LATE_MS = 500;
const RETRY_AFTER_MS = 1_000;

/**
 * One script for each call, so that nobody comes between the look and the take. A late one is not
 * given up, for it is still done, and whoever asked has to know: how long to wait is his to say.
 * The link ends it with its connection.
 */
export function createRedisCounters({ link, now, lateMs = LATE_MS }: RedisCountersDeps): SharedCounters {
  const clock = (): string => (now === undefined ? '' : String(now()));
  const run = async (script: Script, keys: readonly string[], args: readonly string[]): Promise<unknown> => {
    const sent: { answer: Promise<unknown> | null } = { answer: null };
    const inTime = await link.run((client) => (sent.answer = evaluate(client, script, { keys: [...keys], arguments: [...args] })), lateMs);
    if (inTime !== null) return inTime;
    if (sent.answer === null) throw unavailable(false, undefined);
    return sent.answer.catch((thrown: unknown) => {
      throw unavailable(true, thrown);
    });
  };
  return {
    take: async (tenantId, items) => {
      const args = items.flatMap(({ window, amount, limit }) => [window, String(amount), String(limit)]);
      return toResult(await run(TAKE, items.map(({ counter }) => keyOf(tenantId, counter)), [clock(), ...args]));
    },
    give: async (tenantId, items) => {
      const args = items.flatMap(({ window, bucket, amount }) => [window, String(bucket), String(amount)]);
      await run(GIVE, items.map(({ counter }) => keyOf(tenantId, counter)), [clock(), ...args]);
    },
  };
}

const unavailable = (sent: boolean, cause: unknown): PlatformError =>
  new PlatformError('unavailable', 'The limits cannot be checked at the moment: Redis does not answer.', { details: { reason: 'limits_unavailable', sent, retry_after_ms: RETRY_AFTER_MS }, cause });

interface Script {
  readonly text: string;
  readonly sha: string;
}

const toScript = (text: string): Script => ({ text, sha: createHash('sha1').update(text).digest('hex') });
const TAKE = toScript(TAKE_SCRIPT);
const GIVE = toScript(GIVE_SCRIPT);

/** A server that was restarted has forgotten its scripts. */
async function evaluate(client: RedisClient, { text, sha }: Script, options: { readonly keys: string[]; readonly arguments: string[] }): Promise<unknown> {
  try {
    return await client.evalSha(sha, options);
  } catch (thrown) {
    if (!(thrown instanceof Error) || !thrown.message.startsWith('NOSCRIPT')) throw thrown;
    return client.eval(text, options);
  }
}

/** In braces is what a cluster hashes: the counters of one request lie on one node. */
const keyOf = (tenantId: string, counter: string): string => `openeaap:limit:{${encodeURIComponent(tenantId)}}:${counter}`;

/** `[granted, now, then bucket, used, before of each]`, as texts: Lua's numbers become 64-bit integers on their way. */
function toResult(answer: unknown): TakeResult {
  const numbers = Array.isArray(answer) ? answer.map(Number) : [];
  const [granted, nowMs, ...parts] = numbers;
  if (granted === undefined || nowMs === undefined || numbers.some(Number.isNaN)) throw new PlatformError('unavailable', 'The limits cannot be checked: Redis answered with something else than counters.');
  const states = Array.from({ length: parts.length / 3 }, (_, at): CounterState => ({ bucket: parts[at * 3] ?? 0, used: parts[at * 3 + 1] ?? 0, before: parts[at * 3 + 2] ?? 0 }));
  return { kind: granted === 1 ? 'granted' : 'exceeded', nowMs, states };
}
