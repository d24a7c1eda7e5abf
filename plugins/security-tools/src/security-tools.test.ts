import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { ToolContext, ToolInvocation } from '@openeaap/adapter';
import { LIMITS } from '@openeaap/kernel';
import { afterEach, describe, expect, test } from 'vitest';
import type { SecurityTools, SecurityToolsConfig } from './index.ts';
import { createSecurityTools } from './index.ts';

type Handler = (request: IncomingMessage, response: ServerResponse, body: string) => void;

const closers: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  await Promise.all(closers.splice(0).map((close) => close()));
});

/** A real HTTP server on a loopback port, that answers as the test says. */
async function serve(handler: Handler): Promise<string> {
  const server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part)).on('end', () => handler(request, response, Buffer.concat(parts).toString()));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  closers.push(() => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

function open(url: string, config: Partial<SecurityToolsConfig> = {}): SecurityTools {
  const tools = createSecurityTools({ threatIntelUrl: url, cmdbUrl: url, firewallUrl: url, ...config });
  closers.push(() => tools.close());
  return tools;
}

async function openServing(handler: Handler, config: Partial<SecurityToolsConfig> = {}): Promise<SecurityTools> {
  return open(await serve(handler), config);
}

const json = (response: ServerResponse, body: unknown, status = 200): void => {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
};

function invocation(tool: string, args: ToolInvocation['args'], extra: Partial<ToolInvocation> = {}): ToolInvocation {
  return { tool, args, idempotencyKey: 'run-1:4', runId: 'run-1', stepId: 'step-4', stepNo: 4, agentId: 'a', dryRun: false, ...extra };
}

const context = (extra: Partial<ToolContext> = {}): ToolContext => ({
  signal: new AbortController().signal,
  principal: { tenantId: 't', userId: 'alice', groups: [], clearance: 2 },
  secrets: { THREAT_INTEL_KEY: 'key-1' },
  traceContext: { traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01', 'x-evil': 'no' },
  ...extra,
});

const CHECK = invocation('check_ip_reputation', { ip: '1.2.3.4' });
const LOOKUP = invocation('cmdb_lookup', { asset: 'vpn-gw-01' });
const BLOCK = invocation('firewall_block_ip', { ip: '1.2.3.4', reason: 'botnet' });

describe('check_ip_reputation', () => {
  test('sends the secret as x-api-key, passes the trace on and nothing else', async () => {
    let seen: IncomingMessage | undefined;
    const tools = await openServing((request, response) => {
      seen = request;
      json(response, { ip: '1.2.3.4', risk_score: 90, tags: ['botnet', 'c2'], source: 'feed' });
    });
    const { output } = await tools.call(CHECK, context());
    expect(output).toEqual({ ip: '1.2.3.4', score: 90, risk: 'high', tags: ['botnet', 'c2'], source: 'feed' });
    expect(seen?.url).toBe('/v1/ip/1.2.3.4');
    expect(seen?.headers).toMatchObject({ 'x-api-key': 'key-1', traceparent: context().traceContext['traceparent'] });
    expect(seen?.headers).not.toHaveProperty('x-evil');
  });

  test.each([
    [0, 'low'],
    [39.9, 'low'],
    [40, 'medium'],
    [69, 'medium'],
    [70, 'high'],
    [100, 'high'],
  ])('takes a score of %d for %s', async (score, risk) => {
    const tools = await openServing((_request, response) => json(response, { ip: '1.2.3.4', risk_score: score }));
    expect((await tools.call(CHECK, context())).output).toMatchObject({ score, risk, tags: [] });
  });

  test('does not call an unknown address harmless', async () => {
    const tools = await openServing((_request, response) => json(response, {}, 404));
    await expect(tools.call(CHECK, context())).rejects.toMatchObject({ code: 'tool_failed', message: expect.stringContaining('Unknown does not mean harmless') });
  });

  test('says which secret is missing, without a call', async () => {
    let calls = 0;
    const tools = await openServing((_request, response) => json(response, { calls: ++calls }));
    await expect(tools.call(CHECK, context({ secrets: {} }))).rejects.toMatchObject({ code: 'tool_failed', details: { secret: 'THREAT_INTEL_KEY' } });
    expect(calls).toBe(0);
  });

  test('does not show a secret that cannot be sent', async () => {
    const tools = await openServing((_request, response) => json(response, {}));
    const failure = tools.call(CHECK, context({ secrets: { THREAT_INTEL_KEY: 'top\nsecret' } }));
    await expect(failure).rejects.toMatchObject({ code: 'tool_failed', message: expect.not.stringContaining('secret\n') });
  });

  test.each([
    ['no score', { ip: '1.2.3.4' }],
    ['a score out of range', { ip: '1.2.3.4', risk_score: 101 }],
    ['a score that is text', { ip: '1.2.3.4', risk_score: '90' }],
    ['another address', { ip: '4.3.2.1', risk_score: 90 }],
    ['tags that are no list', { ip: '1.2.3.4', risk_score: 90, tags: 'c2' }],
    ['a list', []],
  ])('refuses an answer with %s', async (_name, body) => {
    const tools = await openServing((_request, response) => json(response, body));
    await expect(tools.call(CHECK, context())).rejects.toMatchObject({ code: 'tool_failed' });
  });

  test.each(['1.2.3.4/../../v1/blocks', '1.2.3.999', 'fe80::1%eth0', '', 7])('refuses %j as an address', async (ip) => {
    const tools = open('http://127.0.0.1:9');
    await expect(tools.call(invocation('check_ip_reputation', { ip }), context())).rejects.toMatchObject({ code: 'tool_failed' });
  });

  test('asks for the canonical form of an IPv6 address', async () => {
    const tools = await openServing((request, response) => json(response, { ip: '2001:DB8::1', risk_score: request.url === '/v1/ip/2001%3Adb8%3A%3A1' ? 50 : 0 }));
    const { output } = await tools.call(invocation('check_ip_reputation', { ip: '2001:0db8:0::1' }), context());
    expect(output).toMatchObject({ ip: '2001:db8::1', score: 50 });
  });
});

describe('cmdb_lookup', () => {
  test('returns what the CMDB knows, and null for what it does not', async () => {
    const tools = await openServing((_request, response) => json(response, { name: 'vpn-gw-01', owner: '张伟', department: null, criticality: 'critical', contact: '010-5550-0132' }));
    expect((await tools.call(LOOKUP, context())).output).toEqual({
      asset: 'vpn-gw-01',
      found: true,
      owner: '张伟',
      department: null,
      criticality: 'critical',
      environment: null,
      contact: '010-5550-0132',
    });
  });

  test('answers found: false for an asset that is not there', async () => {
    const tools = await openServing((_request, response) => json(response, { error: 'nope' }, 404));
    expect((await tools.call(LOOKUP, context())).output).toMatchObject({ found: false, owner: null });
  });

  test.each(['../admin', 'a/b', 'a b', '-a', ''])('refuses %j as an asset', async (asset) => {
    await expect(open('http://127.0.0.1:9').call(invocation('cmdb_lookup', { asset }), context())).rejects.toMatchObject({ code: 'tool_failed' });
  });

  test('keeps the prefix of the configured URL', async () => {
    let path: string | undefined;
    const url = await serve((request, response) => {
      path = request.url;
      json(response, {});
    });
    await open(`${url}/gateway/cmdb/`).call(LOOKUP, context());
    expect(path).toBe('/gateway/cmdb/v1/assets/vpn-gw-01');
  });
});

describe('firewall_block_ip', () => {
  test('sends the idempotency key of the step and a bounded duration', async () => {
    let seen: { readonly key: unknown; readonly body: unknown } | undefined;
    const tools = await openServing((request, response, body) => {
      seen = { key: request.headers['idempotency-key'], body: JSON.parse(body) };
      json(response, { ip: '1.2.3.4', rule_id: 'fw-7', duplicate: false }, 201);
    });
    expect((await tools.call(BLOCK, context())).output).toEqual({ ip: '1.2.3.4', status: 'blocked', rule_id: 'fw-7', duplicate: false });
    expect(seen).toEqual({ key: 'run-1:4', body: { ip: '1.2.3.4', reason: 'botnet', duration_minutes: 1_440 } });
  });

  test('does not touch the firewall in a dry run', async () => {
    let calls = 0;
    const tools = await openServing((_request, response) => json(response, { calls: ++calls }));
    expect((await tools.call({ ...BLOCK, dryRun: true }, context())).output).toEqual({ ip: '1.2.3.4', status: 'would_block', rule_id: null, duplicate: false });
    expect(calls).toBe(0);
  });

  test.each(['127.0.0.1', '0.0.0.0', '255.255.255.255', '224.0.0.1', '::', '::1', '::ffff:127.0.0.1', 'ff02::1'])('does not block %s', async (ip) => {
    const tools = open('http://127.0.0.1:9');
    await expect(tools.call(invocation('firewall_block_ip', { ip, reason: 'x' }), context())).rejects.toMatchObject({ code: 'tool_failed' });
  });

  test.each([{ reason: '' }, { reason: 'x'.repeat(1_025) }, { reason: 'x', duration_minutes: 0 }, { reason: 'x', duration_minutes: 1.5 }, { reason: 'x', duration_minutes: 43_201 }])(
    'refuses %j',
    async (args) => {
      await expect(open('http://127.0.0.1:9').call(invocation('firewall_block_ip', { ip: '1.2.3.4', ...args }), context())).rejects.toMatchObject({ code: 'tool_failed' });
    },
  );
});

describe('every call', () => {
  test.each([
    [500, 'tool_unavailable'],
    [503, 'tool_unavailable'],
    [429, 'tool_unavailable'],
    [400, 'tool_failed'],
    [401, 'tool_failed'],
    [302, 'tool_failed'],
  ])('turns HTTP %d into %s and keeps what the peer wrote out of the message', async (status, code) => {
    const tools = await openServing((_request, response) => {
      response.writeHead(status, { location: 'http://127.0.0.1:9/' }).end('stack trace with key-1');
    });
    for (const call of [CHECK, LOOKUP, BLOCK]) {
      await expect(tools.call(call, context())).rejects.toMatchObject({ code, message: expect.not.stringContaining('key-1') });
    }
  });

  test('a refused connection can be tried again', async () => {
    await expect(open('http://127.0.0.1:9').call(BLOCK, context())).rejects.toMatchObject({ code: 'tool_unavailable', retryable: true });
  });

  test('a connection cut in the middle of the answer can be tried again', async () => {
    const tools = await openServing((_request, response) => {
      response.writeHead(200, { 'content-length': '100' });
      response.write('{"ip"', () => response.destroy());
    });
    await expect(tools.call(CHECK, context())).rejects.toMatchObject({ code: 'tool_unavailable' });
  });

  test.each(['<html>', '', '{"a":', '"text"', 'null'])('refuses %j as an answer', async (body) => {
    const tools = await openServing((_request, response) => response.end(body));
    await expect(tools.call(CHECK, context())).rejects.toMatchObject({ code: 'tool_failed' });
  });

  test('stops reading an answer that is too large', async () => {
    let sent = 0;
    const tools = await openServing((_request, response) => {
      const block = Buffer.alloc(65_536, ' ');
      const more = (): void => {
        if (response.destroyed) return;
        sent += block.length;
        response.write(block, more);
      };
      more();
    });
    await expect(tools.call(CHECK, context())).rejects.toMatchObject({ code: 'tool_failed', message: expect.stringContaining(String(LIMITS.toolResponseBytes)) });
    expect(sent).toBeLessThan(LIMITS.toolResponseBytes * 4);
  });

  test('gives up on a peer that never answers, or stops in the middle', async () => {
    const silent = await openServing(() => undefined, { timeoutMs: 100 });
    await expect(silent.call(LOOKUP, context())).rejects.toMatchObject({ code: 'tool_timeout' });
    const stalled = await openServing((_request, response) => response.writeHead(200).write('{'), { timeoutMs: 100 });
    await expect(stalled.call(LOOKUP, context())).rejects.toMatchObject({ code: 'tool_timeout' });
  });

  test('ends at once when it is cancelled, before or during', async () => {
    const controller = new AbortController();
    const tools = await openServing(() => controller.abort());
    await expect(tools.call(LOOKUP, context({ signal: controller.signal }))).rejects.toMatchObject({ code: 'cancelled' });
    await expect(tools.call(LOOKUP, context({ signal: AbortSignal.abort() }))).rejects.toMatchObject({ code: 'cancelled' });
  });

  test('an unknown tool is refused', async () => {
    await expect(open('http://127.0.0.1:9').call(invocation('rm_rf', {}), context())).rejects.toMatchObject({ code: 'tool_failed' });
  });
});

describe('createSecurityTools', () => {
  test('announces three tools with closed schemas and their true effects', async () => {
    const { tools } = await open('http://127.0.0.1:9').handshake();
    expect(tools.map((tool) => [tool.name, tool.effect, tool.idempotent, tool.secrets ?? [], tool.untrustedOutput ?? false])).toEqual([
      ['check_ip_reputation', 'read', true, ['THREAT_INTEL_KEY'], true],
      ['cmdb_lookup', 'read', true, [], false],
      ['firewall_block_ip', 'destructive', true, [], false],
    ]);
    expect(tools.every((tool) => tool.inputSchema['additionalProperties'] === false)).toBe(true);
  });

  test.each([
    [{ threatIntelUrl: 'http://intel.example.com' }, 'threatIntelUrl'],
    [{ cmdbUrl: 'ftp://127.0.0.1' }, 'cmdbUrl'],
    [{ firewallUrl: 'https://u:p@fw.example.com' }, 'firewallUrl'],
    [{ firewallUrl: 'nowhere' }, 'firewallUrl'],
    [{ timeoutMs: 0 }, 'timeoutMs'],
  ])('refuses %j', (config, field) => {
    const url = 'http://127.0.0.1:9';
    expect(() => createSecurityTools({ threatIntelUrl: url, cmdbUrl: url, firewallUrl: url, ...config })).toThrow(
      expect.objectContaining({ code: 'invalid_input', details: { field } }),
    );
  });

  test('takes plain http to other hosts only when told so', async () => {
    expect(() => open('http://intel.example.com', { allowInsecure: true })).not.toThrow();
  });

  test('says which product is out of reach', async () => {
    const url = await serve((_request, response) => json(response, {}));
    expect(await open(url).healthCheck()).toMatchObject({ serving: true });
    expect(await open(url, { firewallUrl: 'http://127.0.0.1:9' }).healthCheck()).toEqual({ serving: false, detail: 'Not reachable: firewall.' });
  });
});
