import { readFile } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { get } from 'node:http';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { collect } from './harness/api-client.ts';
import { createCleanup } from './harness/cleanup.ts';
import { after, answer, calls } from './harness/model-server.ts';
import type { Fleet } from './harness/start-fleet.ts';
import { startFleet } from './harness/start-fleet.ts';
import type { Platform } from './harness/start-platform.ts';
import { waitUntil } from './harness/wait-until.ts';

const CLIENTS = 1_000;
const RUNS = 20;

const cleanup = createCleanup();
let fleet: Fleet;
let node: Platform;

beforeAll(async () => {
  fleet = await startFleet(cleanup);
  node = await fleet.start();
  await node.api.publishAgent('talker', { tools: ['firewall_block_ip'] });
});
afterAll(() => cleanup.run());

interface Client {
  readonly ids: number[];
  readonly ended: () => boolean;
  readonly close: () => void;
}

/** A client over a connection of its own. One that does not read leaves what it is sent in the socket. */
function openClient(platform: Platform, runId: string, options: { readonly reads: boolean; readonly lastEventId?: number }): Promise<Client> {
  const ids: number[] = [];
  let isEnded = false;
  const headers = { authorization: `Bearer ${platform.api.apiKey}`, accept: 'text/event-stream', ...(options.lastEventId === undefined ? {} : { 'last-event-id': String(options.lastEventId) }) };
  return new Promise((resolve, reject) => {
    const request = get(`${platform.url}/api/v1/runs/${runId}/events`, { agent: false, headers }, (response: IncomingMessage) => {
      if (response.statusCode !== 200) return reject(new Error(`HTTP ${response.statusCode}`));
      response.on('end', () => (isEnded = true));
      response.on('error', () => undefined);
      if (options.reads) {
        let rest = '';
        response.setEncoding('utf8').on('data', (text: string) => {
          const lines = (rest + text).split('\n');
          rest = lines.pop() ?? '';
          for (const line of lines) if (line.startsWith('id: ')) ids.push(Number(line.slice(4)));
        });
      } else {
        response.pause();
      }
      resolve({ ids, ended: () => isEnded, close: () => request.destroy() });
    });
    request.on('error', reject);
  });
}

async function residentMiB(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1_024;
}

const oneTo = (n: number): number[] => Array.from({ length: n }, (_none, index) => index + 1);

describe('event streams', () => {
  it('a thousand clients on one node each get every event once and in order, in flat memory, and slow ones slow no run', async () => {
    let go = (): void => undefined;
    const released = new Promise<void>((resolve) => (go = resolve));
    // A long thought makes the events large enough to fill the sockets of who does not read.
    const thought = `${'x'.repeat(20_000)} `;
    const chatter = Array.from({ length: 12 }, (_none, n) => calls(thought, { name: 'no_such_tool', args: { n } }));
    const runs = await Promise.all(
      Array.from({ length: RUNS }, async (_none, n) => {
        fleet.model.script(`many-${n}`, after(released, chatter[0] ?? answer('')), answer('one more'), answer('done'));
        return node.api.startRun('talker', `[many-${n}] x`);
      }),
    );
    await waitUntil('all runs think', () => runs.every((_run, n) => fleet.model.requests(`many-${n}`).length === 1));
    const clients: { readonly client: Client; readonly runId: string; readonly reads: boolean }[] = [];
    for (let n = 0; n < CLIENTS; n += 100) {
      const opened = Array.from({ length: 100 }, async (_none, i) => {
        const runId = runs[(n + i) % RUNS] ?? '';
        const reads = (n / 100 + i) % 20 !== 0;
        return { client: await openClient(node, runId, { reads }), runId, reads };
      });
      clients.push(...(await Promise.all(opened)));
    }
    cleanup.add(async () => clients.forEach(({ client }) => client.close()));
    expect(Number(/openeaap_stream_readers (\d+)/.exec(String((await node.api.raw('/metrics', {})).body))?.[1])).toBe(CLIENTS);
    const before = await residentMiB(node.pid);
    go();
    const ended = await Promise.all(runs.map((runId) => node.api.ended(runId, 60_000)));
    expect(new Set(ended.map((run) => (run as { status: string }).status))).toEqual(new Set(['completed']));
    const readers = clients.filter(({ reads }) => reads);
    await waitUntil('every client that reads has come to the end', () => readers.every(({ client }) => client.ended()), 60_000);
    const lastSeqs = new Map(await Promise.all(runs.map(async (runId) => [runId, (await node.api.events(runId)).length] as const)));
    for (const { client, runId } of readers) expect(client.ids).toEqual(oneTo(lastSeqs.get(runId) ?? 0));
    // Every client was sent 20 kB and more; what the server keeps of it is bounded by its heap's own growth.
    expect((await residentMiB(node.pid)) - before).toBeLessThan(150);
  });

  it('a client goes on at another node with exactly what it missed, during the run and after it', async () => {
    const other = await fleet.start();
    let go = (): void => undefined;
    const released = new Promise<void>((resolve) => (go = resolve));
    fleet.model.script('moves', calls('first', { name: 'no_such_tool', args: {} }), after(released, calls('second', { name: 'no_such_tool', args: {} })), answer('done'));
    const runId = await node.api.startRun('talker', '[moves] x');
    const first = await openClient(node, runId, { reads: true });
    await waitUntil('it has seen the first step', () => fleet.model.requests('moves').length === 2 && first.ids.length > 4);
    first.close();
    const seen = [...first.ids];
    const second = await openClient(other, runId, { reads: true, lastEventId: seen.at(-1) ?? 0 });
    go();
    await waitUntil('the run has ended for it', () => second.ended(), 30_000);
    const all = await node.api.events(runId);
    expect([...seen, ...second.ids]).toEqual(oneTo(all.length));
    for (const from of [0, 3, all.length - 1]) {
      const late = await collect(other.api.stream(`/runs/${runId}/events`, { headers: { 'last-event-id': String(from) } }));
      expect(late.map(({ id }) => id)).toEqual(oneTo(all.length).slice(from));
    }
    expect((await other.api.raw(`/api/v1/runs/${runId}/events`, { headers: { authorization: `Bearer ${other.api.apiKey}`, accept: 'text/event-stream', 'last-event-id': String(all.length) } })).status, 'nothing was missed').toBe(204);
  });
});
