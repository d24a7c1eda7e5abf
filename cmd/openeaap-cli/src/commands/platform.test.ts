import { mkdtemp, readFile, readdir, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { runInProcess } from '../testing/run-in-process.ts';
import { sendJson, sendProblem, startScriptedServer } from '../testing/scripted-server.ts';
import type { Script, ScriptedServer } from '../testing/scripted-server.ts';

const ID = '018f0000-0000-7000-8000-000000000003';
const RUN = '018f0000-0000-7000-8000-000000000001';

let server: ScriptedServer | null = null;
afterEach(async () => {
  await server?.close();
  server = null;
});

async function serve(script: Script): Promise<readonly string[]> {
  server = await startScriptedServer(script);
  return ['--url', server.url];
}

const sent = (index = 0): unknown => JSON.parse(server?.received[index]?.body ?? 'null');
const agentView = (version: string, status: string, current: boolean): object => ({ agent_id: `${ID.slice(0, -1)}${version[0]}`, name: 'triage', version, status, current, configuration: {} });

test('agent apply sends the file, and publishes when asked', async () => {
  const to = await serve((request, response) => sendJson(response, request.path.endsWith('publish') ? 200 : 201, agentView('1.0', request.path.endsWith('publish') ? 'published' : 'draft', request.path.endsWith('publish'))));
  const cwd = await mkdtemp(path.join(tmpdir(), 'cli-agent-'));
  await writeFile(path.join(cwd, 'agent.yaml'), 'name: triage\nversion: "1.10"\nconfiguration:\n  system_prompt: |\n    你是安全分析师\n  tools: [check_ip]\n');
  const outcome = await runInProcess(['agent', 'apply', '-f', 'agent.yaml', '--publish', ...to], { cwd });
  expect(outcome).toMatchObject({ exitCode: 0, stdout: expect.stringContaining('created and published') });
  expect(sent()).toEqual({ name: 'triage', version: '1.10', configuration: { system_prompt: '你是安全分析师\n', tools: ['check_ip'] } });
  expect(server?.received[1]?.path).toBe(`/api/v1/agents/${ID.slice(0, -1)}1/publish`);
});

test('agent apply again changes nothing and says so', async () => {
  const to = await serve((_, response) => sendJson(response, 200, agentView('1.0', 'published', true)));
  const outcome = await runInProcess(['agent', 'apply', '-f', '-', '--publish', '--json', ...to], { stdinText: 'name: triage\nversion: "1.0"\n' });
  expect(JSON.parse(outcome.stdout)).toMatchObject({ name: 'triage', applied: ['unchanged'] });
  expect(server?.received).toHaveLength(1);
});

test.each([
  ['name: [', 'not valid YAML'],
  ['- a', 'must hold name'],
  ['', 'must hold name'],
  ['name: a\nversion: 1.10', 'version must be text'],
  ['name: a\nversion: "1"\nmodel: {}', 'unknown field "model"'],
  ['version: "1"', 'name must be text'],
])('the agent file %j is refused with its cure', async (text, said) => {
  const to = await serve((_, response) => sendJson(response, 201, {}));
  expect(await runInProcess(['agent', 'apply', '-f', '-', ...to], { stdinText: text })).toMatchObject({ exitCode: 2, stderr: expect.stringContaining(said) });
  expect(server?.received).toEqual([]);
});

test('agent publish finds a version by name, and a wrong one lists those that are', async () => {
  const to = await serve((request, response) =>
    sendJson(response, 200, request.method === 'POST' ? agentView('2.0', 'published', true) : { items: [agentView('2.0', 'draft', false), agentView('1.0', 'published', true)], next_cursor: null }),
  );
  expect((await runInProcess(['agent', 'publish', 'triage@2.0', ...to])).exitCode).toBe(0);
  expect(server?.received[1]?.path).toBe(`/api/v1/agents/${ID.slice(0, -1)}2/publish`);
  expect((await runInProcess(['agent', 'get', 'triage', ...to])).stdout).toContain('triage@1.0');
  expect(await runInProcess(['agent', 'publish', 'triage@3.0', ...to])).toMatchObject({ exitCode: 3, stderr: expect.stringContaining('2.0 (draft), 1.0 (published)') });
});

test('policy test sends the question, and --expect makes it a check', async () => {
  const to = await serve((_, response) => sendJson(response, 200, { effect: 'deny', rule: 'rules[0]', reason: 'no', policy_version: 'v1' }));
  const argv = ['policy', 'test', '--tool', 'firewall_block_ip', '--input', '{"ip":"1.2.3.4"}', '--user', 'alice', '--groups', 'soc, ops', '--agent', 'triage', '--untrusted', ...to];
  expect(await runInProcess(argv)).toMatchObject({ exitCode: 0, stdout: expect.stringContaining('deny') });
  expect(sent()).toEqual({ kind: 'act', tool: 'firewall_block_ip', input: { ip: '1.2.3.4' }, user_id: 'alice', groups: ['soc', 'ops'], agent: 'triage', taint: { untrusted: true, injection: false } });
  expect((await runInProcess([...argv, '--expect', 'deny'])).exitCode).toBe(0);
  expect((await runInProcess([...argv, '--expect', 'allow'])).exitCode).toBe(8);
  expect((await runInProcess(['policy', 'test', ...to])).exitCode).toBe(2);
});

test('policy reload of a broken file fails and shows where', async () => {
  const to = await serve((_, response) => sendProblem(response, 422, 'policy_invalid', 'security.yaml:3:7: unknown operator.'));
  expect(await runInProcess(['policy', 'reload', ...to])).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('security.yaml:3:7') });
});

test('audit verify: exit code 8 and each problem when the record is broken', async () => {
  const problem = { kind: 'changed', chain_id: 'n1', chain_seq: 7, row_id: ID, detail: 'row hash differs' };
  const to = await serve((_, response, index) => sendJson(response, 200, [{ ok: true, chains: 2, rows: 9, problems: [] }, { ok: false, chains: 2, rows: 9, problems: [problem] }, {}][Math.min(index, 2)]));
  expect(await runInProcess(['audit', 'verify', ...to])).toMatchObject({ exitCode: 0, stdout: expect.stringContaining('9 rows in 2 chain(s)') });
  const broken = await runInProcess(['audit', 'verify', ...to]);
  expect(broken).toMatchObject({ exitCode: 8, stdout: expect.stringContaining(`changed: chain n1, row 7 (${ID}): row hash differs`) });
  expect((await runInProcess(['audit', 'verify', '--json', ...to])).exitCode).toBe(8);
});

test('audit export passes the bytes on as they are', async () => {
  const rows = '{"b":1,"a":"\u009b"}\n{"c":2}\n';
  const to = await serve((_, response) => void response.writeHead(200, { 'content-type': 'application/x-ndjson' }).end(rows));
  expect(await runInProcess(['audit', 'export', '--from', '2026-11-01T00:00:00Z', ...to])).toMatchObject({ exitCode: 0, stdout: rows });
  const cwd = await mkdtemp(path.join(tmpdir(), 'cli-audit-'));
  expect(await runInProcess(['audit', 'export', '--out', 'a.ndjson', ...to], { cwd })).toMatchObject({ exitCode: 0, stdout: '' });
  expect(await readFile(path.join(cwd, 'a.ndjson'), 'utf8')).toBe(rows);
  expect((await stat(path.join(cwd, 'a.ndjson'))).mode & 0o777).toBe(0o600);
  expect((await runInProcess(['audit', 'export', '--out', 'no/such/folder', ...to], { cwd })).exitCode).toBe(2);
});

test('a cut export leaves no file that looks whole', async () => {
  const to = await serve((_, response) => void response.writeHead(200, { 'content-length': '1000' }).write('{"a":1}\n', () => response.destroy()));
  const cwd = await mkdtemp(path.join(tmpdir(), 'cli-audit-'));
  expect((await runInProcess(['audit', 'export', '--out', 'a.ndjson', ...to], { cwd })).exitCode).toBe(7);
  expect(await readdir(cwd)).toEqual([]);
});

test.each([
  [['tool', 'list'], 'GET /api/v1/tools', null],
  [['model', 'list'], 'GET /api/v1/models', null],
  [['policy', 'show'], 'GET /api/v1/policies', null],
  [['audit', 'list', '--run', RUN], 'GET /api/v1/audit', null],
  [['agent', 'list'], 'GET /api/v1/agents', null],
  [['run', 'steps', RUN], `GET /api/v1/runs/${RUN}/steps`, null],
  [['usage', '--group-by', 'day'], 'GET /api/v1/usage', null],
  [['feedback', 'submit', RUN, '--score', '-1', '--correction', 'wrong', '--category', 'triage'], `POST /api/v1/runs/${RUN}/feedback`, { score: -1, correction: 'wrong', category: 'triage' }],
  [['knowledge', 'search', '封禁 流程', '--top-k', '3'], 'POST /api/v1/knowledge/search', { query: '封禁 流程', top_k: 3 }],
  [['trigger', 'fire', 'siem', '--input', '{"a":1}'], 'POST /api/v1/triggers/siem', { a: 1 }],
  [['policy', 'reload'], 'POST /api/v1/policies/reload', {}],
])('%j asks %s; --json is one document, and people get text', async (argv, request, body) => {
  const answer = { items: [], chunks: [], version: 'v1' };
  const to = await serve((_, response) => sendJson(response, 200, answer));
  const json = await runInProcess([...argv, '--json', ...to]);
  expect(json.exitCode).toBe(0);
  expect(JSON.parse(json.stdout)).toBeTypeOf('object');
  const [first] = server?.received ?? [];
  expect(`${first?.method} ${first?.path}`).toBe(request);
  expect(first?.body === '' ? null : JSON.parse(first?.body ?? '')).toEqual(body);
  expect((await runInProcess([...argv, ...to])).exitCode).toBe(0);
});
