import { toPlatformError } from '@openeaap/kernel';
import { toStorable } from '@openeaap/security';
import { withinMs } from '../within-ms.ts';
import type { LedgerEntry } from './accountant.ts';
import { foldAgents } from './fold-agents.ts';

/** What calls of one hour have in common, added up. Empty texts: none. */
export interface UsageRow {
  readonly tenantId: string;
  /** Its beginning. */
  readonly hour: Date;
  readonly keyId: string;
  readonly userId: string;
  readonly agentId: string;
  readonly runId: string;
  readonly backend: string;
  readonly model: string;
  readonly kind: string;
  readonly cache: string;
  readonly calls: number;
  readonly failed: number;
  readonly promptTokens: number;
  readonly completionTokens: number;
  readonly cachedTokens: number;
  readonly reasoningTokens: number;
  readonly costUsdNanos: number;
  /** Calls whose tokens were estimated. */
  readonly estimated: number;
  readonly latencyMs: number;
}

/** Adds the rows, once for each `batchId` (a UUID). Errors: it is tried again with the same batch. */
export type WriteUsage = (batchId: string, rows: readonly UsageRow[]) => Promise<void>;

export interface Ledger {
  readonly record: (entry: LedgerEntry) => void;
  /** Writes what there is; gives up after a few tries or so long, and tells how many calls are lost. */
  readonly close: () => Promise<void>;
}

export interface LedgerDeps {
  readonly write: WriteUsage;
  readonly newId: () => string;
  /** Told once when writing begins to fail, and when it is given up. */
  readonly onError: (error: unknown) => void;
  readonly flushMs?: number;
  readonly maxRows?: number;
  readonly closeMs?: number;
}

/** Rows in one statement, and about how many wait in memory while the store is away: some 10 MB. */
export const LEDGER_ROWS_MAX = 5_000;
const BATCHES_WAITING_MAX = 4;
const FLUSH_MS = 1_000;
const CLOSE_TRIES = 3;
const CLOSE_PAUSE_MS = 500;
/** Also while a write hangs. */
const CLOSE_MS = 4_000;
/** Of a batch that the store refuses although it is there: it must not hold up all that come after it. */
const REFUSED_TRIES = 5;
/** What the store has room for. */
const CHARS = { id: 64, user: 300, name: 255 } as const;
const HOUR_MS = 3_600_000;

type OpenRow = { -readonly [K in keyof UsageRow]: UsageRow[K] };

interface Batch {
  readonly id: string;
  readonly rows: Map<string, OpenRow>;
  refused: number;
}

/**
 * Adds calls up in memory and writes them once a second. While the store is away rows wait; when
 * there are too many of them, the newest are added up without their key, user, agent, run and model,
 * so that the sums of tenant and backend stay right and memory stays bounded.
 */
export function createLedger({ write, newId, onError, flushMs = FLUSH_MS, maxRows = LEDGER_ROWS_MAX, closeMs = CLOSE_MS }: LedgerDeps): Ledger {
  const full: Batch[] = [];
  let open: Batch = { id: newId(), rows: new Map(), refused: 0 };
  let timer: NodeJS.Timeout | null = null;
  let writing: Promise<boolean> | null = null;
  let isFailing = false;
  let isClosed = false;
  const fold = foldAgents();

  const seal = (): void => {
    full.push(open);
    open = { id: newId(), rows: new Map(), refused: 0 };
  };
  const isEmpty = (): boolean => open.rows.size === 0 && full.length === 0;

  /** One write at a time, the oldest batch first. False: one could not be written. */
  const flush = (): Promise<boolean> => {
    writing ??= writeFull().finally(() => (writing = null));
    return writing;
  };
  const writeFull = async (): Promise<boolean> => {
    // Not while others wait: they would be small and many.
    if (open.rows.size > 0 && full.length === 0) seal();
    for (let batch = full[0]; batch !== undefined; batch = full[0]) {
      if (!(await writeOne(batch))) return false;
      full.shift();
    }
    return true;
  };
  /** False: to be tried again. */
  const writeOne = async (batch: Batch): Promise<boolean> => {
    try {
      await write(batch.id, [...batch.rows.values()]);
      isFailing = false;
      return true;
    } catch (thrown) {
      if (!isFailing) onError(thrown);
      isFailing = true;
      if (toPlatformError(thrown).retryable) return false;
      batch.refused += 1;
      // At the end there is no later, and good ones wait behind it.
      if (batch.refused < REFUSED_TRIES && !isClosed) return false;
      onError(new Error(`${countCalls([batch])} model calls were refused by the ledger and are left out.`));
      return true;
    }
  };
  const flushLater = async (): Promise<void> => {
    await flush();
    if (!isEmpty()) wake();
  };
  const flushAll = async (): Promise<void> => {
    for (let tries = 1; !isEmpty();) {
      if (await flush()) continue;
      if (tries === CLOSE_TRIES) return;
      tries += 1;
      await new Promise((resolve) => setTimeout(resolve, CLOSE_PAUSE_MS));
    }
  };
  const wake = (): void => {
    if (isClosed) return;
    timer ??= setTimeout(() => {
      timer = null;
      void flushLater();
    }, flushMs).unref();
  };

  return {
    record: (entry) => {
      if (open.rows.size >= maxRows && full.length < BATCHES_WAITING_MAX) seal();
      const place = fold(placeOf(entry));
      const key = keyOf(place);
      if (open.rows.has(key) || open.rows.size < maxRows) addCall(open.rows, { key, place, entry });
      else {
        const rest: Place = { ...place, keyId: '', userId: '', agentId: '', runId: '', model: '' };
        addCall(open.rows, { key: keyOf(rest), place: rest, entry });
      }
      wake();
    },
    close: async () => {
      isClosed = true;
      if (timer !== null) clearTimeout(timer);
      await withinMs(closeMs, flushAll());
      const lost = countCalls([...full, open]);
      if (lost > 0) onError(new Error(`${lost} model calls could not be written to the ledger before the end.`));
    },
  };
}

const countCalls = (batches: readonly Batch[]): number => batches.flatMap(({ rows }) => [...rows.values()]).reduce((sum, { calls }) => sum + calls, 0);

/** Which row a call belongs to. */
type Place = Pick<UsageRow, 'tenantId' | 'keyId' | 'userId' | 'agentId' | 'runId' | 'backend' | 'model' | 'kind' | 'cache'> & { readonly hourMs: number };

function placeOf({ access, backend, model, kind, cache, at }: LedgerEntry): Place {
  return {
    tenantId: access.tenantId,
    hourMs: Math.floor(at.getTime() / HOUR_MS) * HOUR_MS,
    keyId: toText(access.keyId ?? '', CHARS.id),
    userId: toText(access.userId, CHARS.user),
    agentId: toText(access.agentId, CHARS.name),
    runId: toText(access.runId, CHARS.id),
    backend: toText(backend, CHARS.name),
    model: toText(model, CHARS.name),
    kind,
    cache,
  };
}

/** A client says which agent it is, and a server which model: of any length and with any letters, of which one must not cost a batch. */
const toText = (text: string, chars: number): string => toStorable(text.length > chars ? text.slice(0, chars) : text);

/** No text that can be stored holds a NUL. */
const keyOf = ({ tenantId, hourMs, keyId, userId, agentId, runId, backend, model, kind, cache }: Place): string =>
  `${tenantId}\0${hourMs}\0${keyId}\0${userId}\0${agentId}\0${runId}\0${backend}\0${model}\0${kind}\0${cache}`;

/** In place, for it is done for every request. */
function addCall(rows: Map<string, OpenRow>, { key, place, entry }: { readonly key: string; readonly place: Place; readonly entry: LedgerEntry }): void {
  const row = rows.get(key) ?? openRow(rows, key, place);
  row.calls += entry.calls;
  if (entry.outcome !== 'ok') row.failed += entry.calls;
  row.promptTokens += entry.promptTokens;
  row.completionTokens += entry.completionTokens;
  row.cachedTokens += entry.cachedTokens;
  row.reasoningTokens += entry.reasoningTokens;
  row.costUsdNanos += entry.costUsdNanos;
  if (entry.estimated) row.estimated += entry.calls;
  row.latencyMs += Math.round(entry.latencyMs);
}

function openRow(rows: Map<string, OpenRow>, key: string, { hourMs, ...place }: Place): OpenRow {
  const row: OpenRow = { ...place, hour: new Date(hourMs), calls: 0, failed: 0, promptTokens: 0, completionTokens: 0, cachedTokens: 0, reasoningTokens: 0, costUsdNanos: 0, estimated: 0, latencyMs: 0 };
  rows.set(key, row);
  return row;
}
