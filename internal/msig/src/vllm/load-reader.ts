import { Pool } from 'undici';
import { parseEndpoint } from '../config/endpoint.ts';
import type { ReadLoad, VllmLoad } from './load.ts';
import { parseVllmMetrics } from './metrics.ts';
import { upstreamPath } from '../backends/upstream-path.ts';

export interface LoadReaderDeps {
  readonly servers: readonly ReadServer[];
  /** Milliseconds. */
  readonly now: () => number;
  /** 0 up to 1: spreads the reads, so that many nodes do not ask together. */
  readonly random: () => number;
  /** After each read; null: it failed. */
  readonly onLoad?: (endpoint: string, load: VllmLoad | null) => void;
}

export interface ReadServer {
  readonly endpoint: string;
  readonly intervalMs: number;
  /** Empty: none. vLLM asks for none at `/metrics`, a proxy before it may. */
  readonly apiKey: string;
}

export interface LoadReader {
  readonly read: ReadLoad;
  /** What is known and not too old, by endpoint. */
  readonly loads: () => ReadonlyMap<string, VllmLoad>;
  /** No read is started or told after it. */
  readonly close: () => void;
}

const READ_TIMEOUT_MS = 2_000;
/** A real page is about 100 KB. */
const PAGE_BYTES_MAX = 4_194_304;
/** Intervals, and the time of a read, after which a load is believed no more. */
const BELIEVED_INTERVALS = 3;

interface Reading extends ReadServer {
  load: VllmLoad | null;
  timer: NodeJS.Timeout | undefined;
  readonly pool: Pool;
}

/** Reads each server's `/metrics` once at the start and then every interval, one read at a time, without holding the process. */
export function createLoadReader({ servers, now, random, onLoad }: LoadReaderDeps): LoadReader {
  const closed = new AbortController();
  const readings = new Map(servers.map((server) => [server.endpoint, openReading(server)]));
  const believed = (reading: Reading): VllmLoad | null => {
    const { load, intervalMs } = reading;
    return load !== null && now() - load.atMs <= intervalMs * BELIEVED_INTERVALS + READ_TIMEOUT_MS ? load : null;
  };
  const readOnce = async (reading: Reading): Promise<void> => {
    const load = await readMetrics(reading, { now, closed: closed.signal });
    if (closed.signal.aborted) return;
    if (load !== null) reading.load = load;
    onLoad?.(reading.endpoint, load);
    schedule(reading, reading.intervalMs * (0.9 + 0.2 * random()));
  };
  const schedule = (reading: Reading, waitMs: number): void => {
    reading.timer = setTimeout(() => void readOnce(reading), waitMs);
    reading.timer.unref();
  };
  for (const reading of readings.values()) void readOnce(reading);
  return {
    read: (endpoint) => {
      const reading = readings.get(endpoint);
      return reading === undefined ? null : believed(reading);
    },
    loads: () => {
      const known = [...readings.values()].map((reading) => [reading.endpoint, believed(reading)] as const);
      return new Map(known.filter((each): each is readonly [string, VllmLoad] => each[1] !== null));
    },
    close: () => {
      closed.abort();
      for (const { timer, pool } of readings.values()) {
        clearTimeout(timer);
        void pool.destroy();
      }
    },
  };
}

function openReading(server: ReadServer): Reading {
  return { ...server, load: null, timer: undefined, pool: new Pool(parseEndpoint(server.endpoint).origin, { connections: 1, connect: { timeout: READ_TIMEOUT_MS } }) };
}

/** null: not to be had within the time, or no page of vLLM. Never rejects: a server that does not tell is asked by its answers alone. */
async function readMetrics({ endpoint, apiKey, pool }: Reading, { now, closed }: { readonly now: () => number; readonly closed: AbortSignal }): Promise<VllmLoad | null> {
  const attempt = new AbortController();
  const stop = (): void => attempt.abort();
  const timer = setTimeout(stop, READ_TIMEOUT_MS);
  timer.unref();
  closed.addEventListener('abort', stop, { once: true });
  try {
    const response = await pool.request({ method: 'GET', path: upstreamPath(parseEndpoint(endpoint), 'metrics'), headers: apiKey === '' ? {} : { authorization: `Bearer ${apiKey}` }, signal: attempt.signal });
    const page = await readPage(response.body);
    return response.statusCode === 200 && page !== null ? parseVllmMetrics(page, now()) : null;
  } catch {
    return null;
  } finally {
    clearTimeout(timer);
    closed.removeEventListener('abort', stop);
  }
}

async function readPage(body: AsyncIterable<Uint8Array>): Promise<string | null> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of body) {
    chunks.push(chunk);
    bytes += chunk.byteLength;
    if (bytes > PAGE_BYTES_MAX) return null;
  }
  return Buffer.concat(chunks).toString('utf8');
}
