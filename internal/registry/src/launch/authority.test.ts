import { spawnSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { TLSSocket } from 'node:tls';
import { connect, createServer } from 'node:tls';
import { describe, expect, test } from 'vitest';
import { createAuthority, loadAuthority } from './authority.ts';

const NOW = Date.now();
/** How a client learns of it depends on the version of TLS and on what arrives first. */
const REFUSED = /alert|ECONNRESET|closed|socket/;
const DAY_MS = 86_400_000;
const now = (): number => NOW;
const PAIR = createAuthority('OpenEAAP plugins', now);
const NAMES = ['bridge.plugins.svc', 'bridge'];

describe('the authority for plugins', () => {
  test('is kept as two PEM texts, and loaded again it is the same', () => {
    const certificate = new X509Certificate(loadAuthority(PAIR, { now }).cert);
    expect([certificate.subject, certificate.ca]).toEqual(['CN=OpenEAAP plugins', true]);
    expect(certificate.verify(certificate.publicKey)).toBe(true);
    const leaf = loadAuthority(PAIR, { now }).issueServer(NAMES);
    expect(loadAuthority(PAIR, { now }).isFresh(leaf.cert, NAMES)).toBe(true);
  });

  test.each([
    ['no PEM', { cert: 'x', key: PAIR.key }, /no PEM/],
    ['the key of another', { cert: PAIR.cert, key: createAuthority('other', now).key }, /does not belong/],
    ['a leaf', loadAuthority(PAIR, { now }).issueClient('control plane'), /not one of an authority/],
  ])('%s is no authority', (_name, pair, message) => {
    expect(() => loadAuthority(pair, { now })).toThrow(message);
  });

  test('its end is told with the cure', () => {
    expect(() => loadAuthority(PAIR, { now: () => NOW + 3_651 * DAY_MS })).toThrow(/expired.*Remove its files/);
  });

  test('a certificate is made anew in the last third of its time, for other names, or by another authority', () => {
    const { cert } = loadAuthority(PAIR, { now }).issueServer(NAMES);
    const later = (days: number): boolean => loadAuthority(PAIR, { now: () => NOW + days * DAY_MS }).isFresh(cert, NAMES);
    expect([0, 240, 250, 400, -1].map((days) => later(days))).toEqual([true, true, false, false, false]);
    const authority = loadAuthority(PAIR, { now });
    expect(authority.isFresh(cert, ['elsewhere.plugins.svc'])).toBe(false);
    expect(authority.isFresh('garbage', NAMES)).toBe(false);
    expect(loadAuthority(createAuthority('OpenEAAP plugins', now), { now }).isFresh(cert, NAMES)).toBe(false);
    const short = loadAuthority(PAIR, { now, validityMs: DAY_MS }).issueServer(NAMES);
    expect(Date.parse(new X509Certificate(short.cert).validTo)).toBe(Math.floor((NOW + DAY_MS) / 1_000) * 1_000);
  });

  test('nothing that it makes outlives it', () => {
    const late = loadAuthority(PAIR, { now: () => NOW + 3_600 * DAY_MS });
    expect(new X509Certificate(late.issueServer(NAMES).cert).validTo).toBe(new X509Certificate(PAIR.cert).validTo);
  });

  test.each([[[]], [['']], [['*.svc']], [['a b']], [['-a']], [['A']]])('%j are no names of a server', (names) => {
    expect(() => loadAuthority(PAIR, { now }).issueServer(names)).toThrow(/DNS name/);
  });

  test.skipIf(spawnSync('openssl', ['version']).status !== 0)('OpenSSL finds nothing wrong with what it makes, for its use and no other', async () => {
    const folder = await mkdtemp(path.join(tmpdir(), 'oea-authority-'));
    try {
      const authority = loadAuthority(PAIR, { now });
      const files = { ca: PAIR.cert, server: authority.issueServer(NAMES).cert, client: authority.issueClient('control plane').cert };
      for (const [name, pem] of Object.entries(files)) await writeFile(path.join(folder, name), pem);
      const verify = (purpose: string, name: string) => spawnSync('openssl', ['verify', '-x509_strict', '-CAfile', path.join(folder, 'ca'), '-purpose', purpose, path.join(folder, name)], { encoding: 'utf8' });
      expect(verify('sslserver', 'server').stdout).toMatch(/: OK/);
      expect(verify('sslclient', 'client').stdout).toMatch(/: OK/);
      expect(verify('sslclient', 'server').status).not.toBe(0);
      expect(verify('sslserver', 'client').status).not.toBe(0);
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  test('both sides of a TLS connection believe each other, and nobody else', async () => {
    const authority = loadAuthority(PAIR, { now });
    const stranger = loadAuthority(createAuthority('OpenEAAP plugins', now), { now });
    const server = createServer({ ...authority.issueServer(NAMES), ca: authority.cert, requestCert: true, rejectUnauthorized: true, minVersion: 'TLSv1.2' }, (socket) => socket.end('hello'));
    server.on('tlsClientError', () => undefined);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const talk = async (ca: string, client: Partial<ReturnType<typeof authority.issueClient>>, servername: string): Promise<string> => {
      const socket: TLSSocket = connect({ port, host: '127.0.0.1', ca, ...client, servername });
      try {
        return String(await new Promise((resolve, reject) => socket.once('data', resolve).once('error', reject).once('end', () => reject(new Error('closed')))));
      } finally {
        socket.destroy();
      }
    };
    try {
      expect(await talk(authority.cert, authority.issueClient('control plane'), 'bridge.plugins.svc')).toBe('hello');
      await expect(talk(authority.cert, authority.issueClient('control plane'), 'other.plugins.svc')).rejects.toThrow(/altnames|Hostname/);
      await expect(talk(stranger.cert, authority.issueClient('control plane'), 'bridge')).rejects.toThrow(/certificate/);
      await expect(talk(authority.cert, stranger.issueClient('control plane'), 'bridge')).rejects.toThrow(REFUSED);
      await expect(talk(authority.cert, {}, 'bridge')).rejects.toThrow(REFUSED);
    } finally {
      server.close();
    }
  });
});
