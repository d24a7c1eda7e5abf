import type { JsonObject, JsonValue } from '@openeaap/kernel';
import { PlatformError, isJsonObject } from '@openeaap/kernel';
import type { KubernetesApi, KubernetesObject } from './kubernetes-api.ts';
import type { KubernetesDeps, KubernetesSettings } from './kubernetes-settings.ts';
import { ANNOTATIONS, KUBERNETES_TIMES, LABELS } from './kubernetes-settings.ts';
import { objectName } from './kubernetes-manifests.ts';
import type { LaunchRequest } from './launcher.ts';

/**
 * Resolves when all pods of the newest template serve. Errors: PlatformError `unavailable` with the reason of the first
 * pod that has one, as soon as it is one that does not pass by itself, at the latest after the deadline; `cancelled`.
 */
export async function waitForRollout(request: LaunchRequest, settings: KubernetesSettings, deps: KubernetesDeps, signal: AbortSignal): Promise<void> {
  const { namespace } = settings;
  const name = objectName(request.plugin);
  const until = deps.clock.now().getTime() + request.startTimeoutMs;
  let problem: Problem | null = null;
  while (!signal.aborted && deps.clock.now().getTime() < until) {
    const deployment = await deps.api.get('Deployment', namespace, name);
    if (deployment === null) throw new PlatformError('unavailable', `The Deployment ${namespace}/${name} of the plugin "${request.plugin}" was deleted while it was rolled out.`);
    if (isRolledOut(deployment)) return;
    problem = findRefusal(deployment) ?? (await findProblem(deployment, namespace, deps.api));
    if (problem?.isFinal === true) break;
    await deps.clock.sleep(KUBERNETES_TIMES.lookEveryMs, signal);
  }
  if (signal.aborted) throw new PlatformError('cancelled', `The start of the plugin "${request.plugin}" was stopped.`);
  const why = problem === null ? 'its pods are not ready. Does its program call serve()? A slow one needs a higher start_timeout_ms' : problem.message;
  throw new PlatformError('unavailable', `The plugin "${request.plugin}" (Deployment ${namespace}/${name}) ${problem?.isFinal === true ? 'cannot start' : `did not start within ${request.startTimeoutMs} ms`}: ${why}.`);
}

function isRolledOut({ metadata, spec = {}, status = {} }: KubernetesObject): boolean {
  const count = (field: string): number => (typeof status[field] === 'number' ? status[field] : 0);
  const wanted = typeof spec['replicas'] === 'number' ? spec['replicas'] : 1;
  return count('observedGeneration') >= (metadata.generation ?? 0) && count('updatedReplicas') >= wanted && count('availableReplicas') >= wanted;
}

interface Problem {
  readonly message: string;
  /** It does not pass by waiting. */
  readonly isFinal: boolean;
}

/** Pods that the cluster does not even create: a quota, a policy, a missing account. */
function findRefusal({ status = {} }: KubernetesObject): Problem | null {
  const refusal = objects(status['conditions']).find((condition) => condition['type'] === 'ReplicaFailure' && condition['status'] === 'True');
  return refusal === undefined ? null : { message: `the cluster does not create its pods: ${text(refusal['message'])}`, isFinal: true };
}

/** What the pods of the newest template say. */
async function findProblem(deployment: KubernetesObject, namespace: string, api: KubernetesApi): Promise<Problem | null> {
  const { labels = {} } = deployment.metadata;
  const template = isJsonObject(deployment.spec?.['template']) ? deployment.spec['template'] : {};
  const annotations = isJsonObject(template['metadata']) && isJsonObject(template['metadata']['annotations']) ? template['metadata']['annotations'] : {};
  const pods = await api.listPods(namespace, { [LABELS.plugin]: labels[LABELS.plugin] ?? '', [LABELS.installation]: labels[LABELS.installation] ?? '' });
  const image = imageOf(template['spec']);
  for (const pod of pods) {
    // An old pod that ends says nothing about the new ones.
    if (pod.metadata.annotations?.[ANNOTATIONS.revision] !== annotations[ANNOTATIONS.revision] || imageOf(pod.spec) !== image) continue;
    const problem = await findPodProblem(pod, namespace, api);
    if (problem !== null) return problem;
  }
  return null;
}

const imageOf = (spec: JsonValue | undefined): string => (isJsonObject(spec) ? text(objects(spec['containers'])[0]?.['image']) : '');

const LOG_LINES = 5;

async function findPodProblem(pod: KubernetesObject, namespace: string, api: KubernetesApi): Promise<Problem | null> {
  const { name } = pod.metadata;
  const status = pod.status ?? {};
  const unscheduled = objects(status['conditions']).find((condition) => condition['type'] === 'PodScheduled' && condition['status'] === 'False');
  // A node may still be added for it.
  if (unscheduled !== undefined) return { message: `its pod ${name} finds no node: ${text(unscheduled['message'])}. Lower its resources, or correct node_selector or runtime_class`, isFinal: false };
  const [container] = objects(status['containerStatuses']);
  const waiting = child(container, 'state', 'waiting');
  const ended = child(container, 'lastState', 'terminated') ?? child(container, 'state', 'terminated');
  const reason = text(waiting?.['reason']);
  switch (reason) {
    case 'ImagePullBackOff':
    case 'ErrImagePull':
    case 'InvalidImageName':
    case 'ErrImageNeverPull':
      // The first failure to pull may be the network's; the second is waited for.
      return { message: `its image cannot be pulled (${reason}): ${text(waiting?.['message'])}. Correct \`image\`, or name its image_pull_secrets`, isFinal: reason !== 'ErrImagePull' };
    case 'CreateContainerConfigError':
    case 'CreateContainerError':
    case 'RunContainerError':
      return { message: `its container cannot be made (${reason}): ${text(waiting?.['message'])}. An image that runs as root is refused: set a numeric USER in it`, isFinal: reason === 'CreateContainerConfigError' };
    case 'CrashLoopBackOff': {
      const log = (await api.log(namespace, name, { lines: LOG_LINES, previous: true })).trim().replaceAll('\n', ' | ');
      const how = ended === undefined ? '' : ` with exit code ${text(ended['exitCode'])}${text(ended['reason']) === 'OOMKilled' ? ' (it needed more than its resources.memory)' : ''}`;
      return { message: `its program ends again and again (CrashLoopBackOff)${how}. It said last: ${log === '' ? 'nothing' : log}`, isFinal: true };
    }
    default:
      return null;
  }
}

const objects = (value: JsonValue | undefined): readonly JsonObject[] => (Array.isArray(value) ? value.filter((item: JsonValue): item is JsonObject => isJsonObject(item)) : []);

function child(parent: JsonObject | undefined, ...path: readonly string[]): JsonObject | undefined {
  let value: JsonValue | undefined = parent;
  for (const key of path) value = isJsonObject(value) ? value[key] : undefined;
  return isJsonObject(value) ? value : undefined;
}

const text = (value: JsonValue | undefined): string => (typeof value === 'string' ? value.slice(0, 1_000) : typeof value === 'number' ? String(value) : '');
