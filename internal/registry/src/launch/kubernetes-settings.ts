import type { Clock } from '@openeaap/kernel';
import type { Authority } from './authority.ts';
import type { KubernetesApi } from './kubernetes-api.ts';

/** What an image may use, and where in the cluster it runs. */
export interface KubernetesSettings {
  readonly image: string;
  /** Requested and at most; null: `POD_LIMITS`. */
  readonly resources: { readonly cpu: string | null; readonly memory: string | null };
  /** A RuntimeClass of the cluster, e.g. `gvisor`; null: its default. */
  readonly runtimeClass: string | null;
  readonly namespace: string;
  readonly imagePullSecrets: readonly string[];
  /** null: that of the namespace. Its token is not given to the pod in either case. */
  readonly serviceAccount: string | null;
  readonly nodeSelector: Readonly<Record<string, string>>;
  /** Whose pods alone may connect; null: no NetworkPolicy is made. */
  readonly networkPolicy: { readonly namespace: string; readonly podLabels: Readonly<Record<string, string>> } | null;
}

export interface KubernetesDeps {
  readonly api: KubernetesApi;
  /** Which platform the objects belong to: the same on all of its nodes. Lower-case letters, digits and `-`. */
  readonly installation: string;
  readonly authority: Authority;
  readonly clock: Clock;
}

export const POD_LIMITS = {
  cpu: '1',
  memory: '512Mi',
  /** Of `/tmp`, the only place that can be written to. */
  temporaryStorage: '64Mi',
  /** A plugin finishes its steps for 10 s. */
  terminationGraceSeconds: 15,
} as const;

export const KUBERNETES_TIMES = {
  lookEveryMs: 500,
  /** A launch says so often that it needs the objects, and looks whether they are still the ones that it knows. */
  holdEveryMs: 30_000,
  /** A launch that has not said so for so long is dead. */
  holderDeadMs: 120_000,
  /** Attempts to change an object that somebody else changes at the same time. */
  attempts: 8,
} as const;

export const PLUGIN_PORT = 50_051;
export const TLS_FOLDER = '/openeaap/tls';
export const FIELD_MANAGER = 'openeaap';

export const LABELS = { managedBy: 'app.kubernetes.io/managed-by', name: 'app.kubernetes.io/name', component: 'app.kubernetes.io/component', installation: 'openeaap.dev/installation', plugin: 'openeaap.dev/plugin' } as const;
export const ANNOTATIONS = { specHash: 'openeaap.dev/spec-hash', revision: 'openeaap.dev/secret-revision', holder: 'holder.openeaap.dev/' } as const;
