import { generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

export interface PemPair {
  readonly cert: string;
  readonly key: string;
}

export interface TestCertificates {
  readonly ca: string;
  readonly server: PemPair;
  readonly client: PemPair;
}

const HOUR_MS = 3_600_000;

/**
 * An authority that nobody else trusts, and a certificate of it for each side; good for an hour.
 * X.509 version 3 (RFC 5280) with ECDSA on P-256, written out here, since that is less than a library.
 */
export function issueCertificates(serverName: string, now: Date): TestCertificates {
  const authority = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const issuer = 'OpenEAAP conformance authority';
  const ca = certify({ subject: issuer, issuer, publicKey: authority.publicKey, now, extensions: [BASIC_CONSTRAINTS_CA, keyUsage(0x06, 1)] }, authority.privateKey);
  const issue = (subject: string, purpose: string): PemPair => {
    const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const extensions = [BASIC_CONSTRAINTS_LEAF, keyUsage(0x80, 7), extension('2.5.29.37', false, sequence(oid(purpose))), extension('2.5.29.17', false, sequence(tlv(0x82, Buffer.from(subject))))];
    return { cert: certify({ subject, issuer, publicKey: keys.publicKey, now, extensions }, authority.privateKey), key: String(keys.privateKey.export({ type: 'pkcs8', format: 'pem' })) };
  };
  return { ca, server: issue(serverName, '1.3.6.1.5.5.7.3.1'), client: issue('control-plane.conformance.test', '1.3.6.1.5.5.7.3.2') };
}

interface Claims {
  readonly subject: string;
  readonly issuer: string;
  readonly publicKey: KeyObject;
  readonly now: Date;
  readonly extensions: readonly Buffer[];
}

/** A certificate in PEM, signed by the authority's key. */
function certify({ subject, issuer, publicKey, now, extensions }: Claims, key: KeyObject): string {
  const algorithm = sequence(oid('1.2.840.10045.4.3.2'));
  const validity = sequence(time(now.getTime() - HOUR_MS), time(now.getTime() + HOUR_MS));
  const serial = tlv(0x02, Buffer.concat([Buffer.from([0x01]), randomBytes(8)]));
  const body = sequence(tlv(0xa0, tlv(0x02, Buffer.from([2]))), serial, algorithm, name(issuer), validity, name(subject), publicKey.export({ type: 'spki', format: 'der' }), tlv(0xa3, sequence(...extensions)));
  const signature = tlv(0x03, Buffer.concat([Buffer.from([0]), sign('sha256', body, key)]));
  const base64 = sequence(body, algorithm, signature).toString('base64').replaceAll(/.{1,64}/g, '$&\n');
  return `-----BEGIN CERTIFICATE-----\n${base64}-----END CERTIFICATE-----\n`;
}

/** Tag, length, value: the one form of DER. */
function tlv(tag: number, ...parts: readonly Buffer[]): Buffer {
  const value = Buffer.concat(parts);
  const length = value.length < 0x80 ? [value.length] : value.length < 0x1_00 ? [0x81, value.length] : [0x82, value.length >> 8, value.length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...length]), value]);
}

function sequence(...parts: readonly Buffer[]): Buffer {
  return tlv(0x30, ...parts);
}

function oid(text: string): Buffer {
  const [first = 0, second = 0, ...rest] = text.split('.').map(Number);
  return tlv(0x06, Buffer.from([first * 40 + second, ...rest.flatMap(base128)]));
}

function base128(value: number): readonly number[] {
  const groups = [value & 0x7f];
  for (let left = value >> 7; left > 0; left >>= 7) groups.unshift(0x80 | (left & 0x7f));
  return groups;
}

/** UTCTime, which is right until 2049. */
const time = (ms: number): Buffer => tlv(0x17, Buffer.from(new Date(ms).toISOString().replace(/^\d\d(\d\d)-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d).*$/, '$1$2$3$4$5$6Z')));

const name = (commonName: string): Buffer => sequence(tlv(0x31, sequence(oid('2.5.4.3'), tlv(0x0c, Buffer.from(commonName)))));

function extension(id: string, critical: boolean, value: Buffer): Buffer {
  return sequence(oid(id), ...(critical ? [tlv(0x01, Buffer.from([0xff]))] : []), tlv(0x04, value));
}

/** A bit string of one byte. */
function keyUsage(bits: number, unused: number): Buffer {
  return extension('2.5.29.15', true, tlv(0x03, Buffer.from([unused, bits])));
}

const BASIC_CONSTRAINTS_CA = extension('2.5.29.19', true, sequence(tlv(0x01, Buffer.from([0xff]))));
const BASIC_CONSTRAINTS_LEAF = extension('2.5.29.19', true, sequence());

/** Writes PEM texts to files that only we can read, for as long as `use` lasts. */
export async function withPemFiles<T>(texts: PemPair & { readonly ca?: string }, use: (files: PemPair & { readonly ca?: string }) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(path.join(tmpdir(), 'openeaap-tls-'));
  try {
    const files = await Promise.all(
      Object.entries(texts).map(async ([name, text]) => {
        const file = path.join(folder, `${name}.pem`);
        await writeFile(file, text, { mode: 0o600 });
        return [name, file] as const;
      }),
    );
    return await use(Object.fromEntries(files) as unknown as PemPair & { readonly ca?: string });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
