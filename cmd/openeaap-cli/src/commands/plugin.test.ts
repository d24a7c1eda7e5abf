import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { runInProcess } from '../testing/run-in-process.ts';
import { sendJson, sendProblem, startScriptedServer } from '../testing/scripted-server.ts';
import type { Script, ScriptedServer } from '../testing/scripted-server.ts';

const VIEW = {
  name: 'soc-tools',
  version: '1.2.0',
  kind: 'tools',
  status: 'ready',
  detail: 'It is serving.',
  source: 'api',
  sdk: 'python 0.1.0',
  copies: { ready: 1, wanted: 1, restarts: 0 },
  tools: ['lookup_ip', 'block_ip'],
  agents: [],
  warnings: [],
};
const NATIVE = { ...VIEW, name: 'native', source: 'built-in', sdk: '', tools: [], kind: 'runtime' };
const SICK = { ...VIEW, status: 'down', detail: 'The process ended.\u001b[31m', copies: { ready: 0, wanted: 2, restarts: 3 }, warnings: ['The secret A is not set on this node.', 'The tool "x" is withheld: it changed.'] };
const ONE = 'name: soc-tools\ntype: runtime-worker\naddress: 127.0.0.1:50051\n';
const LIST = `plugins:\n  - name: "first"\n    image: "custom-tools:v1"\n    type: "runtime-worker"\n  - name: "second"\n    image: "custom-tools:v1"\n    type: "runtime-worker"\n`;

let server: ScriptedServer | null = null;
afterEach(async () => {
  await server?.close();
  server = null;
});

async function serve(script: Script): Promise<readonly string[]> {
  server = await startScriptedServer(script);
  return ['--url', server.url, '--api-key', 'k'];
}

const rowsOf = (stdout: string): readonly (readonly string[])[] => stdout.split('\n').map((line) => line.trim().split(/ {2,}/));

test('list is one line each: how it is, what it offers, and why', async () => {
  const to = await serve((_, response) => sendJson(response, 200, { items: [NATIVE, VIEW, { ...SICK, name: 'sick' }] }));
  const { stdout, exitCode } = await runInProcess(['plugin', 'list', ...to]);
  expect(exitCode).toBe(0);
  expect(rowsOf(stdout)).toEqual([
    ['PLUGIN', 'STATUS', 'COPIES', 'SOURCE', 'SDK', 'TOOLS', 'AGENTS', 'DETAIL'],
    ['native', 'ready', '1/1', 'built-in', '-', '-', '-', 'It is serving.'],
    ['soc-tools', 'ready', '1/1', 'api', 'python 0.1.0', 'lookup_ip, block_ip', '-', 'It is serving.'],
    ['sick', 'down', '0/2', 'api', 'python 0.1.0', 'lookup_ip, block_ip', '-', '2 warnings; The process ended.\\u001b[31m'],
    [''],
  ]);
});

test('show says each tool and each warning in full, and nothing that a terminal would obey', async () => {
  const to = await serve((_, response) => sendJson(response, 200, SICK));
  const { stdout } = await runInProcess(['plugin', 'show', 'soc-tools', ...to]);
  expect(stdout).toContain('status    down\ndetail    The process ended.\\u001b[31m\n');
  expect(stdout).toContain('copies    0/2 ready on this node; restarts: 3');
  expect(stdout).toContain('tools     lookup_ip\n          block_ip\n');
  expect(stdout).toContain('warnings  The secret A is not set on this node.\n          The tool "x" is withheld: it changed.\n');
  expect(server?.received.map((one) => `${one.method} ${one.path}`)).toEqual(['GET /api/v1/plugins/soc-tools']);
});

test('add sends one declaration as it is written, from a file', async () => {
  const to = await serve((_, response) => sendJson(response, 201, { ...VIEW, status: 'starting' }));
  const cwd = await mkdtemp(path.join(tmpdir(), 'cli-plugin-'));
  await writeFile(path.join(cwd, 'plugin.yaml'), ONE);
  const outcome = await runInProcess(['plugin', 'add', 'plugin.yaml', ...to], { cwd });
  expect(outcome).toMatchObject({ exitCode: 0, stdout: 'Plugin soc-tools is declared; its status is starting. "openeaap plugin show soc-tools" says how it goes on.\n' });
  expect(server?.received.map((one) => [one.method, one.path, JSON.parse(one.body)])).toEqual([['POST', '/api/v1/plugins', { name: 'soc-tools', type: 'runtime-worker', address: '127.0.0.1:50051' }]]);
});

test('add takes the whole list of a file and says of each whether it is new', async () => {
  const to = await serve((request, response, index) => sendJson(response, index === 0 ? 200 : 201, { ...VIEW, name: (JSON.parse(request.body) as { name: string }).name }));
  const outcome = await runInProcess(['plugin', 'add', '-', ...to], { stdinText: LIST });
  expect(outcome.stdout).toContain('Plugin first is declared anew; its status is ready.');
  expect(outcome.stdout).toContain('Plugin second is declared; its status is ready.');
  expect(server?.received.map((one) => JSON.parse(one.body))).toEqual([
    { name: 'first', image: 'custom-tools:v1', type: 'runtime-worker' },
    { name: 'second', image: 'custom-tools:v1', type: 'runtime-worker' },
  ]);
});

test('a list that is refused in the middle says where, why, and what was declared before', async () => {
  const to = await serve((_, response, index) => (index === 0 ? sendJson(response, 201, { ...VIEW, name: 'first' }) : sendProblem(response, 400, 'invalid_input', 'plugin.name is missing.', { field: 'name' })));
  const outcome = await runInProcess(['plugin', 'add', '-', ...to], { stdinText: LIST });
  expect(outcome).toMatchObject({ exitCode: 2, stdout: '' });
  expect(outcome.stderr).toContain('error: stdin: plugins[1]: plugin.name is missing. Declared before it: first.');
  expect(outcome.stderr).toContain('field: name');
});

test('remove reads an answer without a body', async () => {
  const to = await serve((_, response) => response.writeHead(204).end());
  const outcome = await runInProcess(['plugin', 'remove', 'soc-tools', '--json', ...to]);
  expect(outcome).toMatchObject({ exitCode: 0, stderr: '' });
  expect(JSON.parse(outcome.stdout)).toEqual({ name: 'soc-tools', removed: true });
  expect(server?.received.map((one) => `${one.method} ${one.path}`)).toEqual(['DELETE /api/v1/plugins/soc-tools']);
});

test.each([
  [['restart', 'soc-tools'], 'POST /api/v1/plugins/soc-tools/restart', {}, 'are being replaced'],
  [['accept', 'soc-tools'], 'POST /api/v1/plugins/soc-tools/accept', {}, 'Nothing of soc-tools is withheld'],
  [['accept', 'soc-tools', 'a.b', 'c'], 'POST /api/v1/plugins/soc-tools/accept', { tools: ['a.b', 'c'] }, 'a.b, c of soc-tools are accepted'],
  [['accept', 'soc-tools', 'a.b'], 'POST /api/v1/plugins/soc-tools/accept', { tools: ['a.b'] }, 'a.b of soc-tools is accepted'],
])('plugin %j', async (argv, asked, body, said) => {
  const to = await serve((_, response) => sendJson(response, 202, VIEW));
  expect(await runInProcess(['plugin', ...argv, ...to])).toMatchObject({ exitCode: 0, stdout: expect.stringContaining(said) });
  expect(server?.received.map((one) => `${one.method} ${one.path}`)).toEqual([asked]);
  expect(JSON.parse(server?.received[0]?.body ?? '')).toEqual(body);
});

test('what the server refuses is an error with its code', async () => {
  const to = await serve((_, response) => sendProblem(response, 409, 'conflict', 'The plugin "soc-tools" is declared in configs/plugins.yaml. Take it out there.', { field: 'name' }));
  expect(await runInProcess(['plugin', 'remove', 'soc-tools', ...to])).toMatchObject({ exitCode: 5, stdout: '', stderr: expect.stringContaining('Take it out there.') });
});

test.each([
  ['', 'must hold one plugin'],
  ['- name: a', 'must hold one plugin'],
  ['name: [', 'not valid YAML'],
  ['plugins: []', 'at least one entry'],
  ['plugins: {name: a}', 'at least one entry'],
  ['plugins: [a]', 'plugins[0] must be a mapping'],
  ['plugins: [{name: a}]\ntype: mcp', 'unknown field "type"'],
  ['without: [security-tools]', 'configs/plugins.yaml'],
])('the file %j is refused with its cure and nothing is sent', async (stdinText, said) => {
  const to = await serve((_, response) => sendJson(response, 201, VIEW));
  expect(await runInProcess(['plugin', 'add', '-', ...to], { stdinText })).toMatchObject({ exitCode: 2, stdout: '', stderr: expect.stringContaining(said) });
  expect(server?.received).toEqual([]);
});

test.each([
  [['plugin', 'add'], "'file'"],
  [['plugin', 'add', 'no-such-file.yaml'], 'cannot be read (ENOENT)'],
  [['plugin', 'show', '..'], 'not an id'],
  [['plugin'], 'missing'],
])('%j is a usage error and asks no server', async (argv, said) => {
  const to = await serve((_, response) => sendJson(response, 200, {}));
  expect(await runInProcess([...argv, ...to])).toMatchObject({ exitCode: 2, stdout: '', stderr: expect.stringContaining(said) });
  expect(server?.received).toEqual([]);
});
