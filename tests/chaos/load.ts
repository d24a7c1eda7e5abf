import { createApiClient } from '../e2e/harness/api-client.ts';
import { textAt } from '../e2e/harness/json.ts';
import type { Platform } from '../e2e/harness/start-platform.ts';
import { AGENT, GATED, REJECTED } from './installation.ts';
import type { PatientClient } from './patient-client.ts';
import type { SeededRandom } from './seeded-random.ts';

/** One run as its client knows it. */
export interface LoadedRun {
  readonly key: string;
  readonly kind: RunKind;
  readonly input: string;
  /** Addresses that it blocks by the call that may be repeated under its key. */
  readonly blocks: readonly string[];
  /** Addresses that it blocks by the call that may not. */
  readonly once: readonly string[];
  /** Refused by the person: nothing may be blocked. */
  readonly isRejected: boolean;
  /** Ids that were acknowledged for the key, of which there must be one alone. */
  readonly acknowledged: Set<string>;
  isCancelled: boolean;
  /** What a reader has been sent, where there was one. */
  readonly followed: FollowedEvent[] | null;
  reconnects: number;
}

export interface FollowedEvent {
  readonly seq: number;
  readonly type: string;
}

export type RunKind = 'think' | 'reads' | 'long' | 'block' | 'gated block' | 'once' | 'gated once' | 'both' | 'rejected' | 'cancelled';

const KINDS = ['think', 'reads', 'long', 'block', 'gated block', 'once', 'gated once', 'both', 'rejected', 'cancelled'] as const satisfies readonly RunKind[];
const OPEN = '45.2.';
/** Requests that are sent twice at the same time, as an impatient client does. */
const TWICE_SHARE = 0.1;
const CANCEL_WITHIN_MS = 4_000;
const FOLLOW_LIMIT_MS = 600_000;
const RECONNECT_MS = 500;

export interface LoadOptions {
  readonly client: PatientClient;
  readonly random: SeededRandom;
  /** A node that answers now, or null. */
  readonly findNode: () => Platform | null;
  /** Keys begin with it. */
  readonly prefix: string;
  /** Of the runs that have a reader of their events. */
  readonly followedShare: number;
}

export interface Load {
  readonly runs: readonly LoadedRun[];
  /** Sends one more run, and whatever belongs to it; never rejects. */
  readonly send: () => void;
  /** Resolves when every request has its answer and every reader has seen the end. */
  readonly settled: () => Promise<void>;
  /** What went wrong on the way. */
  readonly errors: readonly string[];
}

export function createLoad(options: LoadOptions): Load {
  const runs: LoadedRun[] = [];
  const errors: string[] = [];
  const underWay = new Set<Promise<void>>();
  const keep = (work: Promise<void>): void => {
    const watched = work.catch((error: unknown) => void errors.push(String(error))).finally(() => underWay.delete(watched));
    underWay.add(watched);
  };
  return {
    runs,
    errors,
    send: () => {
      const run = makeRun(runs.length, options);
      runs.push(run);
      keep(accept(run, options));
      if (options.random.next() < TWICE_SHARE) keep(acceptOnly(run, options));
    },
    settled: async () => {
      while (underWay.size > 0) await Promise.all(underWay);
    },
  };
}

function makeRun(no: number, { random, prefix, followedShare }: LoadOptions): LoadedRun {
  const kind = random.pick(KINDS);
  const address = (net: string): string => `${net}${Math.floor(no / 125)}.${(no % 125) * 2 + 1}`;
  // The odd one beside it: a run that does both blocks two addresses.
  const other = (net: string): string => `${net}${Math.floor(no / 125)}.${(no % 125) * 2 + 2}`;
  const gated = random.next() < 0.5;
  const made: Pick<LoadedRun, 'input' | 'blocks' | 'once'> = {
    think: { input: 'think', blocks: [], once: [] },
    reads: { input: `read ${address(OPEN)}; add 1; read ${other(OPEN)}`, blocks: [], once: [] },
    long: { input: Array.from({ length: 10 }, (_none, index) => `add ${index}`).join('; '), blocks: [], once: [] },
    block: { input: `read ${address(OPEN)}; block ${address(OPEN)}`, blocks: [address(OPEN)], once: [] },
    'gated block': { input: `block ${address(GATED)}`, blocks: [address(GATED)], once: [] },
    once: { input: `once ${address(OPEN)}; add 1`, blocks: [], once: [address(OPEN)] },
    'gated once': { input: `once ${address(GATED)}`, blocks: [], once: [address(GATED)] },
    both: { input: `block ${address(OPEN)}; once ${other(gated ? GATED : OPEN)}`, blocks: [address(OPEN)], once: [other(gated ? GATED : OPEN)] },
    rejected: { input: `block ${address(REJECTED)}; add 1`, blocks: [address(REJECTED)], once: [] },
    cancelled: { input: `add 1; once ${address(OPEN)}; block ${other(gated ? GATED : OPEN)}; add 2; add 3`, blocks: [other(gated ? GATED : OPEN)], once: [address(OPEN)] },
  }[kind];
  return { ...made, key: `${prefix}${no}`, kind, isRejected: kind === 'rejected', acknowledged: new Set(), isCancelled: false, followed: random.next() < followedShare ? [] : null, reconnects: 0 };
}

async function accept(run: LoadedRun, options: LoadOptions): Promise<void> {
  const cancelAfterMs = options.random.between(0, CANCEL_WITHIN_MS);
  await acceptOnly(run, options);
  const [runId = ''] = run.acknowledged;
  const following = run.followed === null ? null : follow(run, runId, options);
  if (run.kind === 'cancelled') await cancelLater(run, runId, cancelAfterMs, options);
  await following;
}

async function acceptOnly(run: LoadedRun, { client }: LoadOptions): Promise<void> {
  const { status, body } = await client.post(`/agents/${AGENT}/runs`, { input: run.input }, { 'idempotency-key': run.key });
  if (status !== 200 && status !== 202) throw new Error(`the run ${run.key} was answered ${status}: ${JSON.stringify(body)}`);
  run.acknowledged.add(textAt(body, 'run_id'));
}

async function cancelLater(run: LoadedRun, runId: string, afterMs: number, { client }: LoadOptions): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, afterMs));
  const { status, body } = await client.post(`/runs/${runId}/cancel`, { reason: 'chaos' });
  // 409: it had ended.
  if (![200, 202, 409].includes(status)) throw new Error(`the cancellation of ${run.key} was answered ${status}: ${JSON.stringify(body)}`);
  run.isCancelled = status !== 409;
}

const ENDS = new Set(['run_completed', 'run_failed', 'run_cancelled']);

/** Reads the events as an EventSource does: cut off, it asks some node for what comes after the last one that it has seen. */
async function follow(run: LoadedRun, runId: string, { findNode }: LoadOptions): Promise<void> {
  const seen = run.followed ?? [];
  const deadline = Date.now() + FOLLOW_LIMIT_MS;
  while (!ENDS.has(seen.at(-1)?.type ?? '')) {
    if (Date.now() > deadline) throw new Error(`the reader of ${run.key} did not see its end within ${FOLLOW_LIMIT_MS} ms`);
    const node = findNode();
    const last = seen.at(-1)?.seq;
    if (node !== null) {
      try {
        const api = createApiClient(node.url, node.api.apiKey);
        for await (const { id, type } of api.stream(`/runs/${runId}/events`, last === undefined ? {} : { headers: { 'last-event-id': String(last) } })) {
          if (id !== null) seen.push({ seq: id, type });
        }
      } catch {
        // Cut off, or the node is going: the next one goes on.
      }
      run.reconnects += 1;
    }
    if (!ENDS.has(seen.at(-1)?.type ?? '')) await new Promise((resolve) => setTimeout(resolve, RECONNECT_MS));
  }
}
