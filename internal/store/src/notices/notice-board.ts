import type { Pool, PoolClient } from 'pg';
import type { Clock, Notice, PlatformError } from '@openeaap/kernel';
import { isJsonObject } from '@openeaap/kernel';
import type { Statement } from '../database.ts';
import { run, toStoreError } from '../database.ts';

/**
 * Notices between nodes, by LISTEN and NOTIFY. They are sent beside the transactions that they tell of and never in
 * one: a NOTIFY makes every commit of the server that has one wait its turn.
 *
 * Invariants: at most one statement of the board is under way, and what is posted meanwhile goes with the next one; what
 * waits is bounded, and the newest is left out beyond it; a connection that is lost is made again, and `onGap` says that
 * notices may have been missed.
 */
export interface NoticeBoard {
  /** Returns at once; never throws. */
  readonly post: (notice: Notice) => void;
  readonly close: () => Promise<void>;
}

export interface NoticeBoardOptions {
  readonly pool: Pool;
  /** Its own notices are not told to it. */
  readonly nodeId: string;
  readonly clock: Clock;
  readonly onNotice: (notice: Notice) => void;
  /** Listening has (again) begun: look at everything once. */
  readonly onGap: () => void;
  readonly onError: (error: PlatformError) => void;
  readonly retryMs?: { readonly first: number; readonly longest: number };
}

const CHANNEL = 'openeaap';
/** PostgreSQL refuses a payload of 8000 bytes. */
const PAYLOAD_BYTES = 7_900;
/** Payloads that wait for the statement under way. */
const WAITING = 1_000;

const NOTIFY: Statement = { name: 'notify', text: `SELECT pg_notify('${CHANNEL}', payload) FROM unnest($1::text[]) AS payload` };

/** Listens from the first moment on; an unreachable database only delays it. */
export function createNoticeBoard(options: NoticeBoardOptions): NoticeBoard {
  const { pool, clock, nodeId } = options;
  const retryMs = options.retryMs ?? { first: 100, longest: 2_000 };
  const closing = new AbortController();
  const waiting = new Set<string>();
  let posting: Promise<void> | null = null;
  let posted = 0;
  const listening = listenLoop();

  return {
    post: (notice) => {
      if (closing.signal.aborted || waiting.size >= WAITING) return;
      // Two pieces of text may be equal and are two; every other notice is as good once as twice.
      const payload = JSON.stringify(notice.kind === 'delta' ? { from: nodeId, no: (posted += 1), notice } : { from: nodeId, notice });
      // Only a delta can be that long, and it is no more than a preview.
      if (Buffer.byteLength(payload) > PAYLOAD_BYTES) return;
      waiting.add(payload);
      posting ??= postAll();
    },
    close: async () => {
      await posting;
      closing.abort();
      await listening;
    },
  };

  /** Never rejects. */
  async function postAll(): Promise<void> {
    while (waiting.size > 0) {
      const payloads = [...waiting];
      waiting.clear();
      try {
        await run(pool, NOTIFY, [payloads]);
      } catch (thrown) {
        options.onError(toStoreError(thrown));
      }
    }
    posting = null;
  }

  /** Never rejects. */
  async function listenLoop(): Promise<void> {
    for (let waitMs = retryMs.first; !closing.signal.aborted; waitMs = Math.min(waitMs * 2, retryMs.longest)) {
      try {
        const client = await pool.connect();
        try {
          if (closing.signal.aborted) return;
          await listen(client, () => {
            waitMs = retryMs.first;
          });
        } finally {
          // A connection that listens must not be handed to anybody else.
          client.release(true);
        }
      } catch (thrown) {
        options.onError(toStoreError(thrown));
      }
      if (!closing.signal.aborted) await clock.sleep(waitMs, closing.signal);
    }
  }

  /** Until the connection is lost or the board is closed. */
  async function listen(client: PoolClient, begun: () => void): Promise<void> {
    const over = new Promise<void>((resolve) => {
      client.on('error', () => resolve());
      client.once('end', resolve);
      if (closing.signal.aborted) resolve();
      else closing.signal.addEventListener('abort', () => resolve(), { once: true });
    });
    client.on('notification', ({ payload }) => hear(payload ?? ''));
    await client.query(`LISTEN ${CHANNEL}`);
    begun();
    options.onGap();
    await over;
  }

  function hear(payload: string): void {
    const notice = parseNotice(payload, nodeId);
    if (notice !== null) options.onNotice(notice);
  }
}

/** null: our own, or not one that this version knows. */
export function parseNotice(payload: string, nodeId: string): Notice | null {
  const told = toJson(payload);
  if (!isJsonObject(told) || told['from'] === nodeId) return null;
  const notice = told['notice'];
  if (!isJsonObject(notice)) return null;
  const { kind, runId, runIds, delta } = notice;
  switch (kind) {
    case 'due':
      return { kind };
    case 'cancel':
    case 'events':
      return typeof runId === 'string' ? { kind, runId } : null;
    case 'watch':
      return Array.isArray(runIds) ? { kind, runIds: runIds.filter((id) => typeof id === 'string') } : null;
    case 'delta':
      if (!isJsonObject(delta) || typeof delta['runId'] !== 'string' || typeof delta['stepNo'] !== 'number' || typeof delta['text'] !== 'string') return null;
      return { kind, delta: { runId: delta['runId'], stepNo: delta['stepNo'], text: delta['text'] } };
    default:
      return null;
  }
}

function toJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
