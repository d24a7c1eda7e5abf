import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { readFileSync } from 'node:fs';
import { ServerCredentials } from '@grpc/grpc-js';
import { afterEach, describe, expect, test } from 'vitest';
import { ALL_CHECKS } from './checks/all-checks.ts';
import { runCli } from './run-cli.ts';
import { issueCertificates } from './test-certificates.ts';
import { startReferenceWorker } from './testing/reference-worker.ts';
import type { Worker, WorkerOptions } from './testing/reference-worker.ts';

const workers: Worker[] = [];
const folders: string[] = [];
afterEach(async () => {
  for (const worker of workers.splice(0)) worker.close();
  await Promise.all(folders.splice(0).map((folder) => rm(folder, { recursive: true, force: true })));
});

async function start(options: Partial<WorkerOptions> = {}): Promise<Worker> {
  const worker = await startReferenceWorker({ listen: '127.0.0.1:0', token: null, receivesBytes: 262_144, ...options });
  workers.push(worker);
  return worker;
}

async function run(argv: readonly string[], environment: Readonly<Record<string, string>> = {}) {
  const written = { stdout: '', stderr: '' };
  const exitCode = await runCli(argv, {
    stdout: (text) => void (written.stdout += text),
    stderr: (text) => void (written.stderr += text),
    environment, cwd: tmpdir(), version: '1.2.3', signal: new AbortController().signal, timing: { connectMs: 500, shortDeadlineMs: 100 },
  });
  return { exitCode, ...written };
}

const QUICK = ['--only', 'handshake.version', '--only', 'tool.echo'];

describe('a plugin that runs', () => {
  test('that keeps its promises: exit code 0 and a line for each check', async () => {
    const { listen } = await start();
    const { exitCode, stdout, stderr } = await run(['--address', listen, ...QUICK]);
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
    expect(stdout).toMatch(/^plugin {2}reference 1\.0\.0 \(SDK typescript 1\.0\.0\) at 127\.0\.0\.1:\d+$/m);
    expect(stdout).toMatch(/^ok +handshake\.version +\[1\] is answered with 1$/m);
    expect(stdout).toMatch(/^2 kept, 0 broken, 0 warnings, 0 skipped$/m);
  });

  test('that breaks one: exit code 1, what was expected, what came, and where it is written', async () => {
    const { listen } = await start({ spoil: (parts) => ({ ...parts, health: async () => ({ serving: false, detail: 'not \u001b[31mtoday' }) }) });
    const { exitCode, stdout } = await run(['--address', listen, '--only', 'health.answers']);
    expect(exitCode).toBe(1);
    expect(stdout).toContain('FAIL  health.answers  HealthCheck answers within its deadline');
    expect(stdout).toContain('expected  serving: true\n');
    expect(stdout).toContain('got       serving: false ("not \ufffd[31mtoday")\n');
    expect(stdout).toContain('see       docs/plugin-protocol.md, "The life of a connection"');
  });

  test('in JSON: one document that says the same', async () => {
    const { listen } = await start({ spoil: (parts) => ({ ...parts, health: async () => ({ serving: false, detail: '' }) }) });
    const { exitCode, stdout } = await run(['--address', listen, '--only', 'health', '--json']);
    expect(exitCode).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({
      openeaap_conformance: 1, ok: false, plugin: { name: 'reference', agents: ['conformance'] }, agent: { name: 'conformance', nature: 'program' },
      summary: { passed: 2, failed: 1, warned: 0, skipped: 0, not_offered: 0 },
      checks: [{ name: 'health.answers', verdict: 'failed', expected: 'serving: true', got: 'serving: false' }, { name: 'health.while_busy', verdict: 'passed' }, { name: 'health.grpc', verdict: 'passed' }],
    });
  });

  test('without the conformance tools: these checks are skipped, and --strict does not allow it', async () => {
    const { listen } = await start({ spoil: (parts) => ({ ...parts, handshake: (request) => ({ ...parts.handshake(request), tools: [], agents: [] }) }) });
    const lax = await run(['--address', listen, '--only', 'tool', '--only', 'handshake.version']);
    expect(lax.exitCode).toBe(0);
    expect(lax.stdout).toMatch(/^skip +tool\.echo +the plugin offers no conformance_echo$/m);
    const strict = await run(['--address', listen, '--only', 'tool', '--only', 'handshake.version', '--strict']);
    expect(strict.exitCode).toBe(1);
    expect(strict.stdout).toContain('which --strict does not allow');
  });

  test('with a token: from the environment it is sent, without it the cure is named', async () => {
    const { listen } = await start({ token: 'secret-token' });
    expect(await run(['--address', listen, '--only', 'token', '--token-env', 'MY_TOKEN'], { MY_TOKEN: 'secret-token' })).toMatchObject({ exitCode: 0, stdout: expect.stringMatching(/^2 kept/m) });
    expect(await run(['--address', listen])).toMatchObject({ exitCode: 2, stdout: '', stderr: expect.stringMatching(/UNAUTHENTICATED.*--token-env/) });
  });

  test('with TLS and a client certificate: by the files that are named', async () => {
    const { ca, server, client } = issueCertificates('plugin.test', new Date());
    const folder = await mkdtemp(path.join(tmpdir(), 'openeaap-cli-'));
    folders.push(folder);
    await Promise.all(Object.entries({ ca, cert: client.cert, key: client.key }).map(([name, text]) => writeFile(path.join(folder, `${name}.pem`), text)));
    const credentials = ServerCredentials.createSsl(Buffer.from(ca), [{ cert_chain: Buffer.from(server.cert), private_key: Buffer.from(server.key) }], true);
    const { listen } = await start({ credentials });
    const files = ['--ca', path.join(folder, 'ca.pem'), '--cert', path.join(folder, 'cert.pem'), '--key', path.join(folder, 'key.pem')];
    expect(await run(['--address', listen, ...files, '--server-name', 'plugin.test', ...QUICK])).toMatchObject({ exitCode: 0 });
    expect(await run(['--address', listen, ...files, '--server-name', 'another.test', ...QUICK])).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('TLS') });
  });

  test('whose agent asks no model and follows no table: only what holds for every agent is tested', async () => {
    const spoil: WorkerOptions['spoil'] = (parts) => ({
      ...parts,
      handshake: (request) => ({ ...parts.handshake(request), agents: [{ name: 'triage', description: '', reasoningModes: [] }] }),
      think: (request, call) => parts.think({ ...request, agent: undefined, inputPayload: '{"do":"finish","output":"I am of my own kind"}' }, call),
    });
    const { listen } = await start({ spoil });
    const { exitCode, stdout } = await run(['--address', listen, '--only', 'agent', '--agent', 'triage']);
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/^agent +triage, of its own kind$/m);
    expect(stdout).toMatch(/^ok +agent\.answers/m);
    expect(stdout).toMatch(/^skip +agent\.finish .*neither asks the model nor follows/m);
  });
});

describe('a command line that is wrong: exit code 2, and the cure', () => {
  test.each<readonly [readonly string[], RegExp]>([
    [[], /Say where the plugin is with --address/],
    [['--adress', 'x'], /'--adress'/],
    [['127.0.0.1:1'], /127\.0\.0\.1:1/],
    [['--'], /After -- comes the command/],
    [['--token', 'a', '--', 'program'], /--token is for a plugin that runs already/],
    [['--address', 'x:1', '--token', 'a', '--token-env', 'B'], /exclude each other/],
    [['--address', 'x:1', '--cert', 'a'], /--cert and --key belong together/],
    [['--address', 'x:1', '--token-env', 'NOT_SET'], /NOT_SET, which is not set/],
    [['--address', 'x:1', '--ca', 'no-such-file.pem'], /--ca no-such-file\.pem cannot be read/],
    [['--address', '127.0.0.1:1'], /No plugin could be reached at 127\.0\.0\.1:1/],
  ])('%j', async (argv, expected) => {
    expect(await run(argv)).toMatchObject({ exitCode: 2, stdout: '', stderr: expect.stringMatching(expected) });
  });

  test('a check or an agent that is not there is named', async () => {
    const { listen } = await start();
    expect(await run(['--address', listen, '--only', 'nonsense'])).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('no check "nonsense"') });
    expect(await run(['--address', listen, '--agent', 'nobody'])).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('It hosts: conformance') });
  });

  test('with --json the error is a line of JSON', async () => {
    const { exitCode, stderr } = await run(['--json']);
    expect({ exitCode, error: JSON.parse(stderr) as unknown }).toMatchObject({ exitCode: 2, error: { error: { code: 'usage' } } });
  });
});

test('--list, --help and --version need no plugin', async () => {
  const { exitCode, stdout } = await run(['--list']);
  expect(exitCode).toBe(0);
  expect(stdout.trim().split('\n')).toHaveLength(ALL_CHECKS.length);
  expect(JSON.parse((await run(['--list', '--json'])).stdout)).toHaveLength(ALL_CHECKS.length);
  expect(await run(['--help'])).toMatchObject({ exitCode: 0, stdout: expect.stringContaining('Exit codes') });
  expect(await run(['--version'])).toMatchObject({ exitCode: 0, stdout: '1.2.3\n' });
});

describe('the checks', () => {
  test('have names of their own', () => {
    const names = ALL_CHECKS.map(({ name }) => name);
    expect(names.filter((name, index) => names.indexOf(name) < index)).toEqual([]);
    expect(names.filter((name) => !/^[a-z]+\.[a-z_]+$/.test(name))).toEqual([]);
  });

  test('point to sections that the protocol page has', () => {
    const page = readFileSync(new URL('../../../../docs/plugin-protocol.md', import.meta.url), 'utf8');
    const headings = new Set([...page.matchAll(/^#+ (.+)$/gm)].map((match) => match[1]));
    expect(ALL_CHECKS.filter(({ section }) => !headings.has(section)).map(({ name }) => name)).toEqual([]);
  });
});
