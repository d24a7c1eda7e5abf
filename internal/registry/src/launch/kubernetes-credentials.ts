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
