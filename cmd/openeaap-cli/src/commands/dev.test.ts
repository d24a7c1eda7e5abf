import { mkdir, mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, test } from 'vitest';
import { runInProcess } from '../testing/run-in-process.ts';

/** An installation whose server is `script`. */
async function install(script: string | null): Promise<{ readonly root: string; readonly programFolder: URL }> {
  const root = await mkdtemp(path.join(tmpdir(), 'cli-dev-'));
  const programFolder = path.join(root, 'cmd', 'openeaap-cli', 'dist');
  const entry = path.join(root, 'cmd', 'openeaap-server', 'dist');
  await mkdir(programFolder, { recursive: true });
  await mkdir(entry, { recursive: true });
  if (script !== null) await writeFile(path.join(entry, 'main.js'), script);
  return { root, programFolder: pathToFileURL(`${programFolder}/`) };
}

test('dev starts the server beside it with the flags after --', async () => {
  const { root, programFolder } = await install("require('fs').writeFileSync('args.json', JSON.stringify(process.argv.slice(2)))");
  const outcome = await runInProcess(['dev', '--data-dir', 'state', '--json', '--', '--port', '0'], { programFolder, cwd: root });
  expect(outcome.exitCode).toBe(0);
  expect(JSON.parse(await readFile(path.join(root, 'args.json'), 'utf8'))).toEqual(['--data-dir', 'state', '--port', '0']);
  expect(outcome.stdout.trim().split('\n').map((line) => (JSON.parse(line) as { event: string }).event)).toEqual(['started', 'exited']);
});

test('a server that fails makes dev fail', async () => {
  const { root, programFolder } = await install('process.exit(3)');
  expect(await runInProcess(['dev'], { programFolder, cwd: root })).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('exit code 3') });
});

test('SIGTERM is handed on, and a server that drains is a success', async () => {
  const { root, programFolder } = await install("process.on('SIGTERM', () => process.exit(0)); setInterval(() => {}, 1000); require('fs').writeFileSync('up', '')");
  const stop = new AbortController();
  const running = runInProcess(['dev'], { programFolder, cwd: root, signal: stop.signal });
  await expect.poll(() => readFile(path.join(root, 'up'), 'utf8').catch(() => null)).toBe('');
  stop.abort('SIGTERM');
  expect((await running).exitCode).toBe(0);
});

test('an installation without a server says how to get one', async () => {
  const { root, programFolder } = await install(null);
  expect(await runInProcess(['dev'], { programFolder, cwd: root })).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('npm run build') });
});
