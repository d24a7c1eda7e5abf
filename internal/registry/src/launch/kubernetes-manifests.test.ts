import type { JsonObject } from '@openeaap/kernel';
import { describe, expect, test } from 'vitest';
import type { ManifestRequest } from './kubernetes-manifests.ts';
import { toManifests } from './kubernetes-manifests.ts';
import type { KubernetesSettings } from './kubernetes-settings.ts';

const SETTINGS: KubernetesSettings = { image: 'registry.example/bridge:1', resources: { cpu: '500m', memory: '256Mi' }, runtimeClass: 'gvisor', namespace: 'plugins', imagePullSecrets: ['pull'], serviceAccount: null, nodeSelector: { pool: 'plugins' }, networkPolicy: { namespace: 'openeaap', podLabels: { app: 'openeaap' } } };
const REQUEST: ManifestRequest = { plugin: 'bridge', replicas: 2, environment: { MODE: 'x', API_KEY: 's3cret' } };
const make = (request: Partial<ManifestRequest> = {}, settings: Partial<KubernetesSettings> = {}) => toManifests({ ...REQUEST, ...request }, { ...SETTINGS, ...settings }, 'main', 'rev1');

interface Container {
  readonly securityContext: { readonly allowPrivilegeEscalation?: boolean; readonly privileged?: boolean; readonly runAsUser?: number; readonly runAsNonRoot?: boolean; readonly procMount?: string; readonly capabilities?: { readonly drop?: readonly string[]; readonly add?: readonly string[] }; readonly seccompProfile?: { readonly type: string } };
  readonly ports: readonly { readonly hostPort?: number }[];
  readonly env: readonly { readonly name: string; readonly value?: string; readonly valueFrom?: { readonly secretKeyRef: { readonly key: string } } }[];
}
interface PodSpec {
  readonly containers: readonly Container[];
  readonly initContainers?: readonly Container[];
  readonly volumes: readonly Record<string, unknown>[];
  readonly securityContext: { readonly runAsNonRoot?: boolean; readonly runAsUser?: number; readonly seccompProfile?: { readonly type: string }; readonly sysctls?: readonly unknown[] };
  readonly [field: string]: unknown;
}
const podOf = (deployment: JsonObject): PodSpec => (deployment as unknown as { readonly spec: { readonly template: { readonly spec: PodSpec } } }).spec.template.spec;

/** What the Pod Security Standard "restricted" finds wrong (kubernetes.io/docs/concepts/security/pod-security-standards). */
function violations(pod: PodSpec): readonly string[] {
  const found: string[] = [];
  const check = (isGood: boolean, rule: string): void => void (isGood ? undefined : found.push(rule));
  for (const field of ['hostNetwork', 'hostPID', 'hostIPC']) check(pod[field] === undefined || pod[field] === false, field);
  const allowed = new Set(['configMap', 'csi', 'downwardAPI', 'emptyDir', 'ephemeral', 'persistentVolumeClaim', 'projected', 'secret']);
  for (const volume of pod.volumes) check(Object.keys(volume).every((key) => key === 'name' || allowed.has(key)), 'volume types');
  check((pod.securityContext.sysctls ?? []).length === 0, 'sysctls');
  for (const { securityContext, ports } of [...pod.containers, ...(pod.initContainers ?? [])]) {
    check(securityContext.privileged !== true, 'privileged');
    check(securityContext.allowPrivilegeEscalation === false, 'allowPrivilegeEscalation');
    check((securityContext.runAsNonRoot ?? pod.securityContext.runAsNonRoot) === true, 'runAsNonRoot');
    check((securityContext.runAsUser ?? pod.securityContext.runAsUser) !== 0, 'runAsUser');
    check(['RuntimeDefault', 'Localhost'].includes((securityContext.seccompProfile ?? pod.securityContext.seccompProfile)?.type ?? ''), 'seccompProfile');
    check(securityContext.capabilities?.drop?.includes('ALL') === true, 'capabilities.drop');
    check((securityContext.capabilities?.add ?? []).every((capability) => capability === 'NET_BIND_SERVICE'), 'capabilities.add');
    check(['', 'Default'].includes(securityContext.procMount ?? ''), 'procMount');
    check(ports.every(({ hostPort = 0 }) => hostPort === 0), 'hostPort');
  }
  return found;
}

describe('the manifests of a plugin', () => {
  test('keep the restricted Pod Security Standard, which finds what breaks it', () => {
    const pod = podOf(make().deployment);
    expect(violations(pod)).toEqual([]);
    const [container] = pod.containers;
    expect(violations({ ...pod, hostNetwork: true, volumes: [{ name: 'x', hostPath: {} }], containers: container === undefined ? [] : [{ ...container, securityContext: {} }] })).toEqual(['hostNetwork', 'volume types', 'allowPrivilegeEscalation', 'capabilities.drop']);
  });

  test('give the pod no token of the cluster, no writable root and nothing without a limit', () => {
    expect(podOf(make().deployment)).toMatchObject({
      automountServiceAccountToken: false,
      runtimeClassName: 'gvisor',
      imagePullSecrets: [{ name: 'pull' }],
      nodeSelector: { pool: 'plugins' },
      containers: [{ securityContext: { readOnlyRootFilesystem: true }, resources: { requests: { cpu: '500m', memory: '256Mi' }, limits: { cpu: '500m', memory: '256Mi' } } }],
      volumes: [{ secret: { items: [{ key: 'tls.crt' }, { key: 'tls.key' }, { key: 'ca.crt' }] } }, { emptyDir: { sizeLimit: '64Mi' } }],
    });
    expect(podOf(make({}, { serviceAccount: 'plugins' }).deployment)).toMatchObject({ serviceAccountName: 'plugins', automountServiceAccountToken: false });
    expect(podOf(make({}, { runtimeClass: null, imagePullSecrets: [], nodeSelector: {}, resources: { cpu: null, memory: null } }).deployment)).not.toHaveProperty('runtimeClassName');
  });

  test('hold no value of a variable and no token: those are in the Secret', () => {
    const manifests = make();
    expect(JSON.stringify(manifests)).not.toContain('s3cret');
    expect(podOf(manifests.deployment).containers[0]?.env.find(({ name }) => name === 'API_KEY')).toEqual({ name: 'API_KEY', valueFrom: { secretKeyRef: { name: 'plugin-bridge', key: 'env.API_KEY' } } });
    expect(podOf(manifests.deployment).containers[0]?.env.find(({ name }) => name === 'OPENEAAP_PLUGIN_LISTEN')).toEqual({ name: 'OPENEAAP_PLUGIN_LISTEN', value: '0.0.0.0:50051' });
  });

  test('let only the pods of the control plane in, if that is wanted', () => {
    expect(make().networkPolicy).toMatchObject({ spec: { podSelector: { matchLabels: { 'openeaap.dev/plugin': 'bridge', 'openeaap.dev/installation': 'main' } }, policyTypes: ['Ingress'], ingress: [{ from: [{ namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'openeaap' } }, podSelector: { matchLabels: { app: 'openeaap' } } }], ports: [{ port: 50_051 }] }] } });
    expect(make({}, { networkPolicy: null }).networkPolicy).toBeNull();
  });

  test('have the same hash for the same request, and another for any other', () => {
    const { specHash } = make();
    expect(make().specHash).toBe(specHash);
    const others = [make({ replicas: 3 }), make({}, { image: 'registry.example/bridge:2' }), make({}, { networkPolicy: null }), toManifests(REQUEST, SETTINGS, 'main', 'rev2')];
    expect(new Set([specHash, ...others.map((one) => one.specHash)]).size).toBe(5);
  });

  test.each<[Partial<ManifestRequest>, Partial<KubernetesSettings>, string]>([
    [{ plugin: 'Bridge' }, {}, 'name'],
    [{ plugin: 'x'.repeat(56) }, {}, 'name'],
    [{ environment: { 'A-B': '' } }, {}, 'env.A-B'],
    [{}, { image: '' }, 'image'],
    [{}, { resources: { cpu: '0', memory: null } }, 'resources.cpu'],
    [{}, { resources: { cpu: null, memory: 'lots' } }, 'resources.memory'],
  ])('%j %j is refused, and the field is named', (request, settings, field) => {
    expect(() => make(request, settings)).toThrow(expect.objectContaining({ code: 'invalid_input', details: { field } }));
  });
});
