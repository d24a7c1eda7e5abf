import 'reflect-metadata';
import { webcrypto } from 'node:crypto';
import * as x509 from '@peculiar/x509';

export interface Certificates {
  readonly ca: string;
  readonly server: { readonly cert: string; readonly key: string };
  readonly client: { readonly cert: string; readonly key: string };
}

/** An authority, a server at 127.0.0.1 and a client, of this hour only. */
export async function makeCertificates(): Promise<Certificates> {
  const authority = await newKeys();
  const ca = await x509.X509CertificateGenerator.createSelfSigned({
    ...lifetime(), name: 'CN=Test authority', serialNumber: '01', keys: authority, signingAlgorithm: ALGORITHM,
    extensions: [new x509.BasicConstraintsExtension(true, 1, true), new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign, true)],
  });
  const issue = async (name: string, serialNumber: string): Promise<{ readonly cert: string; readonly key: string }> => {
    const keys = await newKeys();
    const cert = await x509.X509CertificateGenerator.create({
      ...lifetime(), subject: `CN=${name}`, issuer: ca.subject, serialNumber, publicKey: keys.publicKey, signingKey: authority.privateKey, signingAlgorithm: ALGORITHM,
      extensions: [new x509.SubjectAlternativeNameExtension([{ type: 'ip', value: '127.0.0.1' }])],
    });
    return { cert: cert.toString('pem'), key: toPem(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey)) };
  };
  return { ca: ca.toString('pem'), server: await issue('server', '02'), client: await issue('client', '03') };
}

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };

function newKeys(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
}

function lifetime(): { readonly notBefore: Date; readonly notAfter: Date } {
  const now = Date.now();
  return { notBefore: new Date(now - 60_000), notAfter: new Date(now + 3_600_000) };
}

function toPem(pkcs8: ArrayBuffer): string {
  return `-----BEGIN PRIVATE KEY-----\n${(Buffer.from(pkcs8).toString('base64').match(/.{1,64}/g) ?? []).join('\n')}\n-----END PRIVATE KEY-----\n`;
}
