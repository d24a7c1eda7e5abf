import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { JsonObject } from '@openeaap/kernel';
import { PlatformError } from '@openeaap/kernel';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { McpPeer } from './connect-mcp.ts';
import { connectMcp } from './connect-mcp.ts';
import type { McpListing } from './judge-tools.ts';
import type { McpConfig, McpDeps, McpTransport } from './mcp-config.ts';
import { startHttpServer } from './testing/start-http-server.ts';

const SECRETS: Readonly<Record<string, string>> = { GH_TOKEN: 's3cret-token' };
const SIGNAL = new AbortController().signal;
const shared: { readonly close: () => Promise<void> }[] = [];
const open: { readonly close: () => Promise<void> }[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((one) => one.close()));
});

const stdio = (mode: string, ...args: readonly string[]): McpTransport => ({ kind: 'stdio', command: process.execPath, args: [fileURLToPath(new URL('testing/stdio-server.mjs', import.meta.url)), mode, ...args], env: { TOKEN: { secret: 'GH_TOKEN' }, DECLARED: 'yes' }, cwd: null });
const http = (url: string, more: Partial<Extract<McpTransport, { kind: 'http' }>> = {}): McpTransport => ({ kind: 'http', url, headers: {}, bearerSecret: null, plainHttp: false, ...more });

interface Connected {
  readonly peer: McpPeer;
  readonly lines: readonly string[];
}

async function connect(transport: McpTransport, config: Partial<McpConfig> = {}, deps: Partial<McpDeps> = {}, owner = open): Promise<Connected> {
  const lines: string[] = [];
  const peer = await connectMcp(
    { plugin: 'github', transport, trustAnnotations: false, prefix: '', allow: null, deny: [], tools: {}, pin: true, startTimeoutMs: 8_000, ...config },
    { version: '0.1.0', secret: (name) => SECRETS[name], environment: { PATH: process.env['PATH'], HOME: '/home/of/tests', LANG: undefined }, pins: {}, onOutput: (line) => lines.push(line), fetch, ...deps },
    SIGNAL,
  );
  owner.push(peer);
  return { peer, lines };
}

async function serve(mode: string): Promise<Awaited<ReturnType<typeof startHttpServer>>> {
  const server = await startHttpServer(mode);
  open.push({ close: server.kill });
  return server;
}

const call = (peer: McpPeer, tool: string, args: JsonObject = {}, timeoutMs = 5_000) => peer.call(tool, args, { signal: SIGNAL, timeoutMs });

describe('an MCP server over stdio', () => {
  // One server for the tests that leave it as it was.
  let peer: McpPeer;
  beforeAll(async () => {
    ({ peer } = await connect(stdio('good'), {}, {}, shared));
  });
  afterAll(async () => {
    await Promise.all(shared.splice(0).map((one) => one.close()));
  });

  test('its tools are offered, as writes that are not repeated and whose output is not trusted', async () => {
    expect([peer.name, peer.version]).toEqual(['test-server', '2.1.0']);
    expect(peer.tools).toHaveLength(19);
    expect(peer.tools.find(({ name }) => name === 'echo')).toEqual({ name: 'echo', version: '2.1.0', description: 'Returns its arguments.', inputSchema: { type: 'object', properties: { text: { type: 'string' } }, required: ['text'], additionalProperties: false }, effect: 'write', idempotent: false, timeoutMs: 30_000, untrustedOutput: true });
    expect(peer.tools.map(({ effect }) => effect)).toEqual(Array.from({ length: 19 }, () => 'write'));
    expect(await call(peer, 'echo', { text: 'hi' })).toEqual({ output: 'hi' });
    await peer.ping(SIGNAL);
  });

  test('it gets PATH, HOME, LANG and what is declared, and nothing else of ours', async () => {
    const { output } = await call(peer, 'env');
    expect(output).toMatchObject({ HOME: '/home/of/tests', TOKEN: 's3cret-token', DECLARED: 'yes' });
    expect(Object.keys(output as JsonObject).filter((name) => !name.startsWith('__')).sort()).toEqual(['DECLARED', 'HOME', 'PATH', 'TOKEN']);
  });

  test('results: structured content first, JSON as JSON, bytes and large resources described', async () => {
    expect(await call(peer, 'structured')).toEqual({ output: { answer: 42 } });
    expect(await call(peer, 'mixed')).toEqual({
      output: [
        { a: [1] },
        '17',
        { type: 'image', mime_type: 'image/png', bytes: 1_000, omitted: true },
        { type: 'resource', uri: 'file:///small', mime_type: 'text/plain', content: 'small' },
        { type: 'resource', uri: 'file:///large', bytes: 100_000, truncated: true, preview: 'x'.repeat(2_048) },
        { type: 'resource_link', uri: 'file:///link', name: 'a link' },
      ],
    });
    expect(await call(peer, 'large')).toEqual({ output: { truncated: true, bytes: 4_194_406, limit_bytes: 4_194_304 } });
  });

  test('what it asks of us is refused: sampling, elicitation, roots', async () => {
    expect(await call(peer, 'ask')).toEqual({ output: [-32_601, -32_601, -32_601] });
  });

  test('the idempotency key and the trace travel with the call', async () => {
    const { output } = await peer.call('meta', {}, { signal: SIGNAL, timeoutMs: 5_000, idempotencyKey: 'r1:3', traceContext: { traceparent: '00-1-2-01' } });
    expect(output).toMatchObject({ traceparent: '00-1-2-01', 'openeaap.dev/idempotency-key': 'r1:3' });
  });

  test('a failure that the tool reports is a failure of the tool, in its own words', async () => {
    await expect(call(peer, 'fail')).rejects.toMatchObject({ code: 'tool_failed', message: 'the disk is full' });
    await expect(call(peer, 'refuse')).rejects.toMatchObject({ code: 'tool_failed', message: expect.stringMatching(/"github".*no such repository/) });
    await expect(call(peer, 'nowhere')).rejects.toMatchObject({ code: 'tool_failed', message: 'The MCP server "github" offers no tool "nowhere".' });
  });

  test('a call that the server breaks off, or answers with nonsense, has an unknown outcome', async () => {
    await expect(call(peer, 'break')).rejects.toMatchObject({ code: 'internal', message: expect.stringMatching(/null pointer.*is not known/) });
    await expect(call(peer, 'no-result')).rejects.toMatchObject({ code: 'internal', message: expect.stringMatching(/its own result is wrong/) });
  });

  test('a tool that hangs is left after its timeout, and the server is told; so is one that is stopped', async () => {
    await expect(call(peer, 'hang', {}, 50)).rejects.toMatchObject({ code: 'tool_timeout', message: expect.stringMatching(/50 ms/) });
    const stop = new AbortController();
    const stopped = peer.call('hang', {}, { signal: stop.signal, timeoutMs: 5_000 });
    stop.abort();
    await expect(stopped).rejects.toMatchObject({ code: 'cancelled' });
    expect(await call(peer, 'cancelled')).toEqual({ output: { cancelled: 2 } });
  });

  test('a server that dies in a call: unknown outcome, unless the tool reads; the next call is not sent', async () => {
    const { peer } = await connect(stdio('good'));
    await expect(call(peer, 'die')).rejects.toMatchObject({ code: 'internal', message: expect.stringMatching(/"github".*die.*exit code 7.*is not known/) });
    expect(await peer.closed).toBe('The MCP server "github" is gone: it ended with exit code 7.');
    await expect(call(peer, 'echo', { text: 'x' })).rejects.toMatchObject({ code: 'tool_unavailable', details: { sent: false }, message: expect.stringMatching(/not sent/) });
    await expect(peer.ping(SIGNAL)).rejects.toMatchObject({ code: 'tool_unavailable' });
    const reading = (await connect(stdio('good'), { tools: { die: { effect: 'read' } } })).peer;
    await expect(call(reading, 'die')).rejects.toMatchObject({ code: 'tool_unavailable' });
  });

  test('a server that floods is given up', async () => {
    const { peer } = await connect(stdio('good'));
    await expect(call(peer, 'flood')).rejects.toMatchObject({ code: 'internal', message: expect.stringMatching(/more than 4194304 bytes/) });
    const other = (await connect(stdio('good'))).peer;
    await expect(call(other, 'spam')).rejects.toMatchObject({ message: expect.stringMatching(/1000 messages that nobody asked for/) });
    expect(await other.closed).toMatch(/nobody asked for/);
  });

  test('a few lines of chatter go to the log; a stream of them is told with the cure', async () => {
    const { lines } = await connect(stdio('chatty', 'to standard error'));
    expect([...lines].sort()).toEqual(['Welcome to the server!', 'to standard error', '{"not": "a message"}'].sort());
    await expect(connect(stdio('garbage'))).rejects.toMatchObject({ code: 'unavailable', message: expect.stringMatching(/"github".*100 lines to standard output.*must log to standard error.*starting up 99/) });
  });

  test('a server that does not come up: what it said last, its secret masked, and the cure', async () => {
    await expect(connect(stdio('ends-at-once'))).rejects.toMatchObject({ code: 'unavailable', message: expect.stringMatching(/"github".*exit code 3.*Run `.*by hand.*the token is \[GH_TOKEN\]/) });
    await expect(connect(stdio('never-answers'), { startTimeoutMs: 300 })).rejects.toMatchObject({ code: 'unavailable', message: expect.stringMatching(/within 300 ms/) });
    await expect(connect({ ...stdio('good'), command: '/no/such/program' } as McpTransport)).rejects.toMatchObject({ code: 'unavailable', message: expect.stringMatching(/ENOENT.*Install "\/no\/such\/program"/) });
    await expect(connect({ ...stdio('good'), env: { T: { secret: 'MISSING' } } } as McpTransport)).rejects.toMatchObject({ code: 'invalid_input', message: expect.stringMatching(/secret MISSING/) });
    await expect(connect(stdio('no-tools'))).rejects.toMatchObject({ code: 'invalid_input', message: expect.stringMatching(/offers no tools/) });
    await expect(connect(stdio('no-list'))).rejects.toMatchObject({ code: 'unavailable' });
  });

  test('a stop ends the server and what it has started', async () => {
    const { peer, lines } = await connect(stdio('grandchild'));
    const child = Number(lines.find((line) => line.startsWith('child '))?.slice(6));
    expect(isAlive(child)).toBe(true);
    await peer.close();
    expect(await peer.closed).toBe('The MCP server "github" is gone: it was stopped.');
    await expect.poll(() => isAlive(child)).toBe(false);
  });
});

describe('which tools are offered', () => {
  test('a tool that is wrong is withheld with its reason, and hides no other', async () => {
    const { peer } = await connect(stdio('bad-schemas'));
    expect(peer.tools.map(({ name }) => name)).toEqual(['echo', 'constructor']);
    expect(peer.withheld.map(({ serverName, reason, message }) => `${serverName}: ${reason}: ${message.split('.')[0] ?? ''}`)).toEqual([
      'no_schema: invalid: its `inputSchema` is no JSON Schema of an object',
      'array_schema: invalid: its `inputSchema` is no JSON Schema of an object',
      expect.stringMatching(/^nonsense: invalid: its `inputSchema` is no valid JSON Schema: /),
      expect.stringMatching(/^deep: invalid: .*32 levels/),
      expect.stringMatching(/^huge: invalid: .*65536 bytes/),
      expect.stringMatching(/^as_task: invalid: it can only be called as a task/),
      ': invalid: the server offers a tool without a name',
      ': invalid: the server offers a tool without a name',
      'a.b: invalid: two tools of the server would be called "a_b" here',
      'a/b: invalid: two tools of the server would be called "a_b" here',
    ]);
  });

  test('pages are followed, endless ones are not', async () => {
    expect((await connect(stdio('pages'))).peer.tools).toHaveLength(19);
    expect((await connect(stdio('endless-pages'))).peer.tools).toHaveLength(64);
    const many = (await connect(stdio('many-tools'))).peer;
    expect(many.tools).toHaveLength(256);
    expect(many.withheld[0]).toMatchObject({ serverName: 't256', message: expect.stringMatching(/256 tools.*`allow`/) });
  });

  test('a description that changes withholds the tool until the operator accepts this very text', async () => {
    const { peer } = await connect(stdio('rug-pull'));
    const pins = Object.fromEntries(peer.listed.map(({ serverName, hash }) => [serverName, hash]));
    const change = async (of: McpPeer): Promise<McpListing> => {
      const told = new Promise<McpListing>((resolve) => {
        const end = of.onToolsChanged((listing) => {
          end();
          resolve(listing);
        });
      });
      await call(of, 'change');
      return told;
    };
    const listing = await change(peer);
    expect(listing.withheld).toMatchObject([{ serverName: 'echo', reason: 'changed', message: expect.stringMatching(/accept/) }]);
    expect(peer.tools.map(({ name }) => name)).toContain('new');
    await expect(call(peer, 'echo', { text: 'x' })).rejects.toMatchObject({ code: 'tool_failed', message: expect.stringMatching(/withheld.*not what was accepted/) });
    peer.accept('echo', listing.withheld[0]?.hash ?? '');
    expect(await call(peer, 'echo', { text: 'x' })).toEqual({ output: 'x' });
    expect((await change(peer)).withheld).toMatchObject([{ serverName: 'echo', reason: 'changed' }]);
    // A server that is started anew is held to what was accepted before.
    const again = (await connect(stdio('rug-pull'), {}, { pins: { ...pins, echo: 'another' } })).peer;
    expect(again.withheld).toMatchObject([{ serverName: 'echo', reason: 'changed' }]);
    expect((await connect(stdio('rug-pull'), { pin: false }, { pins: { echo: 'another' } })).peer.withheld).toEqual([]);
  });
});

describe('an MCP server over HTTP', () => {
  test.each(['good', 'json', 'sse'])('%s: tools are listed and called', async (mode) => {
    const { peer } = await connect(http((await serve(mode)).url));
    expect(peer.tools).toHaveLength(19);
    expect(await call(peer, 'echo', { text: 'hi' })).toEqual({ output: 'hi' });
    await expect(call(peer, 'fail')).rejects.toMatchObject({ code: 'tool_failed', message: 'the disk is full' });
    await expect(call(peer, 'hang', {}, 50)).rejects.toMatchObject({ code: 'tool_timeout' });
    await peer.ping(SIGNAL);
    await peer.close();
    expect(await peer.closed).toMatch(/it was stopped/);
  });

  test('the secret is sent; without it the cure is named, and the secret is in no message', async () => {
    const { url } = await serve('bearer');
    const { peer } = await connect(http(url, { bearerSecret: 'GH_TOKEN', headers: { 'x-team': 'red' } }));
    expect(await call(peer, 'echo', { text: 'hi' })).toEqual({ output: 'hi' });
    await expect(connect(http(url, { bearerSecret: 'GH_TOKEN' }))).rejects.toMatchObject({ code: 'unavailable', message: expect.stringMatching(/HTTP 401.*Check the secret/) });
  });

  test.each(['good', 'sse'])('%s: a connection that breaks in a call leaves its outcome unknown', async (mode) => {
    const { peer } = await connect(http((await serve(mode)).url));
    await expect(call(peer, 'die')).rejects.toMatchObject({ code: 'internal', message: expect.stringMatching(/connection.*is not known/) });
  });

  test('an answer without end is cut off', async () => {
    const { peer } = await connect(http((await serve('good')).url));
    await expect(call(peer, 'flood')).rejects.toMatchObject({ code: 'internal', message: expect.stringMatching(/more than 4194304 bytes/) });
  });

  test('a server that is gone, or was started anew, took no call', async () => {
    const server = await serve('good');
    const { peer } = await connect(http(server.url));
    await fetch(new URL('/forget', server.url));
    await expect(call(peer, 'echo', { text: 'x' })).rejects.toMatchObject({ code: 'tool_unavailable', message: expect.stringMatching(/HTTP 404/) });
    expect(await peer.closed).toMatch(/forgotten the session/);
    const other = (await connect(http(server.url))).peer;
    await server.kill();
    await expect(call(other, 'echo', { text: 'x' })).rejects.toMatchObject({ code: 'tool_unavailable', details: { sent: false }, message: expect.stringMatching(/not sent/) });
    await expect(other.ping(SIGNAL)).rejects.toMatchObject({ code: 'tool_unavailable' });
  });

  test.each([
    ['silent', /within 400 ms.*Check `url`/],
    ['html', /does not speak MCP/],
    ['broken', /HTTP 502/],
    ['broken-json', /no JSON/],
    ['redirect', /HTTP 307/],
  ])('%s: what answers is no MCP server, and the message says so', async (mode, message) => {
    const { url } = await serve(mode);
    await expect(connect(http(url), { startTimeoutMs: mode === 'silent' ? 400 : 8_000 })).rejects.toMatchObject({ code: 'unavailable', message: expect.stringMatching(message) });
  });

  test('nobody at the address', async () => {
    const server = await serve('good');
    await server.kill();
    await expect(connect(http(server.url))).rejects.toMatchObject({ code: 'unavailable', message: expect.stringMatching(/cannot be reached \(ECONNREFUSED\)/) });
  });

  test.each([
    ['not a url', /is no URL/],
    ['ftp://x/', /https:/],
    ['https://user:pw@x/', /must not hold a password/],
    ['http://mcp.example.org/', /plain http to another machine.*Use https/],
  ])('%s is refused before anything is sent', async (url, message) => {
    const sent: unknown[] = [];
    await expect(connect(http(url), {}, { fetch: (...args) => (sent.push(args), fetch(...args)) })).rejects.toMatchObject({ code: 'invalid_input', message: expect.stringMatching(message) });
    expect(sent).toEqual([]);
  });

  test('a start can be stopped', async () => {
    const { url } = await serve('silent');
    const stop = new AbortController();
    const started = connectMcp({ plugin: 'p', transport: http(url), trustAnnotations: false, prefix: '', allow: null, deny: [], tools: {}, pin: true, startTimeoutMs: 8_000 }, { version: '0', secret: () => undefined, environment: { PATH: undefined, HOME: undefined, LANG: undefined }, pins: {}, onOutput: () => undefined, fetch }, stop.signal);
    stop.abort();
    await expect(started).rejects.toSatisfy((error) => error instanceof PlatformError && error.code === 'cancelled');
  });
});

/** A process that nobody has fetched yet has ended all the same. */
const isAlive = (pid: number): boolean => spawnSync('ps', ['-o', 'stat=', '-p', String(pid)], { encoding: 'utf8' }).stdout.trim().replace(/^Z.*/, '') !== '';
