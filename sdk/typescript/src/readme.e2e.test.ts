import { execFileSync, spawn, spawnSync } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Server } from './testing/start-server.ts';
import { startServer } from './testing/start-server.ts';

const PACKAGE = path.resolve(import.meta.dirname, '..');
const MODULES = path.resolve(PACKAGE, '../../node_modules');

let folder: string;
let server: Server;
let plugin: ChildProcess | undefined;
let address: string;

/** A code block of the README by the comment in its first line. */
async function blockOf(file: string): Promise<string> {
  const readme = await readFile(path.join(PACKAGE, 'README.md'), 'utf8');
  const found = [...readme.matchAll(/```(?:js|yaml)\n((?:\/\/|#) (\S+)\n[\s\S]*?)```/g)].find(([, , name]) => name === file)?.[1];
  if (found === undefined) throw new Error(`the README has no block ${file}`);
  return found;
}

/** The packed package in an empty folder, with what it declares and zod beside it, and nothing else of ours. */
async function installPacked(): Promise<void> {
  const tarball = execFileSync(process.execPath, [path.join(PACKAGE, 'pack.mjs'), '--tarball', folder], { encoding: 'utf8' }).trim();
  const installed = path.join(folder, 'node_modules/@openeaap/sdk');
  await mkdir(installed, { recursive: true });
  execFileSync('tar', ['-xzf', tarball, '-C', installed, '--strip-components', '1']);
  const { dependencies } = JSON.parse(await readFile(path.join(installed, 'package.json'), 'utf8')) as { readonly dependencies: Readonly<Record<string, string>> };
  for (const name of [...Object.keys(dependencies), 'zod']) {
    const link = path.join(folder, 'node_modules', name);
    await mkdir(path.dirname(link), { recursive: true });
    await symlink(path.join(MODULES, name), link);
  }
}

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'openeaap-readme-'));
  await installPacked();
  server = await startServer(await blockOf('my-tools.yaml'));
  for (const file of ['my-tools.mjs', 'ask.mjs']) await writeFile(path.join(folder, file), await blockOf(file));
  const started = spawn(process.execPath, ['my-tools.mjs'], { cwd: folder, env: { PATH: process.env['PATH'], OPENEAAP_PLUGIN_LISTEN: '127.0.0.1:0' }, stdio: ['ignore', 'pipe', 'inherit'] });
  plugin = started;
  address = await new Promise<string>((resolve, reject) => {
    started.stdout.on('data', (chunk: Buffer) => resolve((JSON.parse(chunk.toString()) as { readonly listen: string }).listen));
    started.once('close', (code) => reject(new Error(`the plugin of the README ended with ${String(code)}`)));
  });
});
afterAll(async () => {
  plugin?.kill('SIGKILL');
  await server?.stop();
  if (folder !== undefined) await rm(folder, { recursive: true });
});

describe('the README, in an empty folder with the packed package', () => {
  test('its agent answers by its tool', () => {
    const output = execFileSync(process.execPath, ['ask.mjs'], { cwd: folder, encoding: 'utf8', timeout: 60_000, env: { PATH: process.env['PATH'], OPENEAAP_URL: server.url, OPENEAAP_API_KEY: server.apiKey, PLUGIN: address } });
    expect(output).toMatch(/^tool_call .*"tool":"owner_of"/m);
    expect(output).toMatch(/^run_completed .*"output":\{"output":\{"host":"web-1","owner":"Ada"\}\}/m);
  });

  test('its types stand alone, and infer the arguments', async () => {
    const source = (await blockOf('my-tools.mjs')).replace('const OWNERS =', 'const OWNERS: Record<string, string> =').replace('{ host: input.host }', "{ host: (input as { host: string }).host }");
    await writeFile(path.join(folder, 'package.json'), '{"type":"module"}');
    await writeFile(path.join(folder, 'my-tools.ts'), source.replace('throw new ToolError', '// @ts-expect-error host is text\n    host.toFixed();\n    throw new ToolError'));
    await writeFile(path.join(folder, 'ask.ts'), `declare const env: string;\n${(await blockOf('ask.mjs')).replaceAll(/process\.env\.\w+/g, 'env')}`);
    await writeFile(path.join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions: { strict: true, noEmit: true, module: 'nodenext', target: 'es2023', lib: ['es2023', 'dom', 'dom.iterable'], skipLibCheck: true, types: [] }, files: ['my-tools.ts', 'ask.ts'] }));
    const { stdout } = spawnSync(path.join(MODULES, '.bin/tsc'), ['-p', folder], { encoding: 'utf8' });
    expect(stdout).toBe('');
  });

  test('its plugin ends in order when it is told to', async () => {
    const ended = new Promise((resolve) => plugin?.once('close', resolve));
    plugin?.kill('SIGTERM');
    expect(await ended).toBe(0);
  });
});
