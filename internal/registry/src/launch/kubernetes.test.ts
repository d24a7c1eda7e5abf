import { X509Certificate } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Clock } from '@openeaap/kernel';
import { systemClock } from '@openeaap/kernel';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createAuthority, loadAuthority } from './authority.ts';
import type { KubernetesApi } from './kubernetes-api.ts';
import { createKubernetesApi } from './kubernetes-api.ts';
import { inClusterCredentials } from './kubernetes-credentials.ts';
import { kubeconfigCredentials } from './kubernetes-kubeconfig.ts';
import { createKubernetesLauncher } from './kubernetes.ts';
import type { KubernetesDeps, KubernetesSettings } from './kubernetes-settings.ts';
import type { ApiDouble } from './testing/kubernetes-api-double.ts';
import { startApiDouble } from './testing/kubernetes-api-double.ts';
import type { Launched, LaunchRequest } from './launcher.ts';

const SIGNAL = new AbortController().signal;
const DAY_MS = 86_400_000;
let cluster: ApiDouble;
let folder: string;
const open: Launched[] = [];
beforeEach(async () => {
  cluster = await startApiDouble();
  folder = await mkdtemp(path.join(tmpdir(), 'oea-account-'));
  await writeFile(path.join(folder, 'ca.crt'), cluster.ca);
  await writeFile(path.join(folder, 'token'), `${cluster.token}\n`);
});
afterEach(async () => {
  cluster.failWith(null);
  await Promise.all(open.splice(0).map((launched) => launched.stop(0)));
  await cluster.close();
  await rm(folder, { recursive: true });
});

/** One node of the platform, with an authority of its own. */
function node(more: Partial<KubernetesDeps> = {}): KubernetesDeps {
  const { port } = new URL(cluster.url);
  const api = createKubernetesApi(inClusterCredentials({ KUBERNETES_SERVICE_HOST: 'localhost', KUBERNETES_SERVICE_PORT: port }, folder));
  return { api, installation: 'main', authority: loadAuthority(createAuthority('OpenEAAP plugins', Date.now), { now: Date.now }), clock: systemClock, ...more };
}

const settings = (mode: string, more: Partial<KubernetesSettings> = {}): KubernetesSettings => ({ image: `registry/bridge:${mode}`, resources: { cpu: null, memory: null }, runtimeClass: null, namespace: 'plugins', imagePullSecrets: [], serviceAccount: null, nodeSelector: {}, networkPolicy: { namespace: 'openeaap', podLabels: { app: 'openeaap' } }, ...more });

const request = (more: Partial<LaunchRequest> = {}): LaunchRequest => ({ plugin: 'bridge', replica: 0, replicas: 2, environment: { API_KEY: 's3cret' }, token: 'token-1', startTimeoutMs: 5_000, onOutput: () => undefined, ...more });

async function launch(mode: string, more: Partial<LaunchRequest> = {}, deps = node(), set: Partial<KubernetesSettings> = {}): Promise<Launched> {
  const launched = await createKubernetesLauncher(settings(mode, set), deps).launch(request(more), SIGNAL);
  open.push(launched);
  return launched;
}

/** Sleeps end when the test says so. */
function steppedClock(startMs: number): Clock & { readonly advance: (ms: number) => Promise<void> } {
  let nowMs = startMs;
  const waiting = new Set<() => void>();
  return {
    now: () => new Date(nowMs),
    sleep: (_ms, signal) =>
      new Promise((resolve) => {
        waiting.add(resolve);
        signal?.addEventListener('abort', () => resolve());
      }),
    advance: async (ms) => {
      nowMs += ms;
      for (const wake of waiting) wake();
      waiting.clear();
      await Promise.resolve();
    },
  };
}

const keys = (): readonly string[] => [...cluster.objects.keys()].sort();
const ALL = ['deployments/plugin-bridge', 'networkpolicies/plugin-bridge', 'secrets/plugin-bridge', 'services/plugin-bridge'];
const data = (key: string): string => Buffer.from(cluster.objects.get('secrets/plugin-bridge')?.data[key] ?? '', 'base64').toString();

describe('a plugin as a Deployment', () => {
  test('is made with all that it needs, and reached by its Service with TLS', async () => {
    const launched = await launch('good');
    expect(keys()).toEqual(ALL);
    expect(launched.target).toBe('dns:///plugin-bridge.plugins.svc:50051');
    expect(launched.token).toBe('token-1');
    expect(launched.tls?.serverName).toBe('plugin-bridge.plugins.svc');
    const [server, client, ca] = [new X509Certificate(data('tls.crt')), new X509Certificate(launched.tls?.clientCert ?? ''), new X509Certificate(launched.tls?.ca ?? '')];
    expect([server.verify(ca.publicKey), client.verify(ca.publicKey), server.checkHost('plugin-bridge.plugins.svc')]).toEqual([true, true, 'plugin-bridge.plugins.svc']);
    expect([data('token'), data('env.API_KEY')]).toEqual(['token-1', 's3cret']);
  });

  test('several nodes do not fight: one makes the identity, the others take it and change nothing', async () => {
    const launched = await Promise.all(['a', 'b', 'c'].map((name) => launch('good', { token: `token-${name}` })));
    expect(new Set(launched.map(({ token }) => token)).size).toBe(1);
    expect(new Set(launched.map(({ tls }) => tls?.ca)).size).toBe(1);
    expect(cluster.objects.get('deployments/plugin-bridge')?.metadata.generation).toBe(1);
    const before = cluster.changes.length;
    await launch('good', { token: 'token-late' });
    expect(cluster.changes.slice(before)).toEqual(['PATCH secrets/plugin-bridge']);
  });

  test('a changed image is rolled out by the Deployment; the old launch that stops takes nothing away', async () => {
    const old = await launch('good');
    const fresh = await launch('good', {}, node(), { image: 'registry/bridge2:good' });
    expect(cluster.objects.get('deployments/plugin-bridge')?.metadata.generation).toBe(2);
    await old.stop(1_000);
    expect(keys()).toEqual(ALL);
    await fresh.stop(1_000);
    expect([keys(), await fresh.exited]).toEqual([[], 'The plugin "bridge" was stopped.']);
  });

  test('a changed variable keeps the identity and replaces the pods', async () => {
    const first = await launch('good');
    const second = await launch('good', { token: 'another', environment: { API_KEY: 'changed', NEW: 'x' } });
    expect([second.token, second.tls?.ca]).toEqual([first.token, first.tls?.ca]);
    expect([data('env.API_KEY'), data('env.NEW'), cluster.objects.get('deployments/plugin-bridge')?.metadata.generation]).toEqual(['changed', 'x', 2]);
  });

  test('a node that joins while the last one stops keeps it', async () => {
    const last = await launch('good');
    const deps = node();
    const joined: Promise<Launched>[] = [];
    cluster.onRequest = (method, key) => {
      if (method !== 'DELETE' || key !== 'secrets/plugin-bridge' || joined.length > 0) return;
      // Between what the other has seen and what it deletes.
      const secret = cluster.objects.get(key);
      if (secret !== undefined) secret.metadata.resourceVersion = '999999';
      joined.push(launch('good', {}, deps));
    };
    await last.stop(1_000);
    expect(await Promise.all(joined)).toMatchObject([{ token: 'token-1' }]);
    expect(keys()).toEqual(ALL);
  });

  test('a holder that died does not keep it for ever', async () => {
    const clock = steppedClock(Date.now());
    await createKubernetesLauncher(settings('good'), node({ clock })).launch(request(), SIGNAL);
    const later = node({ clock: { ...systemClock, now: () => new Date(Date.now() + 600_000) } });
    const launched = await createKubernetesLauncher(settings('good'), later).launch(request(), SIGNAL);
    await launched.stop(1_000);
    expect(keys()).toEqual([]);
  });

  test('without a NetworkPolicy an earlier one of ours is taken away', async () => {
    await launch('good');
    await launch('good', {}, node(), { networkPolicy: null });
    expect(keys()).toEqual(ALL.filter((key) => !key.startsWith('networkpolicies')));
  });
});

describe('what ends a launch', () => {
  const watched = async (): Promise<{ readonly launched: Launched; readonly clock: ReturnType<typeof steppedClock> }> => {
    const clock = steppedClock(Date.now());
    return { launched: await launch('good', {}, node({ clock })), clock };
  };

  test('its Deployment is deleted by somebody', async () => {
    const { launched, clock } = await watched();
    cluster.objects.delete('deployments/plugin-bridge');
    await clock.advance(30_000);
    expect(await launched.exited).toBe('Somebody deleted the Deployment plugins/plugin-bridge of the plugin "bridge".');
  });

  test('its Secret is deleted by somebody: the next launch makes a new identity', async () => {
    const { launched, clock } = await watched();
    cluster.objects.delete('secrets/plugin-bridge');
    await clock.advance(30_000);
    expect(await launched.exited).toMatch(/deleted the Secret/);
    const again = await launch('good', { token: 'token-2' });
    expect([again.token, cluster.objects.get('deployments/plugin-bridge')?.metadata.generation]).toEqual(['token-2', 2]);
  });

  test('its certificates come near their end: the next launch makes new ones, and other nodes hear of it', async () => {
    const { launched, clock } = await watched();
    const other = await watched();
    await clock.advance(300 * DAY_MS);
    expect(await launched.exited).toMatch(/near their end/);
    const now = (): number => Date.now() + 300 * DAY_MS;
    const again = await launch('good', {}, node({ clock: { ...systemClock, now: () => new Date(now()) }, authority: loadAuthority(createAuthority('new', now), { now }) }));
    expect(again.tls?.ca).not.toBe(launched.tls?.ca);
    await other.clock.advance(30_000);
    expect(await other.launched.exited).toMatch(/new identity/);
  });

  test('but not an API server that is away', async () => {
    const { launched, clock } = await watched();
    const before = cluster.changes.length;
    cluster.failWith(500);
    await clock.advance(30_000);
    cluster.failWith(null);
    await expect.poll(async () => {
      await clock.advance(30_000);
      return cluster.changes.length;
    }).toBeGreaterThan(before);
    expect(await Promise.race([launched.exited, Promise.resolve('alive')])).toBe('alive');
  });
});

describe('a Deployment that does not come up', () => {
  test.each([
    ['pull', /cannot start: its image cannot be pulled \(ImagePullBackOff\): Back-off pulling image: not found\. Correct `image`/],
    ['crash', /cannot start: its program ends again and again \(CrashLoopBackOff\) with exit code 1\. It said last: Traceback \| KeyError: MODEL/],
    ['root', /cannot start: .*CreateContainerConfigError.*numeric USER/],
    ['forbidden', /cannot start: the cluster does not create its pods: .*exceeded quota/],
    ['unschedulable', /did not start within 700 ms: its pod plugin-bridge-abc finds no node: 0\/3 nodes are available/],
    ['slow', /did not start within 700 ms: its pods are not ready\. Does its program call serve\(\)/],
  ])('%s: the reason and the cure, and nothing is left', async (mode, message) => {
    await expect(launch(mode, { startTimeoutMs: 700 })).rejects.toMatchObject({ code: 'unavailable', message: expect.stringMatching(message) });
    expect(keys()).toEqual([]);
  });

  test('a bad change leaves what others hold', async () => {
    await launch('good');
    await expect(launch('crash')).rejects.toMatchObject({ code: 'unavailable' });
    expect(keys()).toEqual(ALL);
  });

  test('a start can be stopped', async () => {
    const stop = new AbortController();
    const started = createKubernetesLauncher(settings('slow'), node()).launch(request(), stop.signal);
    await expect.poll(() => keys().length).toBe(4);
    stop.abort();
    await expect(started).rejects.toMatchObject({ code: 'cancelled' });
    expect(keys()).toEqual([]);
  });

  test('what somebody else has made is left alone', async () => {
    await launch('good');
    const before = cluster.changes.length;
    await expect(launch('good', {}, node({ installation: 'other' }))).rejects.toMatchObject({ code: 'unavailable', message: expect.stringMatching(/has not made.*another name/) });
    expect(cluster.changes).toHaveLength(before);
  });

  test('no right, no credentials, no namespace, no server', async () => {
    cluster.failWith(403);
    await expect(launch('good')).rejects.toMatchObject({ code: 'unavailable', message: expect.stringMatching(/does not allow it: secrets is forbidden.*Role needs/) });
    cluster.failWith(null);
    await expect(launch('good', {}, node(), { namespace: 'nowhere' })).rejects.toMatchObject({ code: 'invalid_input', message: expect.stringMatching(/namespaces "nowhere" not found.*Create the namespace/) });
    await writeFile(path.join(folder, 'token'), 'wrong');
    await expect(launch('good')).rejects.toMatchObject({ code: 'unavailable', message: expect.stringMatching(/does not know who we are/) });
    await writeFile(path.join(folder, 'ca.crt'), createAuthority('stranger', Date.now).cert);
    await expect(launch('good')).rejects.toMatchObject({ code: 'unavailable', message: expect.stringMatching(/cannot be reached: .*(CERT|SIGNATURE|SIGNED)/) });
    await rm(path.join(folder, 'ca.crt'));
    await expect(launch('good')).rejects.toMatchObject({ code: 'unavailable', message: expect.stringMatching(/automountServiceAccountToken/) });
    expect(() => inClusterCredentials({ KUBERNETES_SERVICE_HOST: undefined, KUBERNETES_SERVICE_PORT: undefined })).toThrow(/does not run in a pod/);
  });
});

describe('a kubeconfig file', () => {
  const CONTEXT = { environment: { PATH: process.env['PATH'] ?? '' }, context: null };
  const config = (user: object, more: object = {}): object => ({ apiVersion: 'v1', kind: 'Config', 'current-context': 'one', contexts: [{ name: 'one', context: { cluster: 'c', user: 'u' } }], clusters: [{ name: 'c', cluster: { server: cluster.url, 'certificate-authority-data': Buffer.from(cluster.ca).toString('base64'), ...more } }], users: [{ name: 'u', user }] });
  const missing = (user: object, more: object = {}): Promise<unknown> => createKubernetesApi(kubeconfigCredentials(config(user, more), folder, CONTEXT)).get('Secret', 'plugins', 'none');
  const program = (body: string): object => ({ exec: { apiVersion: 'client.authentication.k8s.io/v1', command: process.execPath, args: ['-e', body], env: [{ name: 'TOKEN', value: cluster.token }] } });
  const CREDENTIAL = `console.log(JSON.stringify({apiVersion:'client.authentication.k8s.io/v1',kind:'ExecCredential',status:{token:process.env.TOKEN}}))`;

  test('serves as well as the account of a pod: a token, a file with one, a program that knows one', async () => {
    expect(await missing({ token: cluster.token })).toBeNull();
    expect(await missing({ tokenFile: 'token' }, { 'certificate-authority-data': undefined, 'certificate-authority': 'ca.crt' })).toBeNull();
    expect(await missing(program(CREDENTIAL))).toBeNull();
    const api = createKubernetesApi(kubeconfigCredentials(config({ token: cluster.token }), folder, CONTEXT));
    expect(await launch('good', {}, node({ api }))).toMatchObject({ token: 'token-1' });
  });

  test('a program is asked again only when its credential ends', async () => {
    const count = path.join(folder, 'count');
    const asking = (expires: string): object => program(`require('fs').appendFileSync(${JSON.stringify(count)}, 'x'); console.log(JSON.stringify({kind:'ExecCredential',status:{token:process.env.TOKEN,expirationTimestamp:${JSON.stringify(expires)}}}))`);
    const api = (expires: string): KubernetesApi => createKubernetesApi(kubeconfigCredentials(config(asking(expires)), folder, CONTEXT));
    const [lasting, ended] = [api('2999-01-01T00:00:00Z'), api('2020-01-01T00:00:00Z')];
    for (const one of [lasting, lasting, ended, ended]) await one.get('Secret', 'plugins', 'none');
    expect(await readFile(count, 'utf8')).toBe('xxx');
  });

  test('what a program says that fails is told', async () => {
    await expect(missing(program(`console.error('log in first'); process.exit(1)`))).rejects.toMatchObject({ code: 'unavailable', message: expect.stringMatching(/exit code 1.*log in first/) });
    await expect(missing(program(`console.log('hello')`))).rejects.toMatchObject({ code: 'unavailable', message: expect.stringMatching(/no ExecCredential/) });
    await expect(missing({ exec: { command: '/no/such/program' } })).rejects.toMatchObject({ code: 'unavailable', message: expect.stringMatching(/\/no\/such\/program.*ENOENT/) });
    await expect(missing({ tokenFile: 'nowhere' })).rejects.toMatchObject({ code: 'unavailable', message: expect.stringMatching(/nowhere.*cannot be read/) });
  });

  test.each<[string, (good: object) => unknown, RegExp]>([
    ['it is no kubeconfig', () => 'x', /no kubeconfig/],
    ['its context is not there', (good) => ({ ...good, 'current-context': 'other' }), /no context "other".*kubectl config use-context/],
    ['its cluster is not there', (good) => ({ ...good, clusters: [] }), /no cluster "c"/],
    ['it is plain http', (good) => ({ ...good, clusters: [{ name: 'c', cluster: { server: 'http://localhost:1' } }] }), /https/],
    ['it does not check who answers', (good) => ({ ...good, clusters: [{ name: 'c', cluster: { server: 'https://localhost:1', 'insecure-skip-tls-verify': true } }] }), /insecure-skip-tls-verify.*certificate-authority-data/],
    ['it knows nobody', (good) => ({ ...good, users: [{ name: 'u', user: {} }] }), /user "u" has no/],
    ['it has an old provider', (good) => ({ ...good, users: [{ name: 'u', user: { 'auth-provider': { name: 'gcp' } } }] }), /auth-provider.*exec/],
  ])('is refused when %s', (_name, bend, message) => {
    expect(() => kubeconfigCredentials(bend(config({ token: 'x' })), folder, CONTEXT)).toThrow(expect.objectContaining({ code: 'invalid_input', message: expect.stringMatching(message) }));
  });
});
