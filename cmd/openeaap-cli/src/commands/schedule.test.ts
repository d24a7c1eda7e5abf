import { afterEach, expect, test } from 'vitest';
import { FIXED_ID, runInProcess } from '../testing/run-in-process.ts';
import { sendJson, sendProblem, startScriptedServer } from '../testing/scripted-server.ts';
import type { Script, ScriptedServer } from '../testing/scripted-server.ts';

const VIEW = {
  schedule_id: FIXED_ID,
  name: 'nightly',
  cron: '30 2 * * *',
  time_zone: 'Asia/Shanghai',
  agent: 'security-triage',
  input: 'summarise',
  user_id: 'alice',
  priority: 'normal',
  overlap: 'skip',
  catch_up: 'last',
  paused: false,
  next_at: '2026-11-24T18:30:00.000Z',
  next_fires: ['2026-11-25T02:30:00+08:00', '2026-11-26T02:30:00+08:00'],
  last_at: '2026-11-23T18:30:00.000Z',
  last_outcome: 'failed',
  last_run_id: FIXED_ID,
  last_run_status: 'completed',
  last_error: { code: 'not_found', message: 'There is no agent "security-triage".' },
  failures_in_a_row: 2,
  created_by: 'alice',
  created_at: '2026-11-20T00:00:00.000Z',
  updated_at: '2026-11-20T00:00:00.000Z',
};
const CREATE = ['schedule', 'create', 'nightly', '--cron', '30 2 * * *', '--agent', 'security-triage', '--input', 'summarise'];

let server: ScriptedServer | null = null;
afterEach(async () => {
  await server?.close();
  server = null;
});

async function serve(script: Script): Promise<readonly string[]> {
  server = await startScriptedServer(script);
  return ['--url', server.url, '--api-key', 'k'];
}

test('create sends what was said and nothing else, and shows the fires in the zone', async () => {
  const to = await serve((_, response) => sendJson(response, 201, VIEW));
  const outcome = await runInProcess([...CREATE, '--time-zone', 'Asia/Shanghai', '--overlap', 'skip', ...to]);
  expect(outcome.exitCode).toBe(0);
  expect(outcome.stdout).toContain('next fires  Wed 2026-11-25 02:30 +08:00\n            Thu 2026-11-26 02:30 +08:00');
  expect(outcome.stdout).toContain('time zone   Asia/Shanghai');
  expect(JSON.parse(server?.received[0]?.body ?? '')).toEqual({ name: 'nightly', cron: '30 2 * * *', time_zone: 'Asia/Shanghai', agent: 'security-triage', input: 'summarise', overlap: 'skip' });
});

test('update sends only what changes', async () => {
  const to = await serve((_, response) => sendJson(response, 200, VIEW));
  await runInProcess(['schedule', 'update', 'nightly', '--cron', '@daily', '--input', '{"a":1}', ...to]);
  expect(server?.received.map((one) => [one.method, one.path, JSON.parse(one.body)])).toEqual([['PATCH', '/api/v1/schedules/nightly', { cron: '@daily', input: { a: 1 } }]]);
});

test('show says what came of the last fire and why', async () => {
  const to = await serve((_, response) => sendJson(response, 200, VIEW));
  const { stdout } = await runInProcess(['schedule', 'show', 'nightly', ...to]);
  expect(stdout).toContain('last error  not_found: There is no agent "security-triage".');
  expect(stdout).toContain('failed      2 in a row');
  expect(stdout).toContain(`last run    ${FIXED_ID} (completed)`);
});

test('list is one line each, with the zone and the next fire', async () => {
  const paused = { ...VIEW, name: 'old', paused: true, next_at: null, next_fires: [], last_at: null, last_outcome: null, failures_in_a_row: 0 };
  const to = await serve((_, response) => sendJson(response, 200, { items: [VIEW, paused], next_cursor: null }));
  const { stdout } = await runInProcess(['schedule', 'list', '--paused', 'no', ...to]);
  expect(stdout.split('\n').map((line) => line.trim().split(/ {2,}/))).toEqual([
    ['SCHEDULE', 'CRON', 'TIME ZONE', 'AGENT', 'USER', 'NEXT FIRE', 'LAST', 'FAILED'],
    ['nightly', '30 2 * * *', 'Asia/Shanghai', 'security-triage', 'alice', 'Wed 2026-11-25 02:30 +08:00', 'failed 2026-11-23T18:30:00.000Z', '2 in a row'],
    ['old', '30 2 * * *', 'Asia/Shanghai', 'security-triage', 'alice', 'paused', '-', '-'],
    [''],
  ]);
  expect(server?.received[0]?.query.get('paused')).toBe('false');
});

test.each([
  [['pause', 'nightly'], 'POST /api/v1/schedules/nightly/pause', { ...VIEW, paused: true }, 'Schedule nightly is paused.'],
  [['resume', 'nightly'], 'POST /api/v1/schedules/nightly/resume', VIEW, 'next fire is Wed 2026-11-25 02:30 +08:00, Asia/Shanghai'],
  [['delete', 'nightly'], 'DELETE /api/v1/schedules/nightly', { schedule_id: FIXED_ID, name: 'nightly', deleted: true }, 'is deleted'],
  [['run', 'nightly'], 'POST /api/v1/schedules/nightly/run', { run_id: FIXED_ID, status: 'pending' }, FIXED_ID],
])('schedule %j', async (argv, asked, body, said) => {
  const to = await serve((_, response) => sendJson(response, 200, body));
  const outcome = await runInProcess(['schedule', ...argv, ...to]);
  expect(outcome).toMatchObject({ exitCode: 0, stdout: expect.stringContaining(said) });
  expect(server?.received.map((one) => `${one.method} ${one.path}`)).toEqual([asked]);
});

test('what the server refuses comes with its cure', async () => {
  const to = await serve((_, response) => sendProblem(response, 400, 'invalid_input', '`cron` cannot be used: it has 4 fields.', { field: 'cron', cure: 'Write 5 fields.' }));
  const outcome = await runInProcess([...CREATE, ...to]);
  expect(outcome).toMatchObject({ exitCode: 2, stdout: '', stderr: expect.stringContaining('cure: Write 5 fields.') });
});

test.each([
  [['schedule', 'create', 'x', '--cron', '@daily', '--agent', 'a'], '--input'],
  [['schedule', 'create', 'x', '--cron', '@daily', '--agent', 'a', '--input', 'i', '--overlap', 'never'], 'Allowed choices'],
  [['schedule', 'update', 'x'], 'nothing to change'],
  [['schedule', 'show', '..'], 'not an id'],
  [['schedule'], 'missing'],
])('%j is a usage error and asks no server', async (argv, said) => {
  const to = await serve((_, response) => sendJson(response, 200, {}));
  expect(await runInProcess([...argv, ...to])).toMatchObject({ exitCode: 2, stdout: '', stderr: expect.stringContaining(said) });
  expect(server?.received).toEqual([]);
});
