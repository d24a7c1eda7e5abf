/** The fields of the Kubernetes API that the launcher may use. `null` is a leaf, `[x]` a list, `{ '*': x }` a map. */
export type Schema = null | readonly [Schema] | { readonly [field: string]: Schema };

const map: Schema = { '*': null };
const metadata: Schema = { name: null, namespace: null, uid: null, resourceVersion: null, labels: map, annotations: map };
const selector: Schema = { matchLabels: map };
const probe: Schema = { tcpSocket: { port: null }, initialDelaySeconds: null, periodSeconds: null, timeoutSeconds: null, failureThreshold: null };
const container: Schema = {
  name: null,
  image: null,
  ports: [{ name: null, containerPort: null, protocol: null }],
  env: [{ name: null, value: null, valueFrom: { secretKeyRef: { name: null, key: null } } }],
  resources: { requests: map, limits: map },
  securityContext: { allowPrivilegeEscalation: null, readOnlyRootFilesystem: null, runAsNonRoot: null, capabilities: { drop: [null] } },
  volumeMounts: [{ name: null, mountPath: null, readOnly: null }],
  readinessProbe: probe,
  livenessProbe: probe,
};
const podSpec: Schema = {
  automountServiceAccountToken: null,
  enableServiceLinks: null,
  terminationGracePeriodSeconds: null,
  securityContext: { runAsNonRoot: null, seccompProfile: { type: null } },
  serviceAccountName: null,
  runtimeClassName: null,
  imagePullSecrets: [{ name: null }],
  nodeSelector: map,
  containers: [container],
  volumes: [{ name: null, secret: { secretName: null, items: [{ key: null, path: null }] }, emptyDir: { sizeLimit: null } }],
};

export const SCHEMAS: Readonly<Record<string, Schema>> = {
  secrets: { apiVersion: null, kind: null, type: null, metadata, data: map },
  services: { apiVersion: null, kind: null, metadata, spec: { clusterIP: null, selector: map, ports: [{ name: null, port: null, targetPort: null, protocol: null }] } },
  deployments: { apiVersion: null, kind: null, metadata, spec: { replicas: null, selector, strategy: { type: null, rollingUpdate: { maxUnavailable: null, maxSurge: null } }, template: { metadata: { labels: map, annotations: map }, spec: podSpec } } },
  networkpolicies: { apiVersion: null, kind: null, metadata, spec: { podSelector: selector, policyTypes: [null], ingress: [{ from: [{ namespaceSelector: selector, podSelector: selector }], ports: [{ port: null, protocol: null }] }] } },
};

/** The first thing in `value` that the schema does not know; null: nothing. */
export function findUnknown(value: unknown, schema: Schema, at = ''): string | null {
  if (schema === null) return typeof value === 'object' && value !== null ? `${at} is no plain value` : null;
  if (Array.isArray(schema)) return Array.isArray(value) ? first(value.map((item, index) => findUnknown(item, (schema as readonly [Schema])[0], `${at}[${index}]`))) : `${at} is no list`;
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return `${at} is no object`;
  const fields = schema as { readonly [field: string]: Schema };
  return first(Object.entries(value).map(([field, item]) => {
    const known = fields['*'] === undefined ? fields[field] : fields['*'];
    return known === undefined ? `unknown field "${at}.${field}"` : findUnknown(item, known, `${at}.${field}`);
  }));
}

const first = (problems: readonly (string | null)[]): string | null => problems.find((problem) => problem !== null) ?? null;
