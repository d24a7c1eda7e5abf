import { readFile } from 'node:fs/promises';
import type { RequestOptions } from 'node:https';
import { PlatformError } from '@openeaap/kernel';

/** Where the API server of a cluster is, and who we are there. */
export interface KubernetesCredentials {
  readonly server: URL;
  /** Of one request: authority, certificate, headers. Asked each time, since tokens are short-lived. */
  readonly options: () => Promise<Pick<RequestOptions, 'ca' | 'cert' | 'key' | 'headers' | 'auth' | 'rejectUnauthorized' | 'servername' | 'agent'>>;
}

/** Where Kubernetes puts the account of a pod. */
export const SERVICE_ACCOUNT_FOLDER = '/var/run/secrets/kubernetes.io/serviceaccount';

/** Of the pod that the platform runs in. Errors: unavailable when it runs in none. */
export function inClusterCredentials(environment: Readonly<Record<'KUBERNETES_SERVICE_HOST' | 'KUBERNETES_SERVICE_PORT', string | undefined>>, folder = SERVICE_ACCOUNT_FOLDER): KubernetesCredentials {
  const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port } = environment;
  if (host === undefined || port === undefined) throw new PlatformError('unavailable', 'The platform does not run in a pod of Kubernetes. Name a kubeconfig file, or run it in the cluster.');
  const read = async (file: string): Promise<string> => {
    try {
      return (await readFile(`${folder}/${file}`, 'utf8')).trim();
    } catch (thrown) {
      throw new PlatformError('unavailable', `The pod of the platform has no service account (${folder}/${file} cannot be read). Set automountServiceAccountToken of its pod to true.`, { cause: thrown });
    }
  };
  return {
    server: new URL(`https://${host.includes(':') ? `[${host}]` : host}:${port}`),
    options: async () => ({ ca: await read('ca.crt'), headers: { authorization: `Bearer ${await read('token')}` } }),
  };
}

/** By a kubeconfig file, with whatever it says of tokens, certificates and programs. Errors: invalid_input. */
export async function kubeconfigCredentials(file: string, context: string | null): Promise<KubernetesCredentials> {
  // Loaded only where it is used: it is large.
  const { KubeConfig } = await import('@kubernetes/client-node');
  const config = new KubeConfig();
  try {
    config.loadFromFile(file);
  } catch (thrown) {
    throw new PlatformError('invalid_input', `The kubeconfig file ${file} cannot be read: ${thrown instanceof Error ? thrown.message : 'it is no YAML'}.`, { cause: thrown });
  }
  if (context !== null) config.setCurrentContext(context);
  const cluster = config.getCurrentCluster();
  if (cluster === null || !URL.canParse(cluster.server)) throw new PlatformError('invalid_input', `The kubeconfig file ${file} has no cluster for the context "${config.getCurrentContext()}". Choose one with \`kubectl config use-context\`.`);
  const server = new URL(cluster.server);
  if (server.protocol !== 'https:') throw new PlatformError('invalid_input', `The kubeconfig file ${file} names the API server by plain http (${server.origin}). Use https.`);
  return {
    server,
    options: async () => {
      const options: RequestOptions = {};
      await config.applyToHTTPSOptions(options);
      return options;
    },
  };
}
