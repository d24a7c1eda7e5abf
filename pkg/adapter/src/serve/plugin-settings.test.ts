import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { formatListenAddress, isLocal, parseListenAddress } from './listen-address.ts';
import { loadPluginTls, pluginSettingsFromEnvironment } from './plugin-settings.ts';

describe('the environment of a plugin', () => {
  test('nothing set, or set to nothing, is loopback without a token', () => {
    const usual = { listen: '127.0.0.1:50051', name: null, token: null, tls: null };
    expect(pluginSettingsFromEnvironment({})).toEqual(usual);
    expect(pluginSettingsFromEnvironment({ OPENEAAP_PLUGIN_LISTEN: '', OPENEAAP_PLUGIN_NAME: ' ', OPENEAAP_PLUGIN_TOKEN: '', OPENEAAP_PLUGIN_TLS_CERT: '', OPENEAAP_PLUGIN_TLS_KEY: undefined })).toEqual(usual);
  });

  test('everything set is told', () => {
    expect(
      pluginSettingsFromEnvironment({ OPENEAAP_PLUGIN_LISTEN: '0.0.0.0:1', OPENEAAP_PLUGIN_NAME: 'crm', OPENEAAP_PLUGIN_TOKEN: 't0k', OPENEAAP_PLUGIN_TLS_CERT: 'c', OPENEAAP_PLUGIN_TLS_KEY: 'k', OPENEAAP_PLUGIN_TLS_CLIENT_CA: 'a' }),
    ).toEqual({ listen: '0.0.0.0:1', name: 'crm', token: 't0k', tls: { cert: 'c', key: 'k', clientCa: 'a' } });
  });

  test.each([
    [{ OPENEAAP_PLUGIN_LISTEN: '0.0.0.0:50051' }, 'OPENEAAP_PLUGIN_LISTEN', /OPENEAAP_PLUGIN_TLS_CERT/],
    [{ OPENEAAP_PLUGIN_LISTEN: '10.0.0.1:50051' }, 'OPENEAAP_PLUGIN_LISTEN', /loopback or a Unix socket only/],
    [{ OPENEAAP_PLUGIN_LISTEN: '50051' }, 'OPENEAAP_PLUGIN_LISTEN', /not HOST:PORT/],
    [{ OPENEAAP_PLUGIN_LISTEN: '127.0.0.1:99999' }, 'OPENEAAP_PLUGIN_LISTEN', /over 65535/],
    [{ OPENEAAP_PLUGIN_LISTEN: 'unix:' }, 'OPENEAAP_PLUGIN_LISTEN', /no path/],
    [{ OPENEAAP_PLUGIN_LISTEN: `unix:/${'x'.repeat(110)}` }, 'OPENEAAP_PLUGIN_LISTEN', /more than 103 bytes/],
    [{ OPENEAAP_PLUGIN_TLS_CERT: 'c' }, 'OPENEAAP_PLUGIN_TLS_KEY', /is missing/],
    [{ OPENEAAP_PLUGIN_TLS_KEY: 'k' }, 'OPENEAAP_PLUGIN_TLS_CERT', /is missing/],
    [{ OPENEAAP_PLUGIN_TLS_CLIENT_CA: 'a' }, 'OPENEAAP_PLUGIN_TLS_CERT', /is missing/],
    [{ OPENEAAP_PLUGIN_TOKEN: 'a b' }, 'OPENEAAP_PLUGIN_TOKEN', /visible ASCII/],
  ])('%j is refused by name and with the cure', (environment, field, message) => {
    expect(() => pluginSettingsFromEnvironment(environment)).toThrow(expect.objectContaining({ code: 'invalid_input', message: expect.stringMatching(message), details: { field } }));
  });
});

test.each([
  ['unix:/run/p.sock', true, 'unix:/run/p.sock'],
  ['unix:///run/p.sock', true, 'unix:/run/p.sock'],
  ['127.0.0.1:0', true, '127.0.0.1:0'],
  ['127.9.9.9:1', true, '127.9.9.9:1'],
  ['localhost:1', true, 'localhost:1'],
  ['[::1]:1', true, '[::1]:1'],
  ['[::]:1', false, '[::]:1'],
  ['0.0.0.0:1', false, '0.0.0.0:1'],
  ['127.0.0.1.example.com:1', false, '127.0.0.1.example.com:1'],
  ['plugin.internal:50051', false, 'plugin.internal:50051'],
])('%s is local: %s', (text, local, written) => {
  expect(isLocal(parseListenAddress(text))).toBe(local);
  expect(formatListenAddress(parseListenAddress(text))).toBe(written);
});

test('a file that is not there, or no PEM, is named with its variable', async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'plugin-tls-'));
  try {
    const pem = path.join(folder, 'a.pem');
    const other = path.join(folder, 'b.txt');
    await writeFile(pem, '-----BEGIN CERTIFICATE-----\n');
    await writeFile(other, 'hello');
    expect(await loadPluginTls({ cert: pem, key: pem, clientCa: null })).toMatchObject({ cert: '-----BEGIN CERTIFICATE-----\n', clientCa: null });
    await expect(loadPluginTls({ cert: pem, key: `${folder}/none`, clientCa: null })).rejects.toThrow(/^OPENEAAP_PLUGIN_TLS_KEY: .*none cannot be read/);
    await expect(loadPluginTls({ cert: pem, key: pem, clientCa: other })).rejects.toThrow(/^OPENEAAP_PLUGIN_TLS_CLIENT_CA: .*b\.txt is not a PEM file/);
  } finally {
    await rm(folder, { recursive: true });
  }
});
