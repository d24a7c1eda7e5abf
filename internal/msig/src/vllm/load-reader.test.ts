import { createServer } from 'node:http';
import type { Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { startVllmDouble } from '../testing/vllm-double.ts';
import { createLoadReader } from './load-reader.ts';
import type { LoadReader, LoadReaderDeps } from './load-reader.ts';
import type { VllmLoad } from './load.ts';

const cleanups: (() => void | Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0)) await cleanup();
});

const PAGE = 'vllm:num_requests_running{engine="0"} 2\nvllm:num_requests_waiting{engine="0"} 1\nvllm:kv_cache_usage_perc{engine="0"} 0.5\n';

/** Each read is told to the test. */
function read(endpoint: string, change: Partial<LoadReaderDeps> & { readonly intervalMs?: number; readonly apiKey?: string } = {}): { readonly reader: LoadReader; readonly told: (VllmLoad | null)[] } {
  const told: (VllmLoad | null)[] = [];
  const { intervalMs = 10_000, apiKey = '', ...deps } = change;
  const reader = createLoadReader({ servers: [{ endpoint, intervalMs, apiKey }], now: () => 0, random: () => 0.5, onLoad: (_endpoint, load) => void told.push(load), ...deps });
  cleanups.push(() => reader.close());
  return { reader, told };
}

async function serve(answer: (response: ServerResponse, path: string, authorization: string) => void): Promise<{ readonly url: string; readonly server: Server }> {
  const server = createServer((request, response) => answer(response, request.url ?? '', request.headers.authorization ?? ''));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  cleanups.push(
    () =>
      new Promise<void>((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  );
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, server };
}

const FAST = { interval: 5 };

describe('the reader of loads', () => {
  it('knows nothing of a server before its first read, and then what it says', async () => {
    const double = await startVllmDouble();
    cleanups.push(double.close);
    const { reader } = read(double.url);
    expect(reader.read(double.url)).toBeNull();
    await expect.poll(() => reader.read(double.url), FAST).toMatchObject({ running: 0, waiting: 0 });
    expect([...reader.loads().keys()]).toEqual([double.url]);
    expect(reader.read('http://elsewhere')).toBeNull();
  });

  it('reads again and again, beside /v1 and a proxy\'s prefix, with the key', async () => {
    const paths: string[] = [];
    const { url } = await serve((response, path, authorization) => {
      paths.push(`${path} ${authorization}`);
      response.end(PAGE);
    });
    const { told } = read(`${url}/team/v1/`, { intervalMs: 1, apiKey: 'secret' });
    await expect.poll(() => told.length, FAST).toBeGreaterThan(2);
    expect(new Set(paths)).toEqual(new Set(['/team/metrics Bearer secret']));
  });

  it('keeps a load for three intervals when the server says no more, and then believes it no longer', async () => {
    let isWell = true;
    let nowMs = 0;
    const { url } = await serve((response) => (isWell ? response.end(PAGE) : response.writeHead(500).end(PAGE)));
    const { reader, told } = read(url, { intervalMs: 10, now: () => nowMs });
    await expect.poll(() => reader.read(url), FAST).toMatchObject({ running: 2 });
    isWell = false;
    await expect.poll(() => told.at(-1), FAST).toBeNull();
    nowMs = 30;
    expect(reader.read(url)).toMatchObject({ running: 2 });
    nowMs = 30 + 2_000 + 1;
    expect(reader.read(url)).toBeNull();
    expect(reader.loads().size).toBe(0);
    isWell = true;
    await expect.poll(() => reader.read(url), FAST).toMatchObject({ running: 2, atMs: nowMs });
  });

  it.each([
    ['a page of something else', (response: ServerResponse) => void response.end('hello')],
    ['no page', (response: ServerResponse) => void response.writeHead(404).end(PAGE)],
    ['an endless page', (response: ServerResponse) => {
      const pump = (): void => {
        while (!response.destroyed && response.write(PAGE.repeat(1_000)));
      };
      response.on('drain', pump);
      pump();
    }],
    ['a broken connection', (response: ServerResponse) => void response.destroy()],
  ])('takes %s for no load, and goes on', async (_what, answer) => {
    const { url } = await serve((response) => {
      answer(response);
    });
    const { told } = read(url, { intervalMs: 1 });
    await expect.poll(() => told.length, FAST).toBeGreaterThan(1);
    expect(new Set(told)).toEqual(new Set([null]));
  });

  it('gives a silent server up after its time', async () => {
    const { url } = await serve(() => undefined);
    const { told } = read(url);
    await expect.poll(() => told, { interval: 50, timeout: 4_000 }).toEqual([null]);
  });

  it('asks no more after it was closed, also of a server that is just answering', async () => {
    let asked = 0;
    const { url, server } = await serve(() => (asked += 1));
    const { reader, told } = read(url, { intervalMs: 1 });
    await expect.poll(() => asked, FAST).toBe(1);
    reader.close();
    await expect.poll(() => new Promise((resolve) => server.getConnections((_error, count) => resolve(count))), FAST).toBe(0);
    expect([asked, told]).toEqual([1, []]);
  });
});
