import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { isJsonObject } from '@openeaap/kernel';
import { CliError, usageError } from './cli-error.ts';

/** What the environment says; empty variables count as unset. */
export interface Environment {
  readonly url: string | null;
  readonly apiKey: string | null;
  readonly dataDir: string | null;
  /** NO_COLOR is set, or the terminal is `dumb`. */
  readonly noColor: boolean;
}

/** The only place that reads the environment. */
export function readEnvironment(env: Readonly<Record<string, string | undefined>> = process.env): Environment {
  const read = (name: string): string | null => (env[name] === undefined || env[name] === '' ? null : env[name]);
  return {
    url: read('OPENEAAP_URL'),
    apiKey: read('OPENEAAP_API_KEY'),
    dataDir: read('OPENEAAP_DATA_DIR'),
    noColor: read('NO_COLOR') !== null || read('TERM') === 'dumb',
  };
}

export interface ConnectionFlags {
  readonly url?: string;
  readonly apiKey?: string;
  readonly apiKeyFile?: string;
  readonly dataDir?: string;
}

/** Which server, with which key, and who said so. */
export interface Connection {
  /** Ends in `/`. */
  readonly url: URL;
  readonly apiKey: string | null;
  /** Where `url` came from, for messages. */
  readonly source: string;
}

export function stateFolder(flags: ConnectionFlags, environment: Environment, cwd: string): string {
  return path.resolve(cwd, flags.dataDir ?? environment.dataDir ?? '.openeaap');
}

/**
 * Flags before environment before the state folder's `connection.json`. The file's key goes
 * only to the file's server, and a key of the user's goes to a server that only the file
 * names if that server is on this machine: a folder somebody else wrote must not collect keys.
 *
 * @throws CliError `unreachable` when no server is known, `usage` when what was given cannot be used.
 */
export async function loadConnection(flags: ConnectionFlags, environment: Environment, cwd: string): Promise<Connection> {
  const file = path.join(stateFolder(flags, environment, cwd), 'connection.json');
  const given = flags.url ?? environment.url;
  const apiKey = await givenKey(flags, environment, cwd);
  if (given !== null && given !== undefined) {
    const url = parseUrl(given);
    const source = flags.url === undefined ? 'OPENEAAP_URL' : '--url';
    if (apiKey !== null) return { url, apiKey, source };
    const written = await readConnectionFile(file).catch(() => null);
    return { url, apiKey: written !== null && written.url.href === url.href ? written.apiKey : null, source };
  }
  const written = await readConnectionFile(file);
  if (written === null) {
    throw new CliError('unreachable', `No server is known: neither --url nor OPENEAAP_URL is set, and ${file} does not exist.`, {
      cure: 'Start one with "openeaap dev", or name one with --url or --data-dir.',
    });
  }
  if (apiKey !== null && !isLoopback(written.url)) {
    throw usageError(`${file} names ${written.url.origin}, which is not this machine, so your key is not sent there.`, 'If you trust that server, name it with --url.');
  }
  return { url: written.url, apiKey: apiKey ?? written.apiKey, source: file };
}

async function givenKey(flags: ConnectionFlags, environment: Environment, cwd: string): Promise<string | null> {
  if (flags.apiKey !== undefined) return checkKey(flags.apiKey, '--api-key');
  if (flags.apiKeyFile !== undefined) {
    const file = path.resolve(cwd, flags.apiKeyFile);
    const text = await readFile(file, 'utf8').catch((cause: unknown) => {
      throw usageError(`The key file ${file} cannot be read: ${cause instanceof Error ? cause.message : String(cause)}`);
    });
    return checkKey(text.trim(), file);
  }
  return environment.apiKey === null ? null : checkKey(environment.apiKey, 'OPENEAAP_API_KEY');
}

/** A key that no header can carry would fail deep in the HTTP client, with the key in the message. */
function checkKey(key: string, source: string): string {
  if (/^[\x21-\x7e]+$/.test(key)) return key;
  throw usageError(`The API key from ${source} is empty or holds a space or a character that is not ASCII.`);
}

function parseUrl(text: string): URL {
  const url = URL.parse(text);
  if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:')) {
    throw usageError(`"${text}" is not an http or https address.`, 'Write it like http://127.0.0.1:8080.');
  }
  if (url.username !== '' || url.password !== '') throw usageError('The address must not hold a user or a password.', 'Give the key by OPENEAAP_API_KEY.');
  url.search = '';
  url.hash = '';
  if (!url.pathname.endsWith('/')) url.pathname += '/';
  return url;
}

function isLoopback(url: URL): boolean {
  return url.hostname === 'localhost' || url.hostname === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(url.hostname);
}

/** null: there is no such file. */
async function readConnectionFile(file: string): Promise<{ readonly url: URL; readonly apiKey: string | null } | null> {
  const cure = 'Restart the server, which writes it anew, or name the server with --url.';
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? cause.code : null;
    if (code === 'ENOENT' || code === 'ENOTDIR') return null;
    throw new CliError('usage', `${file} cannot be read (${String(code)}).`, { cure: 'It belongs to the user who runs the server: run as that user, or give --url and a key.', cause });
  }
  const parsed = parseJson(text);
  if (!isJsonObject(parsed) || typeof parsed.url !== 'string') throw usageError(`${file} is damaged: it holds no url.`, cure);
  return { url: parseUrl(parsed.url), apiKey: typeof parsed.api_key === 'string' ? checkKey(parsed.api_key, file) : null };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return null;
  }
}
