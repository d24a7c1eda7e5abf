import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { createAuthority, loadAuthority } from '../authority.ts';
import { SCHEMAS, findUnknown } from './kubernetes-schemas.ts';

interface Stored {
  apiVersion: string;
  kind: string;
  metadata: { name: string; namespace: string; uid: string; resourceVersion: string; generation: number; labels: Record<string, string>; annotations: Record<string, string> };
  spec: Record<string, unknown>;
  status: Record<string, unknown>;
  data: Record<string, string>;
}

/** What the pods of a Deployment do, by the tag of its image. */
type PodMode = 'good' | 'slow' | 'pull' | 'crash' | 'root' | 'unschedulable' | 'forbidden';

export interface ApiDouble {
  readonly url: string;
  readonly ca: string;
  readonly token: string;
  /** By `plural/name`. */
  readonly objects: Map<string, Stored>;
  /** Requests that changed something, e.g. `PATCH deployments/plugin-x`. */
  readonly changes: readonly string[];
  readonly close: () => Promise<void>;
  /** Answers the next requests of this kind with a status instead. */
  readonly failWith: (status: number | null) => void;
  /** Called before each request is served: where a test lets somebody else come in between. */
  onRequest: (method: string, key: string) => void;
}

/**
 * As much of the API server of Kubernetes as the launcher uses, and strict: a path, a content type or a field that it
 * does not know is an error, as it would be one there (`fieldValidation: Strict` for apply). Versions count, preconditions
 * hold. Pods are made up by the tag of the image.
 */
export async function startApiDouble(): Promise<ApiDouble> {
  const authority = loadAuthority(createAuthority('cluster', Date.now), { now: Date.now });
  const objects = new Map<string, Stored>();
  const changes: string[] = [];
  const token = randomUUID();
  let failure: number | null = null;
  let version = 1;

  const serve = (method: string, url: URL, type: string | undefined, body: string): { readonly status: number; readonly body: unknown } => {
    const match = /^\/(?:api\/v1|apis\/apps\/v1|apis\/networking\.k8s\.io\/v1)\/namespaces\/([^/]+)\/([a-z]+)(?:\/([^/]+))?(\/log)?$/.exec(url.pathname);
    if (match === null) return fail(404, 'the server could not find the requested resource');
    const [, namespace = '', plural = '', name, log] = match;
    if (namespace !== 'plugins') return fail(404, `namespaces "${namespace}" not found`);
    if (plural === 'pods') return servePods(method, name, log, url.searchParams);
    const schema = SCHEMAS[plural];
    const root = { secrets: '/api/v1', services: '/api/v1', deployments: '/apis/apps/v1', networkpolicies: '/apis/networking.k8s.io/v1' }[plural];
    if (schema === undefined || root === undefined || !url.pathname.startsWith(`${root}/`)) return fail(404, 'the server could not find the requested resource');
    const key = `${plural}/${name ?? ''}`;
    double.onRequest(method, key);
    const found = objects.get(key);
    if (method !== 'GET') changes.push(`${method} ${key}`);
    if (method === 'GET') return found === undefined ? fail(404, `${plural} "${name}" not found`) : ok(found);
    const value: unknown = JSON.parse(body);
    if (method === 'DELETE') return remove(key, found, value as { preconditions?: { uid?: string; resourceVersion?: string } });
    if (method === 'PATCH' && type === 'application/merge-patch+json') return annotate(found, value as { metadata: { annotations: Record<string, string | null> } });
    const unknown = findUnknown(value, schema);
    if (unknown !== null) return fail(400, `strict decoding error: ${unknown}`);
    const manifest = value as Stored;
    if (manifest.metadata.namespace !== namespace) return fail(400, 'the namespace of the object does not match the namespace of the request');
    if (method === 'POST' && type === 'application/json') {
      const created = `${plural}/${manifest.metadata.name}`;
      return objects.has(created) ? fail(409, `${created} already exists`) : ok(store(created, manifest, undefined), 201);
    }
    if (manifest.metadata.name !== name) return fail(400, 'the name of the object does not match the name on the URL');
    if (method === 'PUT' && type === 'application/json') {
      if (found === undefined) return fail(404, `${key} not found`);
      return manifest.metadata.resourceVersion === found.metadata.resourceVersion ? ok(store(key, manifest, found)) : fail(409, 'the object has been modified');
    }
    if (method === 'PATCH' && type === 'application/apply-patch+yaml') {
      if (url.searchParams.get('fieldManager') !== 'openeaap' || url.searchParams.get('force') !== 'true') return fail(400, 'PatchOptions.fieldManager is required for apply patch');
      if (found !== undefined && same(found, manifest)) return ok(found);
      return ok(store(key, manifest, found));
    }
    return fail(415, `the body of the request was in an unknown format: ${type}`);
  };

  const store = (key: string, manifest: Stored, found: Stored | undefined): Stored => {
    version += 1;
    const labels = { ...manifest.metadata.labels };
    const annotations = { ...manifest.metadata.annotations };
    const stored: Stored = {
      ...manifest,
      metadata: { ...manifest.metadata, uid: found?.metadata.uid ?? randomUUID(), resourceVersion: String(version), generation: (found?.metadata.generation ?? 0) + 1, labels, annotations: { ...found?.metadata.annotations, ...annotations } },
      status: {},
    };
    // A PUT replaces all annotations; an apply leaves those of others.
    if (key.startsWith('secrets/')) stored.metadata.annotations = { ...annotations };
    stored.status = key.startsWith('deployments/') ? statusOf(stored) : {};
    objects.set(key, stored);
    return stored;
  };

  const annotate = (found: Stored | undefined, patch: { metadata: { annotations: Record<string, string | null> } }): ReturnType<typeof ok> => {
    if (found === undefined) return fail(404, 'not found');
    for (const [name, value] of Object.entries(patch.metadata.annotations)) {
      if (value === null) Reflect.deleteProperty(found.metadata.annotations, name);
      else found.metadata.annotations[name] = value;
    }
    version += 1;
    found.metadata.resourceVersion = String(version);
    return ok(found);
  };

  const remove = (key: string, found: Stored | undefined, { preconditions = {} }: { preconditions?: { uid?: string; resourceVersion?: string } }): ReturnType<typeof ok> => {
    if (found === undefined) return fail(404, `${key} not found`);
    if (preconditions.uid !== found.metadata.uid || preconditions.resourceVersion !== found.metadata.resourceVersion) return fail(409, 'Precondition failed: the object has changed');
    objects.delete(key);
    return ok({ kind: 'Status', status: 'Success' });
  };

  const servePods = (method: string, name: string | undefined, log: string | undefined, query: URLSearchParams): ReturnType<typeof ok> => {
    if (method !== 'GET') return fail(405, 'pods are not ours to change');
    if (log !== undefined) return query.get('container') === 'plugin' && query.get('previous') === 'true' ? { status: 200, body: 'Traceback\nKeyError: MODEL\n' } : fail(400, 'which container, and which of its starts?');
    if (name !== undefined) return fail(400, 'only lists');
    const wanted = Object.fromEntries((query.get('labelSelector') ?? '').split(',').map((term) => term.split('='))) as Record<string, string>;
    const items = [...objects].filter(([key]) => key.startsWith('deployments/')).map(([, deployment]) => podOf(deployment)).filter((pod) => Object.entries(wanted).every(([label, value]) => pod.metadata.labels[label] === value));
    return ok({ kind: 'PodList', items });
  };

  const server = createServer({ ...authority.issueServer(['localhost']), minVersion: 'TLSv1.2' }, (request, response) => {
    void readBody(request).then((body) => {
      const url = new URL(request.url ?? '', 'https://localhost');
      const answer = failure !== null ? fail(failure, failure === 403 ? 'secrets is forbidden: User "x" cannot get resource "secrets"' : 'made to fail') : request.headers.authorization !== `Bearer ${token}` ? fail(401, 'Unauthorized') : serve(request.method ?? '', url, request.headers['content-type'], body);
      response.writeHead(answer.status, { 'content-type': 'application/json' }).end(typeof answer.body === 'string' ? answer.body : JSON.stringify(answer.body));
      return undefined;
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const double: ApiDouble = {
    url: `https://localhost:${(server.address() as AddressInfo).port}`,
    ca: authority.cert,
    token,
    objects,
    changes,
    close: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
    failWith: (status) => {
      failure = status;
    },
    onRequest: () => undefined,
  };
  return double;
}

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}

const ok = (body: unknown, status = 200): { readonly status: number; readonly body: unknown } => ({ status, body });
const fail = (status: number, message: string): { readonly status: number; readonly body: unknown } => ({ status, body: { kind: 'Status', status: 'Failure', code: status, message } });

/** Says an apply nothing new? */
const same = (found: Stored, manifest: Stored): boolean => JSON.stringify(found.spec) === JSON.stringify(manifest.spec) && Object.entries({ ...manifest.metadata.annotations }).every(([name, value]) => found.metadata.annotations[name] === value);

interface PodSpec {
  readonly containers: readonly [{ readonly image: string }];
}

const templateOf = (deployment: Stored): { readonly metadata: { readonly labels: Record<string, string>; readonly annotations: Record<string, string> }; readonly spec: PodSpec } => deployment.spec['template'] as ReturnType<typeof templateOf>;
const modeOf = (deployment: Stored): PodMode => templateOf(deployment).spec.containers[0].image.split(':')[1] as PodMode;

function statusOf(deployment: Stored): Record<string, unknown> {
  const { generation } = deployment.metadata;
  const replicas = deployment.spec['replicas'];
  switch (modeOf(deployment)) {
    case 'good':
      return { observedGeneration: generation, updatedReplicas: replicas, availableReplicas: replicas };
    case 'forbidden':
      return { observedGeneration: generation, conditions: [{ type: 'ReplicaFailure', status: 'True', message: 'pods "x" is forbidden: exceeded quota' }] };
    default:
      return { observedGeneration: generation, updatedReplicas: replicas, unavailableReplicas: replicas };
  }
}

function podOf(deployment: Stored): { readonly metadata: { readonly name: string; readonly labels: Record<string, string>; readonly annotations: Record<string, string> }; readonly spec: PodSpec; readonly status: unknown } {
  const { metadata, spec } = templateOf(deployment);
  const waiting = (reason: string, message: string, more: object = {}): unknown => ({ conditions: [{ type: 'PodScheduled', status: 'True' }], containerStatuses: [{ name: 'plugin', state: { waiting: { reason, message } }, ...more }] });
  const statuses: Record<PodMode, unknown> = {
    good: {},
    slow: { containerStatuses: [{ name: 'plugin', state: { running: {} } }] },
    forbidden: {},
    pull: waiting('ImagePullBackOff', 'Back-off pulling image: not found'),
    crash: waiting('CrashLoopBackOff', 'back-off 10s restarting failed container', { lastState: { terminated: { exitCode: 1, reason: 'Error' } } }),
    root: waiting('CreateContainerConfigError', 'container has runAsNonRoot and image will run as root'),
    unschedulable: { conditions: [{ type: 'PodScheduled', status: 'False', message: '0/3 nodes are available: 3 Insufficient memory.' }] },
  };
  return { metadata: { name: 'plugin-bridge-abc', labels: metadata.labels, annotations: metadata.annotations }, spec, status: statuses[modeOf(deployment)] };
}
