import { createClient } from 'redis';
import { PlatformError } from '@openeaap/kernel';

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

/** Connects in the background. Errors: `invalid_input` when the URL cannot be used. */
export function openRedisLink(url: string, { log, random }: RedisLinkDeps): RedisLink {
  const place = placeOf(url);
  let client: RedisClient | null = null;
  let isReady = false;
  let isClosed = false;
  let late = 0;
  let connections = 0;
  let isOutageLogged = false;
  let isRefusalLogged = false;
  let waiting: NodeJS.Timeout | null = null;
  let probing: NodeJS.Timeout | null = null;

  const noteOutage = (why: string): void => {
    if (isOutageLogged || isClosed) return;
    isOutageLogged = true;
    log(`Redis at ${place} is away (${why}); what it does is off until it is back.`);
  };
  const noteReturn = (): void => {
    late = 0;
    isRefusalLogged = false;
    if (isOutageLogged) log(`Redis at ${place} is back.`);
    isOutageLogged = false;
  };
  /** The server is there and says no: a full memory, a read-only replica, a right that is missing. */
  const noteRefusal = (reason: unknown): void => {
    if (isRefusalLogged || !isReady) return;
    isRefusalLogged = true;
    log(`Redis at ${place} refused a command (${describe(reason)}); the next refusals are not logged.`);
  };

  const connect = async (attempt: number): Promise<void> => {
    const mine = connectTo(url);
    client = mine;
    // Without a listener an error event would end the process; what it says comes with `terminated`.
    mine.on('error', () => undefined);
    mine.once('terminated', (cause: Error) => {
      if (client !== mine || !isReady) return;
      noteOutage(describe(cause));
      reconnect(1);
    });
    // A frozen server accepts connections, and then says nothing.
    const opened = await withinMs(CONNECT_TIMEOUT_MS, mine.connect());
    if (client !== mine) return discard(mine);
    if (opened === LATE || opened instanceof Refused) {
      noteOutage(opened === LATE ? `no answer within ${CONNECT_TIMEOUT_MS} ms` : describe(opened.reason));
      return reconnect(attempt + 1);
    }
    // It may have gone again in the same moment, before anybody listened.
    if (!mine.isReady) return reconnect(attempt + 1);
    isReady = true;
    connections += 1;
    noteReturn();
  };

  const reconnect = (attempt: number): void => {
    if (client !== null) discard(client);
    client = null;
    isReady = false;
    stopProbing();
    if (isClosed) return;
    const waitMs = Math.min(RECONNECT_MAX_MS, RECONNECT_MIN_MS * 2 ** Math.min(attempt - 1, 10)) * (0.5 + random() / 2);
    waiting = setTimeout(() => void connect(attempt), waitMs).unref();
  };

  const noteLate = (): void => {
    late += 1;
    if (late < LATE_IN_A_ROW_MAX || probing !== null) return;
    noteOutage(`${late} answers in a row took too long`);
    probe();
  };

  /** Asks until the server answers. Rare, so each probe may take its time. */
  const probe = (): void => {
    const mine = client;
    if (mine === null) return;
    let unanswered = 0;
    const ask = (): void => {
      if (unanswered === UNANSWERED_PROBES_MAX) return reconnect(1);
      unanswered += 1;
      void answered(mine);
    };
    probing = setInterval(ask, PROBE_INTERVAL_MS).unref();
    ask();
  };

  const answered = async (mine: RedisClient): Promise<void> => {
    try {
      await mine.ping();
    } catch {
      return;
    }
    if (client !== mine) return;
    stopProbing();
    noteReturn();
  };

  const stopProbing = (): void => {
    if (probing !== null) clearInterval(probing);
    probing = null;
  };

  const isUp = (): boolean => isReady && late < LATE_IN_A_ROW_MAX;
  return {
    isUp,
    run: async (work, timeoutMs = COMMAND_TIMEOUT_MS) => {
      if (!isUp() || client === null) return null;
      const answer = await withinMs(timeoutMs, work(client));
      if (answer === LATE) noteLate();
      else if (answer instanceof Refused) noteRefusal(answer.reason);
      else {
        late = 0;
        return answer;
      }
      return null;
    },
    connections: () => connections,
    tried: connect(1),
    close: async () => {
      isClosed = true;
      isReady = false;
      if (waiting !== null) clearTimeout(waiting);
      stopProbing();
      const last = client;
      client = null;
      if (last !== null) discard(last);
    },
  };
}

/** RESP 2, which every server and proxy speaks. Reconnecting is ours: the client's own would keep a dead connection. */
function connectTo(url: string) {
  const client = createClient({
    url,
    RESP: 2,
    disableOfflineQueue: true,
    commandsQueueMaxLength: COMMANDS_MAX,
    // 0: none. The client would make a signal with a timer for each command.
    commandOptions: { timeout: 0 },
    socket: { reconnectStrategy: false, connectTimeout: CONNECT_TIMEOUT_MS },
  });
  return client;
}

const LATE = Symbol('late');

class Refused extends Error {
  readonly reason: unknown;

  constructor(reason: unknown) {
    super('refused');
    this.reason = reason;
  }
}

/** Never rejects. A busy event loop fires timers before it reads what has arrived, so after the time there is one more look. */
async function withinMs<T>(ms: number, work: Promise<T>): Promise<T | typeof LATE | Refused> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<typeof LATE>((resolve) => {
    timer = setTimeout(() => setImmediate(() => resolve(LATE)), ms);
  });
  try {
    return await Promise.race([work, late]);
  } catch (thrown) {
    return new Refused(thrown);
  } finally {
    clearTimeout(timer);
    // It may still fail; nobody waits for it any more.
    work.catch(() => undefined);
  }
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
