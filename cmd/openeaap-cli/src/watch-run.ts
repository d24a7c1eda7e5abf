import { FINAL_EVENTS, LIMITS, RUN_STATUSES, isTerminal } from '@openeaap/kernel';
import type { Clock, JsonValue, RunEventType, RunStatus } from '@openeaap/kernel';
import type { EventSourceMessage } from 'eventsource-parser';
import type { ApiClient } from './api-client.ts';
import { asCliError, route } from './api-client.ts';
import { CliError, toCliError } from './cli-error.ts';
import type { CliErrorCode } from './exit-code.ts';
import { STREAM_IDLE_MS, readEventStream } from './event-stream.ts';
import { fieldOf, listOf, textOf } from './view.ts';

/** Tries in a row that bring nothing before watching is given up: about two minutes. */
const RECONNECTS_IN_A_ROW = 10;
const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 20_000;
/** A stream that lived this long was a good one, even if a proxy cut it without an event. */
const HEALTHY_STREAM_MS = 10_000;

const RECONNECT_AFTER: ReadonlySet<CliErrorCode> = new Set(['unreachable', 'unavailable', 'quota_exceeded', 'internal']);

export interface WatchedEvent {
  /** null: a piece of text (`step_delta`), which is not stored. */
  readonly seq: number | null;
  readonly type: string;
  /** RFC 3339: when it happened; of a live event, when it came here. */
  readonly at: string;
  readonly data: JsonValue;
}

export interface Watch {
  readonly api: ApiClient;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly runId: string;
  /** Events up to this number are not wanted; 0: all are. */
  readonly after: number;
  readonly onEvent: (event: WatchedEvent) => Promise<void>;
  /** Told in words when the connection was lost and will be tried again. */
  readonly onNotice: (text: string) => void;
}

/**
 * Shows a run to its end: what is already stored, with its true times, then the live stream,
 * resumed by `Last-Event-ID` as often as it is cut. Each event comes exactly once, in order.
 *
 * @returns how the run ended.
 * @throws CliError `interrupted` by Ctrl-C; `unreachable` after the last try; `not_found` …
 */
export async function watchRun(watch: Watch): Promise<RunStatus> {
  const position = { seq: watch.after, ended: null as RunStatus | null };
  const take = async (event: WatchedEvent): Promise<void> => {
    if (event.seq !== null && event.seq <= position.seq) return;
    position.seq = event.seq ?? position.seq;
    position.ended = endOf(event.type) ?? position.ended;
    await watch.onEvent(event);
  };
  await readStored(watch, take);
  let failures = 0;
  while (position.ended === null) {
    const openedAt = watch.clock.now().getTime();
    const seqBefore = position.seq;
    const lost = await readLive(watch, position, take);
    if (position.ended !== null) break;
    position.ended = lost.byServer ? await statusIfEnded(watch) : null;
    if (position.ended !== null) {
      await readStored({ ...watch, after: position.seq }, take);
      break;
    }
    const healthy = position.seq > seqBefore || watch.clock.now().getTime() - openedAt >= HEALTHY_STREAM_MS;
    failures = healthy ? 1 : failures + 1;
    if (failures > RECONNECTS_IN_A_ROW) throw lost.error;
    await waitBeforeTry(watch, failures, lost.error);
  }
  return position.ended;
}

type Take = (event: WatchedEvent) => Promise<void>;

interface Lost {
  readonly error: CliError;
  /** The server ended the stream in good order, and did not say that the run had ended. */
  readonly byServer: boolean;
}

async function readStored(watch: Watch, take: Take): Promise<void> {
  for (let after = watch.after; ; ) {
    const { body } = await watch.api.request({ path: route('runs', watch.runId, 'events'), query: { after, limit: LIMITS.pageSizeCeiling } });
    const items = listOf(body, 'items');
    for (const item of items) await take(fromStored(item));
    const last = fieldOf(items.at(-1), 'seq');
    if (typeof last !== 'number' || last <= after || items.length < LIMITS.pageSizeCeiling) return;
    after = last;
  }
}

/** Reads one connection until it ends. @returns why it ended; errors that no reconnect cures are thrown. */
async function readLive(watch: Watch, position: { readonly seq: number }, take: Take): Promise<Lost> {
  try {
    const response = await watch.api.open({
      path: route('runs', watch.runId, 'events'),
      headers: { accept: 'text/event-stream', ...(position.seq > 0 ? { 'last-event-id': String(position.seq) } : {}) },
    });
    const body = response.body;
    if (body === null || response.headers.get('content-type')?.startsWith('text/event-stream') !== true) {
      throw new CliError('bad_response', 'The server did not answer with an event stream.', { cure: 'Is there a proxy in between that changes it?' });
    }
    await asCliError(watch.api.connection, watch.signal, async () => {
      for await (const message of readEventStream(body, STREAM_IDLE_MS)) await take(fromMessage(message, watch.clock));
    });
    return { error: new CliError('unreachable', 'The server ended the stream before the run ended.'), byServer: true };
  } catch (thrown) {
    const error = toCliError(thrown);
    if (!RECONNECT_AFTER.has(error.code)) throw error;
    return { error, byServer: false };
  }
}

/** A stream that ends without a final event may belong to a run that ended before `--after`. */
async function statusIfEnded(watch: Watch): Promise<RunStatus | null> {
  try {
    const { body } = await watch.api.request({ path: route('runs', watch.runId) });
    const status = RUN_STATUSES.find((known) => known === fieldOf(body, 'status'));
    return status !== undefined && isTerminal(status) ? status : null;
  } catch (thrown) {
    const error = toCliError(thrown);
    if (!RECONNECT_AFTER.has(error.code)) throw error;
    return null;
  }
}

async function waitBeforeTry(watch: Watch, failures: number, lost: CliError): Promise<void> {
  const waitMs = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** (failures - 1));
  watch.onNotice(`The connection was lost (${lost.message}) Trying again in ${waitMs / 1_000} s; the run goes on.`);
  await watch.clock.sleep(waitMs, watch.signal);
  if (watch.signal.aborted) throw new CliError('interrupted', 'Interrupted.');
}

function endOf(type: string): RunStatus | null {
  if (!FINAL_EVENTS.has(type as RunEventType)) return null;
  return RUN_STATUSES.find((status) => type === `run_${status}`) ?? null;
}

function fromStored(item: JsonValue): WatchedEvent {
  const seq = fieldOf(item, 'seq');
  const at = fieldOf(item, 'at');
  return {
    seq: typeof seq === 'number' ? seq : null,
    type: textOf(item, 'type'),
    at: typeof at === 'string' ? at : '',
    data: fieldOf(item, 'data') ?? null,
  };
}

function fromMessage(message: EventSourceMessage, clock: Clock): WatchedEvent {
  const seq = message.id === undefined ? Number.NaN : Number(message.id);
  return {
    seq: Number.isSafeInteger(seq) && message.event !== 'step_delta' ? seq : null,
    type: message.event ?? 'message',
    at: clock.now().toISOString(),
    data: parseData(message.data),
  };
}

function parseData(text: string): JsonValue {
  try {
    return JSON.parse(text) as JsonValue;
  } catch {
    return text;
  }
}
