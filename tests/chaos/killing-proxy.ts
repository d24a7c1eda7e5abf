import { createConnection, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import type { Message } from './wire-protocol.ts';
import { createBackendSplitter, createFrontendSplitter, isEncryptionRequest, readBoundName, readParse, readQueryText, readRowCount, readTransactionState } from './wire-protocol.ts';

/** A statement as the proxy knows it from outside. */
export interface Seen {
  /** Its name; the first word of one without a name; `COMMIT a+b` for the end of a transaction in which a and b wrote. */
  readonly name: string;
  /** Its text changes rows, or it commits what did. */
  readonly writes: boolean;
  /** Types of the events among its parameters: what tells one commit of a run from another. */
  readonly eventTypes: readonly string[];
}

export interface Answered extends Seen {
  /** It was done, and it touched rows. */
  readonly isEffective: boolean;
}

export interface KillingProxyOptions {
  /** The socket of the real server. */
  readonly upstream: string;
  /** Asked before a statement reaches PostgreSQL. true: from now on not a byte passes, in no direction. */
  readonly stopBefore: (statement: Seen) => boolean;
  /** Asked when PostgreSQL has answered, before the client hears of it. */
  readonly stopAfter: (statement: Answered) => boolean;
  /** The moment has come: kill the client. */
  readonly onStop: () => void;
}

/**
 * Stands between a client and a real PostgreSQL and can stop the world at an exact statement. The
 * client needs no hook and does not know. Bytes are passed on as they came.
 *
 * Invariants: a statement is judged whole, however it was packed; its answer is passed on whole, after it was judged;
 * once stopped, nothing passes until `release`, which drops every connection.
 */
export interface KillingProxy {
  readonly port: number;
  /** Drops all connections, as the death of a client does, and lets new ones pass. */
  readonly release: () => void;
  readonly close: () => Promise<void>;
}

export async function startKillingProxy(options: KillingProxyOptions): Promise<KillingProxy> {
  const sockets = new Set<Socket>();
  let isStopped = false;
  const gate: Gate = {
    isStopped: () => isStopped,
    stop: () => {
      isStopped = true;
      options.onStop();
    },
  };
  const server = createServer((client) => {
    const upstream = createConnection(options.upstream);
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.setNoDelay(true);
      socket.once('close', () => sockets.delete(socket));
    }
    relay(client, upstream, options, gate);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const dropAll = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    port: (server.address() as AddressInfo).port,
    release: () => {
      dropAll();
      isStopped = false;
    },
    close: async () => {
      dropAll();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

interface Gate {
  readonly isStopped: () => boolean;
  readonly stop: () => void;
}

/** One connection. Each side's messages are handled in the order in which they came. */
function relay(client: Socket, upstream: Socket, options: KillingProxyOptions, gate: Gate): void {
  const texts = new Map<string, string>();
  /** Statements that PostgreSQL has been given and not answered yet. */
  const waiting: Seen[] = [];
  /** What wrote in the transaction that is open. */
  let written: string[] = [];
  let unit: Message[] = [];
  let answer: Message[] = [];

  const splitFrontend = createFrontendSplitter();
  const splitBackend = createBackendSplitter();
  client.on('data', (chunk: Buffer) => {
    if (gate.isStopped()) return;
    for (const message of splitFrontend(chunk)) takeFromClient(message);
  });
  upstream.on('data', (chunk: Buffer) => {
    if (gate.isStopped()) return;
    for (const message of splitBackend(chunk)) takeFromServer(message);
  });
  const end = (): void => {
    // A side that has gone stays visible to the other one only while the world moves.
    if (gate.isStopped()) return;
    client.destroy();
    upstream.destroy();
  };
  for (const socket of [client, upstream]) socket.on('error', end).on('close', end);

  function takeFromClient(message: Message): void {
    if (gate.isStopped()) return;
    if (isEncryptionRequest(message)) return void client.write('N');
    if (!UNIT_PARTS.has(message.type)) return void upstream.write(message.bytes);
    unit.push(message);
    if (message.type !== 'S' && message.type !== 'Q') return;
    const whole = unit;
    unit = [];
    const statement = describeUnit(whole, texts, written);
    if (options.stopBefore(statement)) return gate.stop();
    waiting.push(statement);
    upstream.write(Buffer.concat(whole.map(({ bytes }) => bytes)));
  }

  function takeFromServer(message: Message): void {
    if (gate.isStopped()) return;
    const statement = waiting[0];
    if (statement === undefined) return void client.write(message.bytes);
    answer.push(message);
    if (message.type !== 'Z') return;
    const whole = answer;
    answer = [];
    waiting.shift();
    const answered = judgeAnswer(statement, whole);
    const state = readTransactionState(message);
    if (state !== 'T') written = [];
    else if (answered.isEffective && statement.writes) written = [...written, statement.name];
    if (options.stopAfter(answered)) return gate.stop();
    client.write(Buffer.concat(whole.map(({ bytes }) => bytes)));
  }
}

/** Parse, Bind, Describe, Execute, Close, Flush up to Sync; or one simple Query. All else (password, terminate) passes at once. */
const UNIT_PARTS = new Set(['P', 'B', 'D', 'E', 'C', 'H', 'S', 'Q']);

/** A statement is parsed once in a connection, and from then on known by its name alone. */
function describeUnit(unit: readonly Message[], texts: Map<string, string>, written: readonly string[]): Seen {
  for (const message of unit) {
    if (message.type !== 'P') continue;
    const { name, text } = readParse(message);
    texts.set(name, text);
  }
  const bind = unit.find(({ type }) => type === 'B');
  const query = unit.find(({ type }) => type === 'Q');
  const bound = bind === undefined ? '' : readBoundName(bind);
  const text = query === undefined ? (texts.get(bound) ?? '') : readQueryText(query);
  const word = /^\s*(\w+)/.exec(text)?.[1]?.toUpperCase() ?? '';
  if (word === 'COMMIT') return { name: `COMMIT ${written.join('+')}`.trim(), writes: written.length > 0, eventTypes: [] };
  return { name: bound === '' ? word : bound, writes: isWrite(text), eventTypes: bind === undefined ? [] : findEventTypes(bind) };
}

const isWrite = (text: string): boolean => /\b(?:INSERT\s+INTO|DELETE\s+FROM|UPDATE\s+\w+(?:\s+\w+)?\s+SET)\b/i.test(text);

/** Events travel as JSON text, `{"type":"run_paused",...}`, or as binary rows of four columns. */
function findEventTypes({ bytes }: Message): readonly string[] {
  const words = [...bytes.toString('latin1').matchAll(/[a-z]+(?:_[a-z]+)+/g)];
  return [...new Set(words.filter(({ index }) => isEventType(bytes, index)).map(([word]) => word))];
}

const JSON_KEY = Buffer.from('"type":"');
/** Bytes between the number of columns of an event and its type: two whole numbers with their types and lengths, and those of the type. */
const ROW_BYTES = 4 + 2 * 12 + 8;

function isEventType(bytes: Buffer, at: number): boolean {
  if (at >= JSON_KEY.length && bytes.subarray(at - JSON_KEY.length, at).equals(JSON_KEY)) return true;
  return at >= ROW_BYTES && bytes.readInt32BE(at - ROW_BYTES) === 4 && bytes.readInt32BE(at - 8) === TEXT_OID;
}

const TEXT_OID = 25;

function judgeAnswer(statement: Seen, answer: readonly Message[]): Answered {
  const hasFailed = answer.some(({ type }) => type === 'E');
  const rows = answer.filter(({ type }) => type === 'C').reduce((sum, message) => sum + readRowCount(message), 0);
  const isCommit = statement.name.startsWith('COMMIT');
  return { ...statement, isEffective: !hasFailed && (rows > 0 || (isCommit && statement.writes)) };
}
