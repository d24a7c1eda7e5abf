import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Simulators } from '../index.ts';
import { startSimulators } from '../index.ts';

let simulators: Simulators;
beforeEach(async () => {
  simulators = await startSimulators({ host: '127.0.0.1' });
});
afterEach(() => simulators.close());

const block = (key: string | null, body: unknown = { ip: '1.2.3.4', reason: 'botnet', duration_minutes: 60 }): Promise<Response> =>
  fetch(`${simulators.firewallUrl}/v1/blocks`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...(key === null ? {} : { 'idempotency-key': key }) },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });

const intel = (ip: string, key = 'k'): Promise<Response> => fetch(`${simulators.threatIntelUrl}/v1/ip/${ip}`, { headers: key === '' ? {} : { 'x-api-key': key } });

const push = (id: string, body: unknown): Promise<Response> =>
  fetch(`${simulators.siemUrl}/v1/alerts/${id}/push`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) });

test('every answer says that it is simulated, errors too', async () => {
  const { threatIntelUrl, cmdbUrl, firewallUrl, siemUrl } = simulators;
  for (const url of [`${threatIntelUrl}/v1/ip/1.2.3.4`, `${cmdbUrl}/v1/assets`, `${firewallUrl}/nowhere`, `${siemUrl}/v1/alerts`, `${siemUrl}/health`, `${cmdbUrl}/%zz`]) {
    const response = await fetch(url);
    expect(response.headers.get('x-simulated')).toBe('true');
    expect(await response.json()).toMatchObject({ simulated: true });
  }
});

describe('threat intelligence', () => {
  test('wants a key and answers the same every time', async () => {
    expect((await intel('1.2.3.4', '')).status).toBe(401);
    expect(await (await intel('1.2.3.4')).json()).toMatchObject({ ip: '1.2.3.4', risk_score: 90, tags: ['botnet', 'c2'] });
    expect(await (await intel('198.51.100.7')).json()).toMatchObject({ risk_score: 86 });
    expect(await (await intel('203.0.113.50')).json()).toMatchObject({ risk_score: 20 });
    const unknown = await (await intel('192.0.2.77')).json();
    expect(await (await intel('192.0.2.77')).json()).toEqual(unknown);
    expect((await intel('not-an-ip')).status).toBe(400);
    expect(simulators.state().threatIntelLookups).toBe(5);
  });
});

describe('CMDB', () => {
  test('finds an asset by name or address', async () => {
    const get = async (name: string) => (await fetch(`${simulators.cmdbUrl}/v1/assets/${name}`)).json();
    expect(await get('bastion-01')).toMatchObject({ owner: '张伟', criticality: 'critical' });
    expect(await get('10.1.0.31')).toMatchObject({ name: 'bastion-01' });
    expect((await fetch(`${simulators.cmdbUrl}/v1/assets/nothing`)).status).toBe(404);
  });
});

describe('firewall', () => {
  test('a repeat with the same key is no second effect', async () => {
    const replies = await Promise.all([block('run-1:4'), block('run-1:4'), block('run-1:4')]);
    expect(replies.map((reply) => reply.status).sort((a, b) => a - b)).toEqual([200, 200, 201]);
    const bodies = (await Promise.all(replies.map((reply) => reply.json()))) as { readonly rule_id: string; readonly duplicate: boolean }[];
    expect(new Set(bodies.map((body) => body.rule_id)).size).toBe(1);
    expect(bodies.filter((body) => body.duplicate)).toHaveLength(2);
    expect(simulators.state()).toMatchObject({ firewallEffects: 1, firewallRequests: 3, firewallRules: [{ ip: '1.2.3.4' }] });
  });

  test('without a key every request is an effect; a key belongs to one block', async () => {
    await block(null);
    await block(null);
    expect(simulators.state().firewallEffects).toBe(2);
    await block('k');
    expect((await block('k', { ip: '4.3.2.1', reason: 'x', duration_minutes: 1 })).status).toBe(409);
    expect(simulators.state().firewallEffects).toBe(3);
  });

  test('lists and deletes rules, and counts a deleted one as having happened', async () => {
    await block('k');
    const list = (await (await fetch(`${simulators.firewallUrl}/v1/blocks`)).json()) as { readonly blocks: { readonly rule_id: string }[] };
    const url = `${simulators.firewallUrl}/v1/blocks/${String(list.blocks[0]?.rule_id)}`;
    expect((await fetch(url, { method: 'DELETE' })).status).toBe(200);
    expect((await fetch(url, { method: 'DELETE' })).status).toBe(404);
    expect(simulators.state()).toMatchObject({ firewallRules: [], firewallEffects: 1 });
  });

  test.each([{}, { ip: 'x', reason: 'y', duration_minutes: 1 }, { ip: '1.2.3.4', reason: '', duration_minutes: 1 }, { ip: '1.2.3.4', reason: 'y', duration_minutes: 0 }, '{', '[]'])(
    'refuses %j',
    async (body) => {
      expect((await block('k', body)).status).toBe(400);
      expect(simulators.state().firewallEffects).toBe(0);
    },
  );
});

describe('SIEM', () => {
  test('pushes an alert to the trigger of the platform, as a SIEM would', async () => {
    const seen: unknown[] = [];
    const platform = createServer((request, response) => {
      const parts: Buffer[] = [];
      request
        .on('data', (part: Buffer) => parts.push(part))
        .on('end', () => {
          const { authorization, 'idempotency-key': key } = request.headers;
          seen.push({ method: request.method, url: request.url, authorization, key, body: JSON.parse(Buffer.concat(parts).toString()) });
          response.writeHead(202, { 'content-type': 'application/json' }).end('{"run_id":"run-1"}');
        });
    });
    platform.listen(0, '127.0.0.1');
    await once(platform, 'listening');
    try {
      const target = `http://127.0.0.1:${(platform.address() as AddressInfo).port}/`;
      const reply = await push('alert-1001', { target, api_key: 'key-1' });
      expect(reply.status).toBe(202);
      expect(await reply.json()).toMatchObject({ pushed: true, platform_answer: { run_id: 'run-1' } });
      expect(seen).toMatchObject([
        { method: 'POST', url: '/api/v1/triggers/siem', authorization: 'Bearer key-1', key: 'siem:alert-1001', body: { id: 'alert-1001', source_ip: '1.2.3.4' } },
      ]);
      expect(simulators.state().alertsPushed).toBe(1);
    } finally {
      platform.closeAllConnections();
      platform.close();
    }
  });

  test('says when the platform is out of reach, and refuses a bad push', async () => {
    expect((await push('alert-1001', { target: 'http://127.0.0.1:9', api_key: 'k' })).status).toBe(502);
    expect((await push('alert-1001', { target: 'file:///etc', api_key: 'k' })).status).toBe(400);
    expect((await push('alert-1001', { target: 'http://127.0.0.1:9' })).status).toBe(400);
    expect((await push('alert-9', { target: 'http://127.0.0.1:9', api_key: 'k' })).status).toBe(404);
    expect(simulators.state().alertsPushed).toBe(0);
  });
});
