import { toCliError } from './cli-error.ts';
import type { JsonValue } from '@openeaap/kernel';
import type { ApiClient } from './api-client.ts';
import { REQUEST_LIMITS, route } from './api-client.ts';
import type { Check } from './doctor-check.ts';
import { failed, passed, warned } from './doctor-check.ts';
import { fieldOf, listOf, textOf } from './view.ts';

const PROBE_TIMEOUT_MS = 5_000;

/** Asks the server step by step; what cannot be asked because an earlier step failed is left out. */
export async function checkServer(api: ApiClient, ownVersion: string): Promise<readonly Check[]> {
  const reached = await checkReached(api);
  if (reached.status === 'problem') return [reached];
  const ready = await checkReady(api);
  return [reached, ready, await checkVersion(api, ownVersion), await checkDatabase(api), await checkPolicy(api), ...(await readDiagnosis(api))];
}

async function checkReached(api: ApiClient): Promise<Check> {
  const where = `${api.connection.url.href} (from ${api.connection.source})`;
  try {
    await drained(api, 'healthz');
    return passed('server', `${where} answers`);
  } catch (thrown) {
    const error = toCliError(thrown);
    return failed('server', error.message, error.cure ?? 'Is this the address of an OpenEAAP server?');
  }
}

async function checkReady(api: ApiClient): Promise<Check> {
  try {
    await drained(api, 'readyz');
    return passed('readyz', 'the server takes requests');
  } catch (thrown) {
    return failed('readyz', toCliError(thrown).message, 'Look at the log of the server; it says which part is missing.');
  }
}

async function checkVersion(api: ApiClient, ownVersion: string): Promise<Check> {
  try {
    const { body } = await api.request({ path: '', timeoutMs: PROBE_TIMEOUT_MS });
    const version = textOf(body, 'version');
    return version === ownVersion
      ? passed('version', `server and command line are ${version}`)
      : warned('version', `server ${version}, command line ${ownVersion}`, 'Use the command line that came with the server.');
  } catch (thrown) {
    return warned('version', `unknown: ${toCliError(thrown).message}`, 'Use the command line that came with the server.');
  }
}

/** Reads a row, which proves the key and the database at once. */
async function checkDatabase(api: ApiClient): Promise<Check> {
  try {
    await api.request({ path: route('runs'), query: { limit: 1 }, timeoutMs: PROBE_TIMEOUT_MS });
    return passed('database', 'runs can be read');
  } catch (thrown) {
    const error = toCliError(thrown);
    if (error.code === 'unauthenticated') return failed('api key', error.message, error.cure ?? 'Give a key by OPENEAAP_API_KEY.');
    if (error.code === 'permission_denied') return warned('database', `not checked: ${error.message}`, 'Use a key that has the scope runs:read.');
    return failed('database', error.message, 'Look at the log of the server. With DATABASE_URL set, check that database.');
  }
}

async function checkPolicy(api: ApiClient): Promise<Check> {
  try {
    const { body } = await api.request({ path: route('policies'), timeoutMs: PROBE_TIMEOUT_MS });
    if (typeof fieldOf(body, 'version') === 'string') return passed('policy', `version ${textOf(body, 'version')}, ${listOf(body, 'files').length} files`);
    return failed('policy', 'none is loaded', 'Put policy files into the policies folder and run "openeaap policy reload".');
  } catch (thrown) {
    const error = toCliError(thrown);
    return warned('policy', `not checked: ${error.message}`, error.cure ?? 'Use a key that has the scope policies:read.');
  }
}

/** What the server sees and this machine cannot. */
async function readDiagnosis(api: ApiClient): Promise<readonly Check[]> {
  try {
    const { body } = await api.request({ path: route('diagnostics'), timeoutMs: REQUEST_LIMITS.longTimeoutMs });
    return listOf(body, 'checks').map((check) => ({ name: textOf(check, 'name'), status: toStatus(fieldOf(check, 'status')), detail: textOf(check, 'summary'), cure: fieldOf(check, 'cure') === null ? null : textOf(check, 'cure') }));
  } catch (thrown) {
    const error = toCliError(thrown);
    const cure = error.code === 'permission_denied' ? 'Use a key that has the scope system:read.' : 'Ask the database itself: openeaap-server doctor, on a machine that has DATABASE_URL or the state folder.';
    return [warned('diagnosis', `not made: ${error.message}`, cure)];
  }
}

/** A word that this program does not know is not taken for a good one. */
const toStatus = (status: JsonValue | undefined): Check['status'] => (status === 'ok' || status === 'warning' ? status : 'problem');

/** Probes may answer with anything; only their status counts. */
async function drained(api: ApiClient, path: string): Promise<void> {
  const response = await api.open({ path, timeoutMs: PROBE_TIMEOUT_MS });
  await response.body?.cancel();
}
