import { createPrivateKey, generateKeyPairSync, randomBytes } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { chmod, mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { SignedHead } from '@openeaap/audit';
import { PlatformError } from '@openeaap/kernel';
import type { CertificatePair } from '@openeaap/registry';
import { createAuthority } from '@openeaap/registry';

/** Where a CLI on this machine finds the platform. */
export interface Connection {
  readonly url: string;
  readonly api_key: string;
}

const isMissing = (thrown: unknown): boolean => typeof thrown === 'object' && thrown !== null && 'code' in thrown && thrown.code === 'ENOENT';

export async function ensureStateFolder(dataDir: string): Promise<void> {
  await mkdir(dataDir, { recursive: true });
}

export async function readConnection(dataDir: string): Promise<Connection | null> {
  try {
    return JSON.parse(await readFile(path.join(dataDir, 'connection.json'), 'utf8')) as Connection;
  } catch {
    return null;
  }
}

export async function writeConnection(dataDir: string, connection: Connection): Promise<void> {
  await writePrivate(path.join(dataDir, 'connection.json'), `${JSON.stringify(connection, null, 2)}\n`);
}

/** A key that is made once and kept: equal values stay equal in the audit over restarts. */
export async function ensureMaskingKey(dataDir: string): Promise<string> {
  return ensureFile(path.join(dataDir, 'masking.key'), () => `${randomBytes(32).toString('base64url')}\n`).then((text) => text.trim());
}

/** The Ed25519 key that signs the heads of the audit chains. */
export async function ensureAuditKey(dataDir: string): Promise<KeyObject> {
  const pem = await ensureFile(path.join(dataDir, 'audit-signing.pem'), () => generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString());
  return createPrivateKey(pem);
}

/** The authority whose certificates the platform and the plugins that it starts show each other. */
export async function ensurePluginAuthority(dataDir: string): Promise<CertificatePair> {
  const text = await ensureFile(path.join(dataDir, 'plugin-authority.json'), () => `${JSON.stringify(createAuthority('OpenEAAP plugins', Date.now))}\n`);
  try {
    const { cert, key } = JSON.parse(text) as Partial<CertificatePair>;
    if (typeof cert === 'string' && typeof key === 'string') return { cert, key };
  } catch {
    // Said below.
  }
  throw new PlatformError('invalid_input', 'plugin-authority.json in the state folder cannot be read. Remove it; a new one is made at the next start.');
}

const HEADS_FILE = 'audit-heads.json';

/** The newest signed head of each audit chain, kept outside of the database: who cuts a chain there cannot cut it here. */
export async function readHeads(dataDir: string): Promise<readonly SignedHead[]> {
  try {
    return Object.values(JSON.parse(await readFile(path.join(dataDir, HEADS_FILE), 'utf8')) as Record<string, SignedHead>);
  } catch (thrown) {
    if (isMissing(thrown)) return [];
    throw new PlatformError('internal', `${HEADS_FILE} in the state folder cannot be read; the audit cannot be verified against it.`, { cause: thrown });
  }
}

export async function keepHead(dataDir: string, head: SignedHead): Promise<void> {
  const others = (await readHeads(dataDir)).filter((other) => other.chainId !== head.chainId);
  const byChain = Object.fromEntries([...others, head].map((each) => [each.chainId, each]));
  await writePrivate(path.join(dataDir, HEADS_FILE), `${JSON.stringify(byChain, null, 1)}\n`);
}

async function ensureFile(file: string, make: () => string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (thrown) {
    if (!isMissing(thrown)) throw thrown;
    await writePrivate(file, make());
    return readFile(file, 'utf8');
  }
}

async function writePrivate(file: string, text: string): Promise<void> {
  const temporary = `${file}.${randomBytes(4).toString('hex')}`;
  await writeFile(temporary, text, { mode: 0o600 });
  await chmod(temporary, 0o600);
  await rename(temporary, file);
}
