import { readFile } from 'node:fs/promises';
import { PlatformError } from '@openeaap/kernel';
import { isLocal, parseListenAddress } from './listen-address.ts';

/** What a plugin is told by whoever starts it. */
export interface PluginSettings {
  readonly listen: string;
  /** null: the plugin's own name. */
  readonly name: string | null;
  /** null: calls are not asked for one. */
  readonly token: string | null;
  /** null: plain text. */
  readonly tls: PluginTlsFiles | null;
}

/** Paths of PEM files. */
export interface PluginTlsFiles {
  readonly cert: string;
  readonly key: string;
  /** null: clients need no certificate. */
  readonly clientCa: string | null;
}

/** PEM texts. */
export interface PluginTls {
  readonly cert: string;
  readonly key: string;
  readonly clientCa: string | null;
}

const DEFAULT_LISTEN = '127.0.0.1:50051';

/** The environment of docs/plugin-protocol.md; an empty variable is one that is not set. Errors: invalid_input that names the variable. */
export function pluginSettingsFromEnvironment(environment: Readonly<Record<string, string | undefined>>): PluginSettings {
  const read = (name: string): string | null => environment[name]?.trim() || null;
  const listen = read('OPENEAAP_PLUGIN_LISTEN') ?? DEFAULT_LISTEN;
  const tls = tlsFiles(read('OPENEAAP_PLUGIN_TLS_CERT'), read('OPENEAAP_PLUGIN_TLS_KEY'), read('OPENEAAP_PLUGIN_TLS_CLIENT_CA'));
  if (tls === null && !isLocal(parseListenAddress(listen))) throw plainTextBeyondLoopback(listen);
  return { listen, name: read('OPENEAAP_PLUGIN_NAME'), token: tokenOf(read('OPENEAAP_PLUGIN_TOKEN')), tls };
}

export function plainTextBeyondLoopback(listen: string): PlatformError {
  return new PlatformError(
    'invalid_input',
    `Without a certificate a plugin listens on loopback or a Unix socket only, and ${listen} is neither. Set OPENEAAP_PLUGIN_TLS_CERT and OPENEAAP_PLUGIN_TLS_KEY, or OPENEAAP_PLUGIN_LISTEN=127.0.0.1:50051.`,
    { details: { field: 'OPENEAAP_PLUGIN_LISTEN' } },
  );
}

function tlsFiles(cert: string | null, key: string | null, clientCa: string | null): PluginTlsFiles | null {
  if (cert !== null && key !== null) return { cert, key, clientCa };
  const missing = (field: string, because: string): PlatformError => new PlatformError('invalid_input', `${field} is missing: ${because} is set, and one is nothing without the other.`, { details: { field } });
  if (cert !== null) throw missing('OPENEAAP_PLUGIN_TLS_KEY', 'OPENEAAP_PLUGIN_TLS_CERT');
  if (key !== null) throw missing('OPENEAAP_PLUGIN_TLS_CERT', 'OPENEAAP_PLUGIN_TLS_KEY');
  if (clientCa !== null) throw missing('OPENEAAP_PLUGIN_TLS_CERT', 'OPENEAAP_PLUGIN_TLS_CLIENT_CA');
  return null;
}

/** What no header could carry would never match, and lock everybody out. */
function tokenOf(token: string | null): string | null {
  if (token !== null && !/^[\x21-\x7e]+$/.test(token)) throw new PlatformError('invalid_input', 'OPENEAAP_PLUGIN_TOKEN may have visible ASCII characters only.', { details: { field: 'OPENEAAP_PLUGIN_TOKEN' } });
  return token;
}

/** Reads the PEM files. Errors: invalid_input that names the variable and the file. */
export async function loadPluginTls(files: PluginTlsFiles): Promise<PluginTls> {
  const [cert, key, clientCa] = await Promise.all([
    readPem('OPENEAAP_PLUGIN_TLS_CERT', files.cert),
    readPem('OPENEAAP_PLUGIN_TLS_KEY', files.key),
    files.clientCa === null ? null : readPem('OPENEAAP_PLUGIN_TLS_CLIENT_CA', files.clientCa),
  ]);
  return { cert, key, clientCa };
}

async function readPem(field: string, file: string): Promise<string> {
  try {
    const text = await readFile(file, 'utf8');
    if (text.includes('-----BEGIN ')) return text;
  } catch (thrown) {
    throw new PlatformError('invalid_input', `${field}: ${file} cannot be read.`, { cause: thrown, details: { field } });
  }
  throw new PlatformError('invalid_input', `${field}: ${file} is not a PEM file.`, { details: { field } });
}
