import { mkdtemp, mkdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, test } from 'vitest';
import { loadConnection, readEnvironment } from './config.ts';

const NONE = readEnvironment({});

async function folderWith(connection: string): Promise<string> {
  const cwd = await mkdtemp(path.join(tmpdir(), 'cli-config-'));
  await mkdir(path.join(cwd, '.openeaap'));
  await writeFile(path.join(cwd, '.openeaap', 'connection.json'), connection);
  return cwd;
}

const LOCAL = JSON.stringify({ url: 'http://127.0.0.1:8080', api_key: 'key-of-file' });

test('empty variables count as unset; NO_COLOR counts with any value', () => {
  expect(readEnvironment({ OPENEAAP_URL: '', NO_COLOR: '1' })).toEqual({ url: null, apiKey: null, dataDir: null, noColor: true });
});

test('the file of a running server is enough', async () => {
  const connection = await loadConnection({}, NONE, await folderWith(LOCAL));
  expect(connection.url.href).toBe('http://127.0.0.1:8080/');
  expect(connection.apiKey).toBe('key-of-file');
  expect(connection.source).toContain('connection.json');
});

test('flags come before the environment, and that before the file', async () => {
  const cwd = await folderWith(LOCAL);
  const environment = readEnvironment({ OPENEAAP_URL: 'http://env:1', OPENEAAP_API_KEY: 'env' });
  expect(await loadConnection({}, environment, cwd)).toMatchObject({ apiKey: 'env', source: 'OPENEAAP_URL' });
  expect(await loadConnection({ url: 'http://flag:1/base', apiKey: 'flag' }, environment, cwd)).toMatchObject({ apiKey: 'flag', source: '--url' });
});

test("the file's key goes to the file's server only", async () => {
  const cwd = await folderWith(LOCAL);
  expect((await loadConnection({ url: 'http://elsewhere.example' }, NONE, cwd)).apiKey).toBeNull();
  expect((await loadConnection({ url: 'http://127.0.0.1:8080' }, NONE, cwd)).apiKey).toBe('key-of-file');
});

test("a user's key is not sent to a distant server that only a file names", async () => {
  const cwd = await folderWith(JSON.stringify({ url: 'https://evil.example', api_key: 'x' }));
  await expect(loadConnection({ apiKey: 'mine' }, NONE, cwd)).rejects.toMatchObject({ code: 'usage' });
  expect((await loadConnection({ url: 'https://evil.example', apiKey: 'mine' }, NONE, cwd)).apiKey).toBe('mine');
});

test.each([
  ['not json', 'usage'],
  ['{}', 'usage'],
  ['{"url":"ftp://x"}', 'usage'],
  ['[]', 'usage'],
])('a damaged file %s is told, not guessed around', async (text, code) => {
  await expect(loadConnection({}, NONE, await folderWith(text))).rejects.toMatchObject({ code });
});

test('nothing at all says what was looked for and the cure', async () => {
  const cwd = await mkdtemp(path.join(tmpdir(), 'cli-config-'));
  await expect(loadConnection({}, NONE, cwd)).rejects.toMatchObject({ code: 'unreachable', message: expect.stringContaining(path.join(cwd, '.openeaap')), cure: expect.stringContaining('openeaap dev') });
});

test.each(['127.0.0.1:8080', 'file:///etc/passwd', '', 'http://user:pw@host'])('the address %j is refused', async (url) => {
  await expect(loadConnection({ url }, NONE, tmpdir())).rejects.toMatchObject({ code: 'usage' });
});

test('a key that no header can carry is refused without being shown', async () => {
  const refused = loadConnection({ url: 'http://127.0.0.1:1', apiKey: 'se cret\n' }, NONE, tmpdir());
  await expect(refused).rejects.toMatchObject({ code: 'usage', message: expect.not.stringContaining('cret') });
});

test('a key file is read and trimmed', async () => {
  const cwd = await mkdtemp(path.join(tmpdir(), 'cli-config-'));
  await writeFile(path.join(cwd, 'key'), 'abc\n');
  expect((await loadConnection({ url: 'http://127.0.0.1:1', apiKeyFile: 'key' }, NONE, cwd)).apiKey).toBe('abc');
  await expect(loadConnection({ url: 'http://127.0.0.1:1', apiKeyFile: 'gone' }, NONE, cwd)).rejects.toMatchObject({ code: 'usage' });
});
