import { execFile } from 'node:child_process';
import { chmod, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describeInactiveSettings, parseGatewayConfig } from '@openeaap/msig';
import type { GatewayConfig } from '@openeaap/msig';
import { parseConfig } from '@openeaap/server';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';

const folder = fileURLToPath(new URL('../../deployments/', import.meta.url));
const read = (path: string): Promise<string> => readFile(join(folder, path), 'utf8');
const parseGateway = (yaml: string): GatewayConfig => parseGatewayConfig(yaml, { MSIG_VLLM_KEY: 'key', REDIS_URL: 'redis://redis:6379' });

type Yaml = { readonly [key: string]: Yaml } & readonly Yaml[] & string;
interface KubernetesObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
  readonly spec: Yaml;
  readonly data?: Readonly<Record<string, string>>;
}

async function objectsOf(file: string): Promise<readonly KubernetesObject[]> {
  return parseAllDocuments(await read(file), { uniqueKeys: true }).map((document) => {
    expect(document.errors).toEqual([]);
    return document.toJS() as KubernetesObject;
  });
}

async function objectOf(file: string, kind: string, name: string): Promise<KubernetesObject> {
  const found = (await objectsOf(file)).find((each) => each.kind === kind && each.metadata.name === name);
  if (found === undefined) throw new Error(`${file} has no ${kind} ${name}.`);
  return found;
}

/** Section 18.1 of the architecture document, without the tag of the image. */
const DOCUMENT_ARGS = ['--model=Qwen/Qwen1.5-72B-Chat', '--tensor-parallel-size=4', '--gpu-memory-utilization=0.9', '--max-num-seqs=256'];
const DOCUMENT_STATEFUL_SET = {
  apiVersion: 'apps/v1',
  kind: 'StatefulSet',
  metadata: { name: 'msig-inference-vllm', namespace: 'openeaap' },
  spec: {
    replicas: 2,
    serviceName: 'msig-inference',
    selector: { matchLabels: { app: 'msig-inference' } },
    template: {
      metadata: { labels: { app: 'msig-inference' } },
      spec: {
        containers: [
          {
            name: 'vllm',
            command: ['python3', '-m', 'vllm.entrypoints.openai.api_server'],
            args: expect.arrayContaining(DOCUMENT_ARGS) as unknown,
            env: expect.arrayContaining([{ name: 'HUGGING_FACE_HUB_TOKEN', valueFrom: { secretKeyRef: { name: 'hf-token', key: 'token' } } }]) as unknown,
            ports: [{ containerPort: 8000 }],
            resources: { limits: { 'nvidia.com/gpu': '4' } },
            volumeMounts: expect.arrayContaining([{ mountPath: '/dev/shm', name: 'dshm' }]) as unknown,
          },
        ],
        volumes: [{ name: 'dshm', emptyDir: { medium: 'Memory' } }],
      },
    },
  },
};

/** Section 18.2. */
const DOCUMENT_DEPLOYMENT = {
  metadata: { name: 'openeaap-orchestrator' },
  spec: {
    replicas: 3,
    selector: { matchLabels: { app: 'orchestrator' } },
    template: {
      metadata: { labels: { app: 'orchestrator' } },
      spec: { containers: [{ name: 'orchestrator', image: 'openeaap/orchestrator:v2.0' }] },
    },
  },
};
const DOCUMENT_ENV = { DB_HOST: 'postgres-rw', PLUGIN_REGISTRY_URL: 'dns:///openeaap-registry:8080', ENABLE_PII_MASKING: 'true', ENABLE_AUDIT_LOG: 'true' };

function variablesOf(deployment: KubernetesObject): Readonly<Record<string, string | undefined>> {
  const env = (deployment.spec['template']?.['spec']?.['containers']?.[0]?.['env'] ?? []) as unknown as readonly { readonly name: string; readonly value?: string }[];
  return Object.fromEntries(env.map(({ name, value }) => [name, value]));
}

/** Where the program looks in its image: no deployment gives it another `--config-dir`. */
const CONFIG_DIR = parseConfig([], '/app', {}).configDir;

/** What stands in that folder, by file name. */
const configsOf = {
  compose: async (): Promise<ReadonlyMap<string, string>> => new Map(await Promise.all((await readdir(join(folder, 'compose/configs'))).map(async (name) => [name, await read(`compose/configs/${name}`)] as const))),
  kubernetes: async (): Promise<ReadonlyMap<string, string>> => new Map(Object.entries((await objectOf('kubernetes/control-plane.yaml', 'ConfigMap', 'openeaap-configs')).data ?? {})),
};

describe.each(['compose', 'kubernetes'] as const)('the configuration for %s', (kind) => {
  it('hides the folder that the image comes with, so it says what that says', async () => {
    const own = await configsOf[kind]();
    const shipped = join(folder, '../configs');
    for (const name of (await readdir(shipped)).filter((each) => each.endsWith('.yaml') && each !== 'msig.yaml')) {
      const expected = parse((await readFile(join(shipped, name), 'utf8')).replace(EXAMPLE_USER, '')) as unknown;
      // A file that is not there is an empty one.
      expect([name, parse(own.get(name) ?? EMPTY[name] ?? '')]).toEqual([name, expected]);
    }
  });

  it('counts limits where they outlast a restart, and asks for nothing that it does not get', async () => {
    const config = parseGateway((await configsOf[kind]()).get('msig.yaml') ?? '');
    expect([config.limitsIn, config.cache.l2.enabled, describeInactiveSettings(config)]).toEqual(['postgres', true, []]);
  });
});

/** To be removed from a real installation, as the file itself says. */
const EXAMPLE_USER = /  - id: "user-123"\n(?: {4}.*\n)+/;
const EMPTY: Readonly<Record<string, string>> = { 'limits.yaml': 'concurrency: { default: null, tenants: {} }', 'plugins.yaml': 'plugins: []' };

describe('the Kubernetes manifests', () => {
  it('are objects with names in the namespace of the document', async () => {
    for (const file of await readdir(join(folder, 'kubernetes'))) {
      for (const object of await objectsOf(`kubernetes/${file}`)) {
        expect(object.apiVersion).toMatch(/^(\w[\w.]*\/)?v1$/);
        expect(object.kind === 'Namespace' ? object.metadata.name : object.metadata.namespace).toBe('openeaap');
      }
    }
  });

  it('have the StatefulSet of the document, with a fixed version', async () => {
    const object = await objectOf('kubernetes/vllm.yaml', 'StatefulSet', 'msig-inference-vllm');
    expect(object).toMatchObject(DOCUMENT_STATEFUL_SET);
    expect(object).toHaveProperty('spec.template.spec.containers[0].image', expect.stringMatching(/^vllm\/vllm-openai:v\d+\.\d+\.\d+$/));
  });

  it('have the Deployment of the document', async () => {
    const object = await objectOf('kubernetes/control-plane.yaml', 'Deployment', 'openeaap-orchestrator');
    expect(object).toMatchObject(DOCUMENT_DEPLOYMENT);
    expect(variablesOf(object)).toMatchObject(DOCUMENT_ENV);
  });

  it('let clients reach the API and the gateway, each at the port where it listens', async () => {
    const deployment = await objectOf('kubernetes/control-plane.yaml', 'Deployment', 'openeaap-orchestrator');
    const ports = deployment.spec['template']?.['spec']?.['containers']?.[0]?.['ports'];
    expect(ports).toEqual([{ name: 'http', containerPort: 7080 }, { name: 'gateway', containerPort: 7081 }]);
    expect(variablesOf(deployment)['OPENEAAP_GATEWAY_PORT']).toBe('7081');
    const service = await objectOf('kubernetes/control-plane.yaml', 'Service', 'openeaap');
    expect(service.spec).toEqual({ selector: { app: 'orchestrator' }, ports: [{ name: 'http', port: 7080 }, { name: 'gateway', port: 7081 }] });
  });

  it('mount the configuration as a whole folder, for a file mounted alone never changes', async () => {
    const pod = (await objectOf('kubernetes/control-plane.yaml', 'Deployment', 'openeaap-orchestrator')).spec['template']?.['spec'];
    const mounts = (pod?.['containers']?.[0]?.['volumeMounts'] ?? []) as readonly Yaml[];
    expect(mounts.filter((mount) => 'subPath' in mount || 'subPathExpr' in mount)).toEqual([]);
    const volume = ((pod?.['volumes'] ?? []) as readonly Yaml[]).find((each) => 'configMap' in each);
    expect(volume?.['configMap']).toEqual({ name: 'openeaap-configs' });
    expect(mounts.find(({ name }) => name === volume?.['name'])).toMatchObject({ mountPath: CONFIG_DIR, readOnly: true });
  });

  it('probe every container, and give vLLM longer to end than it takes for the requests in hand', async () => {
    for (const [file, kind, name] of [['kubernetes/vllm.yaml', 'StatefulSet', 'msig-inference-vllm'], ['kubernetes/control-plane.yaml', 'Deployment', 'openeaap-orchestrator']] as const) {
      const pod = (await objectOf(file, kind, name)).spec['template']?.['spec'];
      for (const probe of ['startupProbe', 'livenessProbe', 'readinessProbe']) expect(pod?.['containers']?.[0]).toHaveProperty(`${probe}.httpGet.path`);
    }
    const pod = (await objectOf('kubernetes/vllm.yaml', 'StatefulSet', 'msig-inference-vllm')).spec['template']?.['spec'];
    const drain = Number(/--shutdown-timeout=(\d+)/.exec((pod?.['containers']?.[0]?.['args'] ?? []).join(' '))?.[1]);
    expect(Number(pod?.['terminationGracePeriodSeconds'])).toBeGreaterThan(drain + 5);
  });

  it('let nobody but the gateway and Prometheus reach vLLM, and vLLM reach no private address', async () => {
    const { spec } = await objectOf('kubernetes/vllm.yaml', 'NetworkPolicy', 'msig-inference-vllm');
    expect(spec['policyTypes']).toEqual(['Ingress', 'Egress']);
    expect(spec['ingress']).toEqual([
      {
        from: [
          { podSelector: { matchLabels: { app: 'orchestrator' } } },
          { namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'monitoring' } }, podSelector: { matchLabels: { 'app.kubernetes.io/name': 'prometheus' } } },
        ],
        ports: [{ protocol: 'TCP', port: 8000 }],
      },
    ]);
    expect(spec['egress']?.[1]?.['to']?.[0]).toHaveProperty('ipBlock.except', expect.arrayContaining(['10.0.0.0/8', '169.254.0.0/16']));
  });

  it('say the gateway where each copy is, by a key that vLLM was given', async () => {
    const config = parseGateway((await configsOf['kubernetes']()).get('msig.yaml') ?? '');
    const [backend] = config.backends;
    expect(backend?.endpoints).toEqual([0, 1].map((copy) => `http://msig-inference-vllm-${copy}.msig-inference:8000`));
    expect(backend).toMatchObject({ type: 'vllm', external: false, vllm: { cacheSharing: 'tenant', priority: true } });
    const args = (await objectOf('kubernetes/vllm.yaml', 'StatefulSet', 'msig-inference-vllm')).spec['template']?.['spec']?.['containers']?.[0]?.['args'] ?? [];
    expect(args).toEqual(expect.arrayContaining(['--scheduling-policy=priority', '--enable-prefix-caching', `--served-model-name=${backend?.model === '' ? backend.name : backend?.model}`]));
  });
});

interface Compose {
  readonly services: Readonly<Record<string, { readonly image: string; readonly environment?: Readonly<Record<string, string>>; readonly command?: readonly string[]; readonly ports?: readonly string[]; readonly networks: Readonly<Record<string, unknown>> | readonly string[]; readonly secrets?: readonly string[]; readonly healthcheck?: object; readonly volumes?: readonly string[]; readonly profiles?: readonly string[] }>>;
  readonly networks: Readonly<Record<string, { readonly internal?: boolean }>>;
  readonly volumes: Readonly<Record<string, unknown>>;
  readonly secrets: Readonly<Record<string, unknown>>;
}

describe('the compose file', () => {
  let compose: Compose;
  beforeAll(async () => {
    compose = parse(await read('compose/docker-compose.yaml'), { merge: true }) as Compose;
  });

  it('names a fixed version of every image', () => {
    for (const { image } of Object.values(compose.services)) expect(image).toMatch(/:v?\d+\.\d+(\.\d+)?(-[\w.]+)?$/);
  });

  it('has all networks, volumes and secrets that it uses', () => {
    for (const service of Object.values(compose.services)) {
      const networks = Array.isArray(service.networks) ? (service.networks as readonly string[]) : Object.keys(service.networks);
      for (const network of networks) expect(Object.keys(compose.networks)).toContain(network);
      for (const secret of service.secrets ?? []) expect(Object.keys(compose.secrets)).toContain(secret);
      for (const volume of (service.volumes ?? []).filter((each) => !each.startsWith('.'))) expect(Object.keys(compose.volumes)).toContain(volume.split(':')[0]);
    }
  });

  it('publishes the platform’s API and its gateway to this machine, and nothing else to anybody', () => {
    const published = Object.entries(compose.services).flatMap(([name, { ports = [] }]) => ports.map((port) => `${name} ${port}`));
    expect(published).toEqual(['platform 127.0.0.1:7080:7080', 'platform 127.0.0.1:7081:7081']);
    expect(compose.services['platform']?.environment?.['OPENEAAP_GATEWAY_PORT']).toBe('7081');
    expect([compose.networks['data']?.internal, compose.networks['inference']?.internal]).toEqual([true, true]);
  });

  it('binds the folder of the configuration, for an editor puts a new file in the place of the old one', () => {
    const bound = (compose.services['platform']?.volumes ?? []).filter((volume) => volume.startsWith('.'));
    expect(bound).toEqual([`./configs:${CONFIG_DIR}:ro`]);
  });

  it('starts a vLLM by its profile only, with a health check', () => {
    for (const name of ['vllm-gpu', 'vllm-cpu']) {
      expect(compose.services[name]?.profiles).toEqual([name.slice('vllm-'.length)]);
      expect(compose.services[name]?.healthcheck).toBeDefined();
    }
  });

  it('tells the gateway of the name under which vLLM is found there', async () => {
    const config = parseGateway(await read('compose/configs/msig.yaml'));
    expect(config.backends[0]).toMatchObject({ endpoints: ['http://msig-inference-vllm:8000'], model: 'local', external: false, vllm: { priority: true } });
    for (const name of ['vllm-gpu', 'vllm-cpu']) expect(compose.services[name]?.networks).toHaveProperty('inference.aliases', ['msig-inference-vllm']);
  });
});

describe('the images', () => {
  it.each(['docker/control-plane.Dockerfile', 'vllm/cpu.Dockerfile'])('%s is made of fixed versions and does not run as root', async (file) => {
    const text = await read(file);
    for (const [, image = ''] of text.matchAll(/^FROM (\S+)/gm)) expect(image).toMatch(/:\d+\.\d+\.\d+-/);
    expect([...text.matchAll(/^USER (\S+)/gm)].at(-1)?.[1]).toMatch(/^(10001:10001|vllm)$/);
  });
});

describe('serve.sh', () => {
  let work = '';
  beforeAll(async () => {
    work = await mkdtemp(join(tmpdir(), 'openeaap-serve-'));
    await writeFile(join(work, 'vllm'), '#!/bin/sh\nprintf \'%s\\n\' "$@" "key=$VLLM_API_KEY"\n');
    await chmod(join(work, 'vllm'), 0o755);
    await writeFile(join(work, 'key'), 'secret\n');
  });
  afterAll(async () => {
    await rm(work, { recursive: true, force: true });
  });

  const serve = async (env: Readonly<Record<string, string>>, ...args: readonly string[]): Promise<readonly string[]> => {
    const { stdout } = await promisify(execFile)('/bin/sh', [join(folder, 'vllm/serve.sh'), ...args], { env: { PATH: process.env['PATH'] ?? '', VLLM: join(work, 'vllm'), ...env } });
    return stdout.trimEnd().split('\n');
  };
  const valueOf = (args: readonly string[], flag: string): string | undefined => args[args.indexOf(flag) + 1];

  it('starts vLLM with what the gateway builds on', async () => {
    const args = await serve({ MODEL: '/models/a b', TENSOR_PARALLEL: '4' });
    expect(args.slice(0, 2)).toEqual(['serve', '/models/a b']);
    expect(args).toEqual(expect.arrayContaining(['--enable-prefix-caching', '--enable-prompt-tokens-details', '--no-enable-log-requests', '--disable-fastapi-docs']));
    expect(['--served-model-name', '--tensor-parallel-size', '--max-num-seqs', '--max-num-queued-reqs', '--scheduling-policy', '--prefix-caching-hash-algo'].map((flag) => valueOf(args, flag))).toEqual(['/models/a b', '4', '256', '512', 'priority', 'sha256']);
    expect(args).not.toContain('--enable-lora');
  });

  it('lets images be fetched from no host unless hosts are named', async () => {
    expect(valueOf(await serve({ MODEL: 'm' }), '--allowed-media-domains')).toBe('none.invalid');
    const named = await serve({ MODEL: 'm', MEDIA_DOMAINS: 'a.example b.example' });
    expect(named.slice(named.indexOf('--allowed-media-domains') + 1).slice(0, 2)).toEqual(['a.example', 'b.example']);
  });

  it('serves the adapters that it was given, whatever they are called', async () => {
    const args = await serve({ MODEL: 'm', LORA_MODULES: 'a=/lora/a b=/lora/*' });
    expect(args.slice(args.indexOf('--lora-modules') + 1).slice(0, 2)).toEqual(['a=/lora/a', 'b=/lora/*']);
    expect(args).toContain('--enable-lora');
  });

  it('hands the key on where the list of processes does not show it', async () => {
    const args = await serve({ MODEL: 'm', API_KEY_FILE: join(work, 'key') });
    expect(args.at(-1)).toBe('key=secret');
    expect(args.slice(0, -1).join(' ')).not.toContain('secret');
  });

  it('lets further arguments have the last word', async () => {
    const args = await serve({ MODEL: 'm' }, '--max-num-seqs', '8');
    expect(args.slice(-3, -1)).toEqual(['--max-num-seqs', '8']);
  });

  it.each([
    [{}, 'MODEL is not set'],
    [{ MODEL: 'm', MAX_NUM_SEQS: 'many' }, 'MAX_NUM_SEQS must be a whole number'],
    [{ MODEL: 'm', API_KEY_FILE: '/nowhere/key' }, 'which cannot be read'],
  ])('refuses %j with the cure', async (env, message) => {
    await expect(serve(env as Readonly<Record<string, string>>)).rejects.toMatchObject({ code: 2, stderr: expect.stringContaining(message) as string });
  });
});
