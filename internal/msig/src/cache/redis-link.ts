import { createClient } from 'redis';
import { PlatformError } from '@openeaap/kernel';
import { withinMs } from '../within-ms.ts';

/**
 * The way to one Redis. It never keeps a request waiting: a command that is not answered in time is
 * given up, and while the server is away commands are not even tried. It comes back by itself.
 *
 * 1. One connection at a time; commands of all callers are pipelined on it.
 * 2. Nothing is queued for a server that is away.
 * 3. Too many answers too late in a row, and the link counts as down until a ping is answered; a
 *    connection on which pings stay unanswered is thrown away, for TCP notices a dead host only after minutes.
 * 4. An outage is logged once when it begins and once when it ends.
 */
export interface RedisLink {
  readonly isUp: () => boolean;
  /**
   * null: the server is away, too slow, or refused the command. A command that was given up may
   * still be done. `timeoutMs` not set: 50.
   */
  readonly run: <T>(work: (client: RedisClient) => Promise<T>, timeoutMs?: number) => Promise<T | null>;
  /** Counts connections: another number, another server perhaps. */
  readonly connections: () => number;
  /** When the first attempt to connect has ended, well or not. */
  readonly tried: Promise<void>;
  readonly close: () => Promise<void>;
}

export type RedisClient = ReturnType<typeof connectTo>;

export interface RedisLinkDeps {
  readonly log: (line: string) => void;
  /** 0 up to 1; spreads the reconnects of many nodes. */
  readonly random: () => number;
}

const COMMAND_TIMEOUT_MS = 50;
const CONNECT_TIMEOUT_MS = 2_000;
const RECONNECT_MIN_MS = 100;
const RECONNECT_MAX_MS = 2_000;
/** One late answer may be a pause of our own. */
const LATE_IN_A_ROW_MAX = 3;
const PROBE_INTERVAL_MS = 250;
const UNANSWERED_PROBES_MAX = 8;
/** Commands that wait for their answer; more are refused. */
const COMMANDS_MAX = 10_000;

interface LinkState {
  readonly url: string;
  readonly place: string;
  readonly deps: RedisLinkDeps;
  client: RedisClient | null;
  isReady: boolean;
  isClosed: boolean;
  /** Answers in a row that came too late. */
  late: number;
  connections: number;
  isOutageLogged: boolean;
  isRefusalLogged: boolean;
  /** Until the next attempt to connect. */
  waiting: NodeJS.Timeout | null;
  probing: NodeJS.Timeout | null;
}

/** Connects in the background. Errors: `invalid_input` when the URL cannot be used. */
export function openRedisLink(url: string, deps: RedisLinkDeps): RedisLink {
  const link: LinkState = { url, place: placeOf(url), deps, client: null, isReady: false, isClosed: false, late: 0, connections: 0, isOutageLogged: false, isRefusalLogged: false, waiting: null, probing: null };
  return {
    isUp: () => isUp(link),
    run: (work, timeoutMs = COMMAND_TIMEOUT_MS) => runOn(link, work, timeoutMs),
    connections: () => link.connections,
    tried: connect(link, 1),
    close: async () => {
      link.isClosed = true;
      if (link.waiting !== null) clearTimeout(link.waiting);
      letGo(link);
    },
  };
}

const isUp = ({ isReady, late }: LinkState): boolean => isReady && late < LATE_IN_A_ROW_MAX;

async function runOn<T>(link: LinkState, work: (client: RedisClient) => Promise<T>, timeoutMs: number): Promise<T | null> {
  if (!isUp(link) || link.client === null) return null;
  const answer = await withinMs(timeoutMs, work(link.client));
  if (answer.kind === 'late') noteLate(link);
  if (answer.kind === 'failed') noteRefusal(link, answer.reason);
  if (answer.kind !== 'done') return null;
  link.late = 0;
  return answer.value;
}

async function connect(link: LinkState, attempt: number): Promise<void> {
  const mine = connectTo(link.url);
  link.client = mine;
  // Without a listener an error event would end the process; what it says comes with `terminated`.
  mine.on('error', () => undefined);
  mine.once('terminated', (cause: Error) => {
    if (link.client !== mine || !link.isReady) return;
    noteOutage(link, describe(cause));
    reconnect(link, 1);
  });
  // A frozen server accepts connections, and then says nothing.
  const opened = await withinMs(CONNECT_TIMEOUT_MS, mine.connect());
  if (link.client !== mine) return discard(mine);
  if (opened.kind !== 'done') {
    noteOutage(link, opened.kind === 'late' ? `no answer within ${CONNECT_TIMEOUT_MS} ms` : describe(opened.reason));
    return reconnect(link, attempt + 1);
  }
  // It may have gone again in the same moment, before anybody listened.
  if (!mine.isReady) return reconnect(link, attempt + 1);
  link.isReady = true;
  link.connections += 1;
  noteReturn(link);
}

function reconnect(link: LinkState, attempt: number): void {
  letGo(link);
  if (link.isClosed) return;
  const waitMs = Math.min(RECONNECT_MAX_MS, RECONNECT_MIN_MS * 2 ** Math.min(attempt - 1, 10)) * (0.5 + link.deps.random() / 2);
  link.waiting = setTimeout(() => void connect(link, attempt), waitMs).unref();
}

function letGo(link: LinkState): void {
  const last = link.client;
  link.client = null;
  link.isReady = false;
  stopProbing(link);
  if (last !== null) discard(last);
}

function noteLate(link: LinkState): void {
  link.late += 1;
  if (link.late < LATE_IN_A_ROW_MAX || link.probing !== null) return;
  noteOutage(link, `${link.late} answers in a row took too long`);
  probe(link);
}

/** Asks until the server answers. Rare, so each probe may take its time. */
function probe(link: LinkState): void {
  const mine = link.client;
  if (mine === null) return;
  let unanswered = 0;
  const ask = (): void => {
    if (unanswered === UNANSWERED_PROBES_MAX) return reconnect(link, 1);
    unanswered += 1;
    void ping(link, mine);
  };
  link.probing = setInterval(ask, PROBE_INTERVAL_MS).unref();
  ask();
}

async function ping(link: LinkState, mine: RedisClient): Promise<void> {
  try {
    await mine.ping();
  } catch {
    return;
  }
  if (link.client !== mine) return;
  stopProbing(link);
  noteReturn(link);
}

function stopProbing(link: LinkState): void {
  if (link.probing !== null) clearInterval(link.probing);
  link.probing = null;
}

function noteOutage(link: LinkState, why: string): void {
  if (link.isOutageLogged || link.isClosed) return;
  link.isOutageLogged = true;
  link.deps.log(`Redis at ${link.place} is away (${why}); what it does is off until it is back.`);
}

function noteReturn(link: LinkState): void {
  link.late = 0;
  link.isRefusalLogged = false;
  if (link.isOutageLogged) link.deps.log(`Redis at ${link.place} is back.`);
  link.isOutageLogged = false;
}

/** The server is there and says no: a full memory, a read-only replica, a right that is missing. */
function noteRefusal(link: LinkState, reason: unknown): void {
  if (link.isRefusalLogged || !link.isReady) return;
  link.isRefusalLogged = true;
  link.deps.log(`Redis at ${link.place} refused a command (${describe(reason)}); the next refusals are not logged.`);
}

/** RESP 2, which every server and proxy speaks. Reconnecting is ours: the client's own would keep a dead connection. */
function connectTo(url: string) {
  return createClient({
    url,
    RESP: 2,
    disableOfflineQueue: true,
    commandsQueueMaxLength: COMMANDS_MAX,
    // 0: none. The client would make a signal with a timer for each command.
    commandOptions: { timeout: 0 },
    socket: { reconnectStrategy: false, connectTimeout: CONNECT_TIMEOUT_MS },
  });
}

function discard(client: RedisClient): void {
  // It throws where it is closed already.
  if (client.isOpen) client.destroy();
}

/** Host and port: a URL may hold a password. */
function placeOf(url: string): string {
  try {
    const { host, protocol } = new URL(url);
    if (protocol !== 'redis:' && protocol !== 'rediss:') throw new TypeError(protocol);
    return host;
  } catch {
    throw new PlatformError('invalid_input', 'The Redis URL cannot be used. Write it as redis://host:6379 or rediss://user:password@host:6379/0.', { details: { field: 'redis_url' } });
  }
}

const describe = (thrown: unknown): string => (thrown instanceof Error ? thrown.message : String(thrown));
