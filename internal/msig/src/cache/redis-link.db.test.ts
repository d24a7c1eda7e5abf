import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { findRedisServer, startRedis } from '../testing/redis-server.ts';
import type { TestRedis } from '../testing/redis-server.ts';
import { openRedisLink } from './redis-link.ts';
import type { RedisLink } from './redis-link.ts';

const present = findRedisServer() !== null || process.env['CI'] === 'true';
if (!present) process.stderr.write('No redis-server is installed: the tests of the Redis link are skipped.\n');

describe.skipIf(!present)('the way to Redis', () => {
  let redis: TestRedis;
  let link: RedisLink;
  let lines: string[];

  beforeEach(async () => {
    const started = await startRedis();
    if (started === null) throw new Error('No redis-server.');
    redis = started;
    lines = [];
    link = openRedisLink(redis.url, { log: (line) => void lines.push(line), random: () => 0 });
    await link.tried;
  });
  afterEach(async () => {
    await link.close();
    await redis.stop();
  });

  it('runs commands', async () => {
    expect(link.isUp()).toBe(true);
    expect(await link.run((client) => client.set('k', 'v'))).toBe('OK');
    expect(await link.run((client) => client.get('k'))).toBe('v');
  });

  it('gives null at once while the server is away, and comes back by itself; an outage is two lines in the log', async () => {
    await redis.kill();
    await until(() => !link.isUp());
    const startedMs = performance.now();
    for (let at = 0; at < 100; at += 1) expect(await link.run((client) => client.get('k'))).toBeNull();
    expect(performance.now() - startedMs).toBeLessThan(50);
    await redis.restart();
    await until(() => link.isUp());
    expect(await link.run((client) => client.set('k', 'v'))).toBe('OK');
    expect(link.connections()).toBe(2);
    expect(lines).toEqual([expect.stringMatching(/^Redis at 127\.0\.0\.1:\d+ is away/), expect.stringMatching(/is back\.$/)]);
  });

  it('gives up commands of a server that does not answer, then asks it no more until it does', async () => {
    redis.freeze();
    const startedMs = performance.now();
    for (let at = 0; at < 100; at += 1) expect(await link.run((client) => client.get('k'), 20)).toBeNull();
    // Three were waited for, 20 ms each.
    expect(performance.now() - startedMs).toBeLessThan(500);
    expect(link.isUp()).toBe(false);
    redis.resume();
    await until(() => link.isUp());
    expect(await link.run((client) => client.set('k', 'v'))).toBe('OK');
    expect(lines).toHaveLength(2);
  });

  it('leaves a connection on which nothing is answered for good', async () => {
    redis.freeze();
    for (let at = 0; at < 3; at += 1) await link.run((client) => client.get('k'), 5);
    await until(() => lines.length > 0 && !link.isUp());
    await redis.restart();
    await until(() => link.isUp());
    expect(link.connections()).toBe(2);
  });

  it('gives null for what the server refuses, and stays up', async () => {
    expect(await link.run((client) => client.sendCommand(['NO-SUCH-COMMAND']))).toBeNull();
    expect(await link.run((client) => client.sendCommand(['NO-SUCH-COMMAND']))).toBeNull();
    expect(link.isUp()).toBe(true);
    expect(lines).toEqual([expect.stringContaining('refused a command')]);
  });

  it('starts without a server', async () => {
    await redis.kill();
    const other = openRedisLink(redis.url, { log: () => undefined, random: () => 0 });
    await other.tried;
    expect(other.isUp()).toBe(false);
    await redis.restart();
    await until(() => other.isUp());
    await other.close();
  });
});

describe('the URL of Redis', () => {
  it.each(['', 'localhost:6379', 'http://localhost', 'redis//x'])('refuses %j, and never shows it', (url) => {
    expect(() => openRedisLink(url, { log: () => undefined, random: () => 0 })).toThrow(/^The Redis URL cannot be used/);
  });
});

async function until(condition: () => boolean): Promise<void> {
  const deadlineMs = performance.now() + 10_000;
  while (!condition()) {
    if (performance.now() > deadlineMs) throw new Error('It did not happen within 10 seconds.');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
