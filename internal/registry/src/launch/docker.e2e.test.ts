import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import grpc from '@grpc/grpc-js';
import { afterEach, describe, expect, test } from 'vitest';
import { createAuthority, loadAuthority } from './authority.ts';
import { createDockerLauncher } from './docker.ts';
import type { DockerDeps, DockerSettings } from './docker-settings.ts';
import { toCpus, toMemoryBytes } from './docker-settings.ts';
import type { Launched, LaunchRequest } from './launcher.ts';

const DOCKER = fileURLToPath(new URL('testing/docker-stand-in.mjs', import.meta.url));
const AUTHORITY = loadAuthority(createAuthority('OpenEAAP plugins', Date.now), { now: Date.now });
const SIGNAL = new AbortController().signal;
const open: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

interface Engine {
  readonly state: string;
  readonly deps: (more?: Partial<DockerDeps>) => DockerDeps;
}

async function engine(): Promise<Engine> {
  const state = await mkdtemp(path.join(tmpdir(), 'oea-docker-'));
  open.push(() => rm(state, { recursive: true, force: true }));
  const environment = { PATH: process.env['PATH'] ?? '', HOME: '/', DOCKER_HOST: `stand-in://${state}` };
  return { state, deps: (more = {}) => ({ docker: DOCKER, environment, node: 'node-1', start: 'start-1', authority: AUTHORITY, ...more }) };
}

const settings = (mode: string, more: Partial<DockerSettings> = {}): DockerSettings => ({ image: `stand-in/worker:${mode}`, resources: { cpu: '500m', memory: '256Mi' }, runtime: null, ...more });

const request = (more: Partial<LaunchRequest> = {}): LaunchRequest => ({ plugin: 'bridge', replica: 0, replicas: 1, environment: { MODE: 'test', API_KEY: 's3cret-value' }, token: 's3cret-token', startTimeoutMs: 8_000, onOutput: () => undefined, ...more });

async function launch(one: Engine, mode: string, more: Partial<LaunchRequest> = {}, deps: Partial<DockerDeps> = {}): Promise<Launched> {
  const launched = await createDockerLauncher(settings(mode), one.deps(deps)).launch(request(more), SIGNAL);
  open.push(() => launched.stop(0));
  return launched;
}

/** One call as the control plane makes it: what the worker says, or the name of the status. */
function callHealth({ target, tls }: Launched, token: string, withClient = true): Promise<string> {
  const credentials = grpc.credentials.createSsl(Buffer.from(tls?.ca ?? ''), withClient ? Buffer.from(tls?.clientKey ?? '') : null, withClient ? Buffer.from(tls?.clientCert ?? '') : null);
  const client = new grpc.Client(target, credentials, { 'grpc.ssl_target_name_override': tls?.serverName ?? '' });
  const metadata = new grpc.Metadata();
  metadata.set('authorization', `Bearer ${token}`);
  const bytes = (value: Buffer): Buffer => value;
  return new Promise((resolve) => {
    client.makeUnaryRequest('/openeaap.runtime.v1.RuntimeService/HealthCheck', bytes, bytes, Buffer.alloc(0), metadata, { deadline: Date.now() + 3_000 }, (error, answer) => {
      client.close();
      resolve(error === null ? String(answer) : (grpc.status[error.code] ?? ''));
    });
  });
}

const calls = ({ state }: Engine): readonly (readonly string[])[] => readFileSync(path.join(state, 'calls.jsonl'), 'utf8').trim().split('\n').map((line) => JSON.parse(line) as string[]);
const containers = ({ state }: Engine): readonly string[] => readdirSync(state).filter((name) => name.endsWith('.json'));

describe('a plugin as a container', () => {
  test('is reached by TLS in both directions with its token, and by nothing less', async () => {
    const launched = await launch(await engine(), 'good');
    expect(launched.target).toMatch(/^127\.0\.0\.1:\d+$/);
    expect(await callHealth(launched, 's3cret-token')).toContain('"MODE"');
    expect(await callHealth(launched, 'another')).toBe('UNAUTHENTICATED');
    expect(await callHealth(launched, 's3cret-token', false)).toBe('UNAVAILABLE');
    const stranger = loadAuthority(createAuthority('OpenEAAP plugins', Date.now), { now: Date.now }).issueClient('control plane');
    expect(await callHealth({ ...launched, tls: { ca: AUTHORITY.cert, serverName: launched.tls?.serverName ?? '', clientCert: stranger.cert, clientKey: stranger.key } }, 's3cret-token')).toBe('UNAVAILABLE');
  });

  test('gets its variables and none of ours, and no value is among the arguments', async () => {
    const one = await engine();
    const launched = await launch(one, 'good');
    const said = await callHealth(launched, 's3cret-token');
    expect(JSON.parse(said.slice(said.indexOf('[')))).toEqual(['API_KEY', 'MODE', 'OPENEAAP_PLUGIN_LISTEN', 'OPENEAAP_PLUGIN_NAME', 'OPENEAAP_PLUGIN_TLS_CERT', 'OPENEAAP_PLUGIN_TLS_CLIENT_CA', 'OPENEAAP_PLUGIN_TLS_KEY', 'OPENEAAP_PLUGIN_TOKEN']);
    expect(JSON.stringify(calls(one))).not.toMatch(/s3cret/);
    expect(calls(one).find(([command]) => command === 'run')).toEqual(expect.arrayContaining(['--memory', '268435456', '--cpus', '0.5', '-p', '127.0.0.1::50051']));
  });

  test('a stop lets it end, or makes it; then neither container nor key is left', async () => {
    const one = await engine();
    const polite = await launch(one, 'good');
    const key = (calls(one).find(([command]) => command === 'run') ?? []).find((text) => text.endsWith(':/openeaap/tls:ro'))?.split(':')[0] ?? '';
    expect(existsSync(key)).toBe(true);
    await polite.stop(5_000);
    expect(await polite.exited).toBe('The container of the plugin "bridge" ended with exit code 0. It said last: {"openeaap_plugin":1,"listen":"'.concat(polite.target, '"}'));
    expect([containers(one), existsSync(key)]).toEqual([[], false]);
    const stubborn = await launch(one, 'stubborn');
    await stubborn.stop(200);
    expect(await stubborn.exited).toMatch(/killed \(exit code 137\)/);
    expect(containers(one)).toEqual([]);
  });

  test('a command line that dies takes the container with it', async () => {
    const one = await engine();
    const launched = await launch(one, 'good');
    const { cli, pid } = JSON.parse(readFileSync(path.join(one.state, containers(one)[0] ?? ''), 'utf8')) as { readonly cli: number; readonly pid: number };
    process.kill(cli, 'SIGKILL');
    expect(await launched.exited).toMatch(/ended with SIGKILL/);
    await expect.poll(() => isAlive(pid)).toBe(false);
  });

  test('what an earlier start of this node has left is removed; other nodes and this start are left alone', async () => {
    const one = await engine();
    const earlier = await launch(one, 'good', {}, { start: 'start-0' });
    const elsewhere = await launch(one, 'good', {}, { node: 'node-2', start: 'start-0' });
    const now = await launch(one, 'good');
    expect(await earlier.exited).toMatch(/137|143/);
    expect(await callHealth(elsewhere, 's3cret-token')).toContain('MODE');
    await launch(one, 'good', { replica: 1 });
    expect(await callHealth(now, 's3cret-token')).toContain('MODE');
    expect(containers(one)).toHaveLength(3);
  });
});

describe('a container that does not come up', () => {
  test.each<[string, string, Partial<DockerSettings>, RegExp]>([
    ['its program ends', 'ends', {}, /"bridge" ended with exit code 3\. It said last: no model is configured/],
    ['there is no such image', 'x', { image: 'nobody/nothing:1' }, /image of the plugin "bridge" cannot be had.*docker login.*pull access denied/],
    ['there is no such runtime', 'good', { runtime: 'kata' }, /does not know the runtime.*unknown or invalid runtime name: kata/],
  ])('%s', async (_name, mode, more, message) => {
    const one = await engine();
    await expect(createDockerLauncher(settings(mode, more), one.deps()).launch(request(), SIGNAL)).rejects.toMatchObject({ code: 'unavailable', message: expect.stringMatching(message) });
    expect(containers(one)).toEqual([]);
  });

  test('it never listens: the deadline and the cure, and nothing is left', async () => {
    const one = await engine();
    await expect(launch(one, 'silent', { startTimeoutMs: 700 })).rejects.toMatchObject({ code: 'unavailable', message: expect.stringMatching(/within 700 ms.*serve\(\).*start_timeout_ms/) });
    expect(containers(one)).toEqual([]);
  });

  test('there is no docker, or no engine behind it', async () => {
    const one = await engine();
    await expect(launch(one, 'good', {}, { docker: '/no/such/docker' })).rejects.toMatchObject({ code: 'unavailable', message: expect.stringMatching(/"\/no\/such\/docker" cannot be run \(ENOENT\)\. Install the Docker engine/) });
    await expect(launch(one, 'good', {}, { environment: { PATH: process.env['PATH'] ?? '' } })).rejects.toMatchObject({ code: 'unavailable', message: expect.stringMatching(/cannot be reached.*Start it/) });
  });

  test('a start can be stopped', async () => {
    const one = await engine();
    const stop = new AbortController();
    const started = createDockerLauncher(settings('silent'), one.deps()).launch(request(), stop.signal);
    await expect.poll(() => containers(one).length).toBe(1);
    stop.abort();
    await expect(started).rejects.toMatchObject({ code: 'cancelled' });
    expect(containers(one)).toEqual([]);
  });

  test.each<[Partial<DockerSettings>, Partial<LaunchRequest>, string]>([
    [{ image: '--privileged' }, {}, 'image'],
    [{ resources: { cpu: 'many', memory: null } }, {}, 'resources.cpu'],
    [{ resources: { cpu: null, memory: '1' } }, {}, 'resources.memory'],
    [{ runtime: '-x' }, {}, 'runtime_class'],
    [{}, { environment: { DOCKER_HOST: 'tcp://elsewhere' } }, 'env.DOCKER_HOST'],
    [{}, { environment: { 'A=B': '' } }, 'env.A=B'],
  ])('a declaration that cannot work is refused before anything is started: %j %j', async (more, asked, field) => {
    const one = await engine();
    await expect(createDockerLauncher(settings('good', more), one.deps()).launch(request(asked), SIGNAL)).rejects.toMatchObject({ code: 'invalid_input', message: expect.stringContaining('"bridge"'), details: { field } });
    expect(existsSync(path.join(one.state, 'calls.jsonl'))).toBe(false);
  });
});

test('quantities are those of Kubernetes', () => {
  expect(['250m', '1.5', '2'].map((text) => toCpus(text, 'p'))).toEqual([0.25, 1.5, 2]);
  expect(['64Mi', '1Gi', '100M', '1.5Gi', '10000000'].map((text) => toMemoryBytes(text, 'p'))).toEqual([67_108_864, 1_073_741_824, 100_000_000, 1_610_612_736, 10_000_000]);
});

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return !readFileSync(`/proc/${pid}/stat`, 'utf8').includes(') Z ');
  } catch {
    return false;
  }
}
