import type { JsonObject } from '@openeaap/kernel';
import { PlatformError, hashJson } from '@openeaap/kernel';
import type { LaunchRequest } from './launcher.ts';
import type { KubernetesSettings } from './kubernetes-settings.ts';
import { ANNOTATIONS, LABELS, PLUGIN_PORT, POD_LIMITS, TLS_FOLDER } from './kubernetes-settings.ts';

export interface Manifests {
  readonly deployment: JsonObject;
  readonly service: JsonObject;
  readonly networkPolicy: JsonObject | null;
  /** Of all of them; it stands in the Deployment, which is applied last. */
  readonly specHash: string;
}

/** What there is of a request in the manifests; the rest is in the Secret. */
export type ManifestRequest = Pick<LaunchRequest, 'plugin' | 'replicas' | 'environment'>;

/**
 * The objects of a plugin, but for its Secret, whose `revision` they name: when it changes, the pods are replaced. The
 * pods keep the "restricted" Pod Security Standard. Errors: invalid_input that names the field.
 */
export function toManifests(request: ManifestRequest, settings: KubernetesSettings, installation: string, revision: string): Manifests {
  const name = objectName(request.plugin);
  const metadata = { name, namespace: settings.namespace, labels: toLabels(request.plugin, installation) };
  const service = { apiVersion: 'v1', kind: 'Service', metadata, spec: { clusterIP: 'None', selector: toSelector(request.plugin, installation), ports: [{ name: 'grpc', port: PLUGIN_PORT, targetPort: 'grpc', protocol: 'TCP' }] } };
  const networkPolicy = settings.networkPolicy === null ? null : toNetworkPolicy(request.plugin, settings.networkPolicy, installation, metadata);
  const spec = {
    replicas: request.replicas,
    selector: { matchLabels: toSelector(request.plugin, installation) },
    // A new pod serves before an old one ends.
    strategy: { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: 0, maxSurge: 1 } },
    template: { metadata: { labels: metadata.labels, annotations: { [ANNOTATIONS.revision]: revision } }, spec: toPodSpec(request, settings, name) },
  };
  const specHash = hashJson({ service, networkPolicy, metadata, spec });
  return { deployment: { apiVersion: 'apps/v1', kind: 'Deployment', metadata: { ...metadata, annotations: { [ANNOTATIONS.specHash]: specHash } }, spec }, service, networkPolicy, specHash };
}

/** Of all objects of a plugin. Errors: invalid_input. */
export function objectName(plugin: string): string {
  if (!/^[a-z0-9]([a-z0-9-]{0,53}[a-z0-9])?$/.test(plugin)) throw new PlatformError('invalid_input', `The plugin "${plugin}" cannot have objects of that name in Kubernetes. Use at most 55 lower-case letters, digits and -, not at the ends.`, { details: { field: 'name' } });
  return `plugin-${plugin}`;
}

/** The name that its certificate is made out to, and that the control plane connects to. */
export const serverNameOf = (plugin: string, namespace: string): string => `${objectName(plugin)}.${namespace}.svc`;

const toSelector = (plugin: string, installation: string): Readonly<Record<string, string>> => ({ [LABELS.plugin]: plugin, [LABELS.installation]: installation });

export const toLabels = (plugin: string, installation: string): Readonly<Record<string, string>> => ({ ...toSelector(plugin, installation), [LABELS.managedBy]: 'openeaap', [LABELS.component]: 'plugin', [LABELS.name]: plugin });

function toPodSpec(request: ManifestRequest, settings: KubernetesSettings, secretName: string): JsonObject {
  return {
    automountServiceAccountToken: false,
    enableServiceLinks: false,
    terminationGracePeriodSeconds: POD_LIMITS.terminationGraceSeconds,
    securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
    ...(settings.serviceAccount === null ? {} : { serviceAccountName: settings.serviceAccount }),
    ...(settings.runtimeClass === null ? {} : { runtimeClassName: settings.runtimeClass }),
    ...(settings.imagePullSecrets.length === 0 ? {} : { imagePullSecrets: settings.imagePullSecrets.map((secret) => ({ name: secret })) }),
    ...(Object.keys(settings.nodeSelector).length === 0 ? {} : { nodeSelector: settings.nodeSelector }),
    containers: [toContainer(request, settings, secretName)],
    volumes: [
      // The client's key and the token stay out of the file system.
      { name: 'tls', secret: { secretName, items: ['tls.crt', 'tls.key', 'ca.crt'].map((key) => ({ key, path: key })) } },
      { name: 'tmp', emptyDir: { sizeLimit: POD_LIMITS.temporaryStorage } },
    ],
  };
}

function toContainer(request: ManifestRequest, settings: KubernetesSettings, secretName: string): JsonObject {
  const limits = { cpu: checkQuantity(settings.resources.cpu ?? POD_LIMITS.cpu, 'cpu', request.plugin), memory: checkQuantity(settings.resources.memory ?? POD_LIMITS.memory, 'memory', request.plugin) };
  return {
    name: 'plugin',
    image: checkImage(settings.image, request.plugin),
    ports: [{ name: 'grpc', containerPort: PLUGIN_PORT, protocol: 'TCP' }],
    env: [
      ...Object.keys(request.environment).sort().map((name) => ({ name: checkVariable(name, request.plugin), valueFrom: { secretKeyRef: { name: secretName, key: `env.${name}` } } })),
      { name: 'OPENEAAP_PLUGIN_NAME', value: request.plugin },
      { name: 'OPENEAAP_PLUGIN_LISTEN', value: `0.0.0.0:${PLUGIN_PORT}` },
      { name: 'OPENEAAP_PLUGIN_TOKEN', valueFrom: { secretKeyRef: { name: secretName, key: 'token' } } },
      { name: 'OPENEAAP_PLUGIN_TLS_CERT', value: `${TLS_FOLDER}/tls.crt` },
      { name: 'OPENEAAP_PLUGIN_TLS_KEY', value: `${TLS_FOLDER}/tls.key` },
      { name: 'OPENEAAP_PLUGIN_TLS_CLIENT_CA', value: `${TLS_FOLDER}/ca.crt` },
    ],
    resources: { requests: limits, limits },
    securityContext: { allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, runAsNonRoot: true, capabilities: { drop: ['ALL'] } },
    volumeMounts: [
      { name: 'tls', mountPath: TLS_FOLDER, readOnly: true },
      { name: 'tmp', mountPath: '/tmp' },
    ],
    // The kubelet has no client certificate, so a gRPC probe cannot pass the TLS that the plugin asks for. That the port
    // is open is what it can see; whether the plugin can do steps is asked by the control plane every few seconds.
    readinessProbe: { tcpSocket: { port: 'grpc' }, periodSeconds: 2, timeoutSeconds: 2, failureThreshold: 3 },
    livenessProbe: { tcpSocket: { port: 'grpc' }, initialDelaySeconds: 30, periodSeconds: 10, timeoutSeconds: 5, failureThreshold: 6 },
  };
}

function toNetworkPolicy(plugin: string, policy: NonNullable<KubernetesSettings['networkPolicy']>, installation: string, metadata: JsonObject): JsonObject {
  const from = [{ namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': policy.namespace } }, podSelector: { matchLabels: policy.podLabels } }];
  return { apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicy', metadata, spec: { podSelector: { matchLabels: toSelector(plugin, installation) }, policyTypes: ['Ingress'], ingress: [{ from, ports: [{ port: PLUGIN_PORT, protocol: 'TCP' }] }] } };
}

function checkVariable(name: string, plugin: string): string {
  if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) throw new PlatformError('invalid_input', `The plugin "${plugin}" has a variable "${name}". Names are letters, digits and _.`, { details: { field: `env.${name}` } });
  return name;
}

function checkImage(image: string, plugin: string): string {
  if (!/^[a-z0-9][A-Za-z0-9._:/@-]*$/.test(image)) throw new PlatformError('invalid_input', `The plugin "${plugin}" has the image "${image}", which is no reference of one. Write registry/name:tag or name@sha256:digest.`, { details: { field: 'image' } });
  return image;
}

function checkQuantity(quantity: string, resource: 'cpu' | 'memory', plugin: string): string {
  const isGood = resource === 'cpu' ? /^\d+(\.\d+)?m?$/.test(quantity) : /^\d+(\.\d+)?([kMGT]|[KMGT]i)?$/.test(quantity);
  if (!isGood || Number.parseFloat(quantity) === 0) throw new PlatformError('invalid_input', `The plugin "${plugin}" has resources.${resource} "${quantity}". Write ${resource === 'cpu' ? 'cores, "2" or "0.5", or thousandths of one, "500m"' : 'bytes with a unit: "256Mi", "1Gi"'}.`, { details: { field: `resources.${resource}` } });
  return quantity;
}
