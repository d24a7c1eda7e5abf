import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import type { JsonObject, JsonValue } from '@openeaap/kernel';
import { PlatformError, isJsonObject } from '@openeaap/kernel';
import type { KubernetesCredentials } from './kubernetes-credentials.ts';

type Options = Awaited<ReturnType<KubernetesCredentials['options']>>;

export interface KubeconfigContext {
  /** What a program that knows the credentials inherits: PATH, HOME and what else it needs. */
  readonly environment: Readonly<Record<string, string>>;
  /** null: the `current-context` of the file. */
  readonly context: string | null;
}

/**
 * By a kubeconfig file: `config` is what stands in it, parsed; `folder` where it lies. Tokens, files with tokens, client
 * certificates and programs (`exec`) are known. Errors: invalid_input that names the field and the cure.
 */
export function kubeconfigCredentials(config: unknown, folder: string, { environment, context }: KubeconfigContext): KubernetesCredentials {
  if (!isJsonObject(config) || config['kind'] !== 'Config') throw refuse('is no kubeconfig file', 'kind');
  const contextName = context ?? text(config['current-context']);
  const chosen = find(config, 'contexts', 'context', contextName);
  const clusterName = text(chosen['cluster']);
  const userName = text(chosen['user']);
  const cluster = find(config, 'clusters', 'cluster', clusterName);
  const user = find(config, 'users', 'user', userName);
  const server = checkServer(text(cluster['server']), clusterName);
  if (cluster['insecure-skip-tls-verify'] === true) throw refuse(`has insecure-skip-tls-verify for the cluster "${clusterName}": anybody could take its place. Put its authority into certificate-authority-data`, 'clusters');
  if (text(cluster['proxy-url']) !== '') throw refuse(`has a proxy-url for the cluster "${clusterName}", which is not supported`, 'clusters');
  const identify = toIdentity(user, userName, folder, environment);
  const serverName = text(cluster['tls-server-name']);
  return {
    server,
    options: async () => {
      const ca = await readEither(cluster, 'certificate-authority', folder);
      return { ...(ca === null ? {} : { ca }), ...(serverName === '' ? {} : { servername: serverName }), ...(await identify()) };
    },
  };
}

function checkServer(url: string, cluster: string): URL {
  if (!URL.canParse(url) || new URL(url).protocol !== 'https:') throw refuse(`has the server "${url}" for the cluster "${cluster}". It must be https`, 'clusters');
  return new URL(url);
}

function toIdentity(user: JsonObject, name: string, folder: string, environment: Readonly<Record<string, string>>): () => Promise<Options> {
  if (user['auth-provider'] !== undefined) throw refuse(`has an auth-provider for the user "${name}", which Kubernetes has given up. Use exec`, 'users');
  if (isJsonObject(user['exec'])) return fromProgram(user['exec'], environment, folder);
  const [token, tokenFile] = [text(user['token']), text(user['tokenFile'])];
  const hasCertificate = ['client-certificate', 'client-certificate-data'].some((field) => text(user[field]) !== '');
  if (token === '' && tokenFile === '' && !hasCertificate) throw refuse(`is of no use: its user "${name}" has no token, tokenFile, client-certificate or exec`, 'users');
  return async () => {
    // A file is read each time: whoever writes it puts a new token there before the old one ends.
    const bearer = tokenFile === '' ? token : (await read(path.resolve(folder, tokenFile))).trim();
    const [cert, key] = [await readEither(user, 'client-certificate', folder), await readEither(user, 'client-key', folder)];
    return { ...(bearer === '' ? {} : { headers: { authorization: `Bearer ${bearer}` } }), ...(cert === null || key === null ? {} : { cert, key }) };
  };
}

/** A credential is asked for anew a little before its end. */
const EARLY_MS = 60_000;
const PROGRAM_MS = 30_000;
const PROGRAM_BYTES = 1_048_576;

/** A program that prints an ExecCredential (client.authentication.k8s.io). */
function fromProgram(exec: JsonObject, environment: Readonly<Record<string, string>>, folder: string): () => Promise<Options> {
  const command = text(exec['command']);
  const program = command.includes('/') ? path.resolve(folder, command) : command;
  const args = list(exec['args']).map((arg) => text(arg));
  const own = Object.fromEntries(list(exec['env']).flatMap((variable) => (isJsonObject(variable) ? [[text(variable['name']), text(variable['value'])]] : [])));
  const info = JSON.stringify({ apiVersion: text(exec['apiVersion']), kind: 'ExecCredential', spec: { interactive: false } });
  let known: { readonly options: Options; readonly untilMs: number } | null = null;
  return async () => {
    if (known !== null && Date.now() < known.untilMs) return known.options;
    const status = parseCredential(await run(program, args, { ...environment, ...own, KUBERNETES_EXEC_INFO: info }), program);
    const [token, cert, key, until] = ['token', 'clientCertificateData', 'clientKeyData', 'expirationTimestamp'].map((field) => text(status[field]));
    const options: Options = { ...(token === undefined || token === '' ? {} : { headers: { authorization: `Bearer ${token}` } }), ...(cert === undefined || cert === '' ? {} : { cert, key }) };
    known = { options, untilMs: until === undefined || until === '' ? Number.POSITIVE_INFINITY : Date.parse(until) - EARLY_MS };
    return options;
  };
}

function run(program: string, args: readonly string[], env: Readonly<Record<string, string>>): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(program, [...args], { env: { ...env }, timeout: PROGRAM_MS, maxBuffer: PROGRAM_BYTES }, (error, stdout, stderr) => {
      if (error === null) return resolve(stdout);
      const how = typeof error.code === 'number' ? `exit code ${error.code}` : (error.code ?? 'no answer in time');
      reject(new PlatformError('unavailable', `The program ${program} of the kubeconfig file gave no credentials (${how})${stderr.trim() === '' ? '' : `: ${stderr.trim().slice(0, 500)}`}.`, { cause: error }));
    });
  });
}

function parseCredential(output: string, program: string): JsonObject {
  try {
    const credential: unknown = JSON.parse(output);
    if (isJsonObject(credential) && isJsonObject(credential['status'])) return credential['status'];
  } catch {
    // Told below.
  }
  throw new PlatformError('unavailable', `The program ${program} of the kubeconfig file printed no ExecCredential.`);
}

/** `FIELD-data` holds it in Base64, `FIELD` names a file; null: neither is there. */
async function readEither(from: JsonObject, field: string, folder: string): Promise<string | null> {
  const [data, file] = [text(from[`${field}-data`]), text(from[field])];
  if (data !== '') return Buffer.from(data, 'base64').toString('utf8');
  return file === '' ? null : read(path.resolve(folder, file));
}

async function read(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (thrown) {
    throw new PlatformError('unavailable', `The file ${file}, which the kubeconfig file names, cannot be read.`, { cause: thrown });
  }
}

function find(config: JsonObject, collection: string, field: string, name: string): JsonObject {
  const entry = list(config[collection]).find((item) => isJsonObject(item) && item['name'] === name);
  if (isJsonObject(entry) && isJsonObject(entry[field])) return entry[field];
  throw refuse(`has no ${field} "${name}"${field === 'context' ? '. Choose one with `kubectl config use-context`' : ''}`, collection);
}

const refuse = (what: string, field: string): PlatformError => new PlatformError('invalid_input', `The kubeconfig file ${what}.`, { details: { field } });
const list = (value: JsonValue | undefined): readonly JsonValue[] => (Array.isArray(value) ? (value as readonly JsonValue[]) : []);
const text = (value: JsonValue | undefined): string => (typeof value === 'string' ? value : '');
