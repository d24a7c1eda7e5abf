import { X509Certificate, createHash, createPrivateKey, generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { PlatformError } from '@openeaap/kernel';
import { bitString, boolean, context, integer, octetString, oid, sequence, set, time, utf8String } from './authority-der.ts';

/** A certificate and its key as PEM texts. The key is PKCS #8 and secret. */
export interface CertificatePair {
  readonly cert: string;
  readonly key: string;
}

/**
 * A small certificate authority of our own, for the connections between the control plane and the plugins that it
 * starts. Each side proves to the other that the same authority made its certificate; nobody else knows it.
 */
export interface Authority {
  /** Whom both sides believe, PEM. */
  readonly cert: string;
  /** For a plugin: it answers by these names. */
  readonly issueServer: (dnsNames: readonly string[]) => CertificatePair;
  /** For the control plane. */
  readonly issueClient: (name: string) => CertificatePair;
  /** Was this made by this authority, is it good for all these names, and not near its end? */
  readonly isFresh: (cert: string, dnsNames: readonly string[]) => boolean;
}

export interface AuthorityOptions {
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Of what is issued. Not set: a year. */
  readonly validityMs?: number;
}

const DAY_MS = 86_400_000;
const VALIDITY_MS = { authority: 3_650 * DAY_MS, leaf: 365 * DAY_MS } as const;
/** Clocks differ; a certificate is good from a little before it was made. */
const BACKDATE_MS = 3_600_000;
/** A certificate is made anew when less than this part of its time is left. */
const RENEW_PART = 1 / 3;

/** A new authority. The caller keeps the pair where only the control plane reads it, and gives it to `loadAuthority`. ECDSA P-256. */
export function createAuthority(name: string, now: () => number): CertificatePair {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const from = now() - BACKDATE_MS;
  const constraints = extension(OIDS.basicConstraints, sequence(boolean(true), integer(0)), true);
  const usage = extension(OIDS.keyUsage, bitString(Buffer.from([0b0000_0110]), 1), true);
  const cert = issue({ subject: nameOf(name), issuer: nameOf(name), publicKey, from, until: from + VALIDITY_MS.authority, extensions: [constraints, usage, subjectKeyIdentifier(publicKey)] }, privateKey);
  return { cert, key: toPem(privateKey) };
}

/** Errors: invalid_input when the pair is no authority, its parts do not belong together, or its time is over. */
export function loadAuthority(pair: CertificatePair, options: AuthorityOptions): Authority {
  const { certificate, key } = parsePair(pair);
  if (Date.parse(certificate.validTo) <= options.now()) throw new PlatformError('invalid_input', `The authority for plugins has expired on ${certificate.validTo}. Remove its files; a new one is made at the next start, and plugins get new certificates.`);
  const issuer = subjectDer(certificate);
  const leaf = (name: string, usage: string, dnsNames: readonly string[]): CertificatePair => {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const from = options.now() - BACKDATE_MS;
    // Nothing outlives who made it.
    const until = Math.min(options.now() + (options.validityMs ?? VALIDITY_MS.leaf), Date.parse(certificate.validTo));
    const extensions = [
      extension(OIDS.basicConstraints, sequence(), true),
      extension(OIDS.keyUsage, bitString(Buffer.from([0b1000_0000]), 7), true),
      extension(OIDS.extendedKeyUsage, sequence(oid(usage)), false),
      subjectKeyIdentifier(publicKey),
      authorityKeyIdentifier(certificate.publicKey),
      ...(dnsNames.length === 0 ? [] : [extension(OIDS.subjectAltName, sequence(...dnsNames.map((dnsName) => context(2, Buffer.from(dnsName, 'ascii')))), false)]),
    ];
    return { cert: issue({ subject: nameOf(name), issuer, publicKey, from, until, extensions }, key), key: toPem(privateKey) };
  };
  return {
    cert: pair.cert,
    issueServer: (dnsNames) => leaf(checkNames(dnsNames), OIDS.serverAuth, dnsNames),
    issueClient: (name) => leaf(name, OIDS.clientAuth, []),
    isFresh: (cert, dnsNames) => isFreshCertificate(cert, { dnsNames, authority: pair.cert, now: options.now() }),
  };
}

function parsePair(pair: CertificatePair): { readonly certificate: X509Certificate; readonly key: KeyObject } {
  const fail = (what: string, cause?: unknown): PlatformError => new PlatformError('invalid_input', `The authority for plugins cannot be used: ${what}. Restore its files, or remove both to have a new one made.`, { cause });
  let certificate: X509Certificate;
  let key: KeyObject;
  try {
    certificate = new X509Certificate(pair.cert);
    key = createPrivateKey(pair.key);
  } catch (thrown) {
    throw fail('its certificate or its key is no PEM', thrown);
  }
  if (!certificate.ca) throw fail('its certificate is not one of an authority');
  if (!certificate.checkPrivateKey(key)) throw fail('its key does not belong to its certificate');
  if (key.asymmetricKeyDetails?.namedCurve !== 'prime256v1') throw fail('its key is not one of the curve P-256');
  return { certificate, key };
}

/** Was `cert` made by the authority with this certificate, is it good for all the names, and not near its end? */
export function isFreshCertificate(cert: string, { dnsNames, authority, now }: { readonly dnsNames: readonly string[]; readonly authority: string; readonly now: number }): boolean {
  try {
    const [certificate, issuer] = [new X509Certificate(cert), new X509Certificate(authority)];
    const [from, until] = [Date.parse(certificate.validFrom), Date.parse(certificate.validTo)];
    if (!certificate.checkIssued(issuer) || !certificate.verify(issuer.publicKey)) return false;
    if (dnsNames.some((name) => certificate.checkHost(name, { subject: 'never' }) === undefined)) return false;
    return now >= from && until - now > (until - from) * RENEW_PART;
  } catch {
    // What cannot be read is made anew.
    return false;
  }
}

const DNS_NAME = /^(?=.{1,253}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$/;

function checkNames(dnsNames: readonly string[]): string {
  const wrong = dnsNames.find((name) => !DNS_NAME.test(name));
  if (wrong !== undefined) throw new PlatformError('invalid_input', `"${wrong}" is no DNS name: lower-case letters, digits, - and dots.`);
  const [first] = dnsNames;
  if (first === undefined) throw new PlatformError('invalid_input', 'A certificate of a server needs a DNS name.');
  // A common name has 64 characters at most (RFC 5280, ub-common-name); who checks reads the alternative names.
  return first.slice(0, 64);
}

const OIDS = {
  ecdsaWithSha256: '1.2.840.10045.4.3.2',
  commonName: '2.5.4.3',
  subjectKeyIdentifier: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  authorityKeyIdentifier: '2.5.29.35',
  extendedKeyUsage: '2.5.29.37',
  serverAuth: '1.3.6.1.5.5.7.3.1',
  clientAuth: '1.3.6.1.5.5.7.3.2',
} as const;

interface Contents {
  readonly subject: Buffer;
  readonly issuer: Buffer;
  readonly publicKey: KeyObject;
  readonly from: number;
  readonly until: number;
  readonly extensions: readonly Buffer[];
}

/** RFC 5280, section 4.1. The signature is made by the issuer's key. */
function issue({ subject, issuer, publicKey, from, until, extensions }: Contents, key: KeyObject): string {
  const algorithm = sequence(oid(OIDS.ecdsaWithSha256));
  const body = sequence(
    context(0, integer(2), 'constructed'),
    integer(serialNumber()),
    algorithm,
    issuer,
    sequence(time(from), time(until)),
    subject,
    publicKey.export({ type: 'spki', format: 'der' }),
    context(3, sequence(...extensions), 'constructed'),
  );
  const certificate = sequence(body, algorithm, bitString(sign('sha256', body, key), 0));
  return `-----BEGIN CERTIFICATE-----\n${certificate.toString('base64').replaceAll(/.{64}(?=.)/g, '$&\n')}\n-----END CERTIFICATE-----\n`;
}

/** 16 random bytes, positive and without leading zeros. */
function serialNumber(): Buffer {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x3f) | 0x40;
  return bytes;
}

const toPem = (key: KeyObject): string => key.export({ type: 'pkcs8', format: 'pem' }).toString();

const nameOf = (commonName: string): Buffer => sequence(set(sequence(oid(OIDS.commonName), utf8String(commonName))));

/** The subject as it stands in an authority that we made: one common name. */
const subjectDer = (certificate: X509Certificate): Buffer => nameOf(certificate.subject.replace(/^CN=/, ''));

const extension = (id: string, value: Buffer, isCritical: boolean): Buffer => sequence(oid(id), ...(isCritical ? [boolean(true)] : []), octetString(value));

/** RFC 7093, section 2, method 1: the first 160 bits of the SHA-256 of the key. */
function keyIdOf(publicKey: KeyObject): Buffer {
  const { x = '', y = '' } = publicKey.export({ format: 'jwk' });
  const point = Buffer.concat([Buffer.from([4]), Buffer.from(x, 'base64url'), Buffer.from(y, 'base64url')]);
  return createHash('sha256').update(point).digest().subarray(0, 20);
}

const subjectKeyIdentifier = (publicKey: KeyObject): Buffer => extension(OIDS.subjectKeyIdentifier, octetString(keyIdOf(publicKey)), false);

const authorityKeyIdentifier = (publicKey: KeyObject): Buffer => extension(OIDS.authorityKeyIdentifier, sequence(context(0, keyIdOf(publicKey))), false);
