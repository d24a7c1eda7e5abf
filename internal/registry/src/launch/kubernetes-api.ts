import { request as httpsRequest } from 'node:https';
import type { JsonObject } from '@openeaap/kernel';
import { PlatformError, isJsonObject } from '@openeaap/kernel';
import type { KubernetesCredentials } from './kubernetes-credentials.ts';
import { FIELD_MANAGER } from './kubernetes-settings.ts';

/** The kinds that a plugin is made of, and how their paths are called. */
const KINDS = {
  Secret: { root: '/api/v1', plural: 'secrets' },
  Service: { root: '/api/v1', plural: 'services' },
  Deployment: { root: '/apis/apps/v1', plural: 'deployments' },
  NetworkPolicy: { root: '/apis/networking.k8s.io/v1', plural: 'networkpolicies' },
  Pod: { root: '/api/v1', plural: 'pods' },
} as const;

export type Kind = keyof typeof KINDS;

/** An object as the API server has it. */
export interface KubernetesObject {
  readonly metadata: {
    readonly name: string;
    readonly uid: string;
    readonly resourceVersion: string;
    readonly generation?: number;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly spec?: JsonObject;
  readonly status?: JsonObject;
  readonly data?: Readonly<Record<string, string>>;
}

/**
 * The few requests that the launcher makes. Errors: PlatformError `unavailable` (not reached, not allowed),
 * `invalid_input` (the object is refused), `conflict` where a precondition does not hold.
 */
export interface KubernetesApi {
  readonly get: (kind: Kind, namespace: string, name: string) => Promise<KubernetesObject | null>;
  readonly listPods: (namespace: string, labels: Readonly<Record<string, string>>) => Promise<readonly KubernetesObject[]>;
  /** Errors: conflict when it is there already. */
  readonly create: (kind: Kind, manifest: JsonObject) => Promise<KubernetesObject>;
  /** Errors: conflict when it has another `resourceVersion` by now. */
  readonly replace: (kind: Kind, manifest: JsonObject) => Promise<KubernetesObject>;
  /** Server-side apply: what the manifest says is ours. */
  readonly apply: (kind: Kind, manifest: JsonObject) => Promise<KubernetesObject>;
  /** null: there is no such object. */
  readonly annotate: (kind: Kind, namespace: string, name: string, annotations: Readonly<Record<string, string | null>>) => Promise<KubernetesObject | null>;
  /** Deletes it with what depends on it. Errors: conflict when it has changed since `seen`. */
  readonly remove: (kind: Kind, namespace: string, seen: KubernetesObject) => Promise<void>;
  /** The end of the log of a container; of its previous start if it was restarted. */
  readonly log: (namespace: string, pod: string, options: { readonly lines: number; readonly previous: boolean }) => Promise<string>;
}

const ANSWER_MS = 15_000;
const ANSWER_BYTES = 16_777_216;
const LOG_BYTES = 16_384;
const ERROR_CHARS = 1_000;

export function createKubernetesApi(credentials: KubernetesCredentials): KubernetesApi {
  const call = async (method: string, path: string, body?: { readonly type: string; readonly value: JsonObject }): Promise<Answer> => {
    try {
      return await send(credentials, method, path, body);
    } catch (thrown) {
      if (thrown instanceof PlatformError) throw thrown;
      const code = thrown instanceof Error && 'code' in thrown ? String(thrown.code) : 'it broke off';
      throw new PlatformError('unavailable', `The API server of Kubernetes (${credentials.server.origin}) cannot be reached: ${code}.`, { cause: thrown });
    }
  };
  const object = (answer: Answer, what: string): KubernetesObject => {
    if (answer.status >= 300) throw refused(answer, what);
    return parse(answer, what);
  };
  return {
    get: async (kind, namespace, name) => {
      const answer = await call('GET', pathOf(kind, namespace, name));
      return isMissing(answer) ? null : object(answer, `get ${kind} ${namespace}/${name}`);
    },
    listPods: async (namespace, labels) => {
      const selector = Object.entries(labels).map(([key, value]) => `${key}=${value}`).join(',');
      const what = `list pods in ${namespace}`;
      const { items } = object(await call('GET', `${pathOf('Pod', namespace)}?labelSelector=${encodeURIComponent(selector)}&limit=100`), what) as unknown as { readonly items?: readonly KubernetesObject[] };
      return items ?? [];
    },
    create: async (kind, manifest) => object(await call('POST', pathOf(kind, namespaceOf(manifest)), { type: 'application/json', value: manifest }), `create ${kind}`),
    replace: async (kind, manifest) => object(await call('PUT', pathOf(kind, namespaceOf(manifest), nameOf(manifest)), { type: 'application/json', value: manifest }), `update ${kind} ${nameOf(manifest)}`),
    apply: async (kind, manifest) => object(await call('PATCH', `${pathOf(kind, namespaceOf(manifest), nameOf(manifest))}?fieldManager=${FIELD_MANAGER}&force=true`, { type: 'application/apply-patch+yaml', value: manifest }), `apply ${kind} ${nameOf(manifest)}`),
    annotate: async (kind, namespace, name, annotations) => {
      const answer = await call('PATCH', pathOf(kind, namespace, name), { type: 'application/merge-patch+json', value: { metadata: { annotations } } });
      return isMissing(answer) ? null : object(answer, `patch ${kind} ${namespace}/${name}`);
    },
    remove: async (kind, namespace, { metadata: { name, uid, resourceVersion } }) => {
      const value = { apiVersion: 'v1', kind: 'DeleteOptions', propagationPolicy: 'Foreground', preconditions: { uid, resourceVersion } };
      const answer = await call('DELETE', pathOf(kind, namespace, name), { type: 'application/json', value });
      if (answer.status >= 300 && !isMissing(answer)) throw refused(answer, `delete ${kind} ${namespace}/${name}`);
    },
    log: async (namespace, pod, { lines, previous }) => {
      const answer = await call('GET', `${pathOf('Pod', namespace, pod)}/log?container=plugin&tailLines=${lines}&limitBytes=${LOG_BYTES}&previous=${String(previous)}`);
      return answer.status === 200 ? answer.body : '';
    },
  };
}

interface Answer {
  readonly status: number;
  readonly body: string;
}

async function send(credentials: KubernetesCredentials, method: string, path: string, body?: { readonly type: string; readonly value: JsonObject }): Promise<Answer> {
  const { headers, ...options } = await credentials.options();
  const text = body === undefined ? null : JSON.stringify(body.value);
  const base = credentials.server.pathname.replace(/\/$/, '');
  return new Promise((resolve, reject) => {
    const sent = httpsRequest(
      { ...options, method, host: credentials.server.hostname, port: credentials.server.port, path: `${base}${path}`, signal: AbortSignal.timeout(ANSWER_MS), headers: { ...(headers as Record<string, string> | undefined), accept: 'application/json', ...(text === null ? {} : { 'content-type': body?.type, 'content-length': Buffer.byteLength(text) }) } },
      (response) => {
        const chunks: Buffer[] = [];
        let bytes = 0;
        response.on('data', (chunk: Buffer) => {
          bytes += chunk.length;
          if (bytes > ANSWER_BYTES) response.destroy(new Error('The answer is too large.'));
          else chunks.push(chunk);
        });
        response.once('error', reject);
        response.once('end', () => resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString('utf8') }));
      },
    );
    sent.once('error', reject);
    sent.end(text);
  });
}

function pathOf(kind: Kind, namespace: string, name?: string): string {
  const { root, plural } = KINDS[kind];
  return `${root}/namespaces/${encodeURIComponent(namespace)}/${plural}${name === undefined ? '' : `/${encodeURIComponent(name)}`}`;
}

function metadataOf(manifest: JsonObject, field: 'name' | 'namespace'): string {
  const metadata = isJsonObject(manifest['metadata']) ? manifest['metadata'] : {};
  return typeof metadata[field] === 'string' ? metadata[field] : '';
}

const namespaceOf = (manifest: JsonObject): string => metadataOf(manifest, 'namespace');
const nameOf = (manifest: JsonObject): string => metadataOf(manifest, 'name');

function parse(answer: Answer, what: string): KubernetesObject {
  try {
    return JSON.parse(answer.body) as KubernetesObject;
  } catch (thrown) {
    throw new PlatformError('unavailable', `The API server of Kubernetes answered "${what}" with something that is no JSON.`, { cause: thrown });
  }
}

/** The object is missing; a missing namespace is another matter. */
const isMissing = (answer: Answer): boolean => answer.status === 404 && !/namespaces? \\?"[^"]*" not found/.test(answer.body);

function refused({ status, body }: Answer, what: string): PlatformError {
  const said = messageOf(body);
  switch (status) {
    case 401:
      return new PlatformError('unavailable', `Kubernetes does not know who we are (${what}). Check the service account or the kubeconfig of the platform.`);
    case 403:
      return new PlatformError('unavailable', `Kubernetes does not allow it: ${said}. The platform's Role needs get, list, create, update, patch and delete on secrets, services, deployments and networkpolicies, and get and list on pods and pods/log, in the namespace of its plugins.`);
    case 404:
      return new PlatformError('invalid_input', `Kubernetes does not have it (${what}): ${said}. Create the namespace, or correct it in the declaration.`, { details: { field: 'namespace' } });
    case 409:
      return new PlatformError('conflict', `Somebody else changed it at the same time (${what}): ${said}`);
    case 400:
    case 422:
      return new PlatformError('invalid_input', `Kubernetes refused to ${what}: ${said}`);
    default:
      return new PlatformError('unavailable', `Kubernetes answered HTTP ${status} (${what}): ${said}`);
  }
}

function messageOf(body: string): string {
  try {
    const status: unknown = JSON.parse(body);
    if (isJsonObject(status) && typeof status['message'] === 'string') return status['message'].slice(0, ERROR_CHARS);
  } catch {
    // Not a Status: a proxy in between.
  }
  return body.slice(0, 200);
}
