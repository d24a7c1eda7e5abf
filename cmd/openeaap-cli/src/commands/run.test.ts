import { writeFile, mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { FIXED_ID, runInProcess } from '../testing/run-in-process.ts';
import { sendJson, sendProblem, startScriptedServer, toSse } from '../testing/scripted-server.ts';
import type { Script, ScriptedServer } from '../testing/scripted-server.ts';

const RUN = '018f0000-0000-7000-8000-000000000001';
const CREATED = { run_id: RUN, status: 'pending', trace_id: 'a'.repeat(32), agent_id: FIXED_ID, agent_name: 'triage', agent_version: '1.0.0', created_at: '2026-11-22T20:00:00.000Z', replayed: false };

let server: ScriptedServer | null = null;
afterEach(async () => {
  await server?.close();
  server = null;
});

async function serve(script: Script): Promise<readonly string[]> {
  server = await startScriptedServer(script);
  return ['--url', server.url, '--api-key', 'k'];
}

const stored = (seq: number, type: string, data: object = {}): object => ({ seq, type, data, at: `2026-11-22T20:00:0${seq}.000Z` });
const runRow = (n: number): object => ({ run_id: `r${n}`, status: 'paused', pause_reason: 'approval', agent_name: n % 2 === 0 ? 'even' : 'odd', agent_version: '1' });
const sse = { 'content-type': 'text/event-stream' };
const lines = (text: string): readonly { seq: number | null; type: string; at: string }[] =>
  text.trim().split('\n').map((line) => JSON.parse(line) as { seq: number | null; type: string; at: string });

test('run create sends the input with a key and prints the id alone on stdout', async () => {
  const to = await serve((_, response) => sendJson(response, 202, CREATED));
  const outcome = await runInProcess(['run', 'create', 'triage@1.0.0', '--input', '{"ip":"1.2.3.4"}', '--user', 'alice', ...to]);
  expect(outcome).toMatchObject({ exitCode: 0, stdout: `${RUN}\n` });
  expect(outcome.stderr).toContain(`openeaap run watch ${RUN}`);
  const [request] = server?.received ?? [];
  expect(request?.path).toBe('/api/v1/agents/triage%401.0.0/runs');
  expect(request?.headers.authorization).toBe('Bearer k');
  expect(JSON.parse(request?.body ?? '')).toEqual({ input: { ip: '1.2.3.4' }, idempotency_key: FIXED_ID, user_id: 'alice' });
});

test.each([
  [['--delay', '90'], { delay_s: 90 }],
  [['--delay', '15m'], { delay_s: 900 }],
  [['--delay', '3d'], { delay_s: 259_200 }],
  [['--at', '2026-12-01T09:00:00+08:00'], { start_at: '2026-12-01T09:00:00+08:00' }],
])('run create %j begins the run later and says when', async (argv, sent) => {
  const to = await serve((_, response) => sendJson(response, 202, { ...CREATED, start_at: '2026-12-01T01:00:00.000Z' }));
  const outcome = await runInProcess(['run', 'create', 'a', '--input', 'x', ...argv, ...to]);
  expect(outcome).toMatchObject({ exitCode: 0, stdout: `${RUN}\n`, stderr: expect.stringContaining('starts at 2026-12-01T01:00:00.000Z') });
  expect(JSON.parse(server?.received[0]?.body ?? '')).toEqual({ input: 'x', idempotency_key: FIXED_ID, ...sent });
});

test('run create takes text, a file or stdin as input', async () => {
  const to = await serve((_, response) => sendJson(response, 202, CREATED));
  const cwd = await mkdtemp(path.join(tmpdir(), 'cli-run-'));
  await writeFile(path.join(cwd, 'alert.json'), '\n{"a":1}');
  await runInProcess(['run', 'create', 'a', '--input', 'look at 1.2.3.4', ...to]);
  await runInProcess(['run', 'create', 'a', '--input', '@alert.json', ...to], { cwd });
  await runInProcess(['run', 'create', 'a', '--input', '-', ...to], { stdinText: 'from a pipe' });
  expect(server?.received.map((one) => (JSON.parse(one.body) as { input: unknown }).input)).toEqual(['look at 1.2.3.4', { a: 1 }, 'from a pipe']);
});

test.each([
  [['run', 'create', 'a', '--input', '{"broken"'], 'not valid JSON'],
  [['run', 'create', 'a', '--input', '@/no/such/file'], 'ENOENT'],
  [['run', 'create', 'a'], '--input'],
  [['run', 'create', 'a', '--input', 'x', '--delay', 'soon'], '--delay must be like'],
  [['run', 'create', 'a', '--input', 'x', '--delay', '31d'], '30 days'],
  [['run', 'create', 'a', '--input', 'x', '--delay', '1h', '--at', '2026-12-01T09:00:00Z'], 'both say when'],
  [['run', 'create', '..', '--input', 'x'], 'not an id'],
  [['run', 'get', 'nonsense'], 'not the id of a run'],
  [['run', 'get', ''], 'not the id of a run'],
  [['run', 'list', '--limit', '0'], '--limit'],
  [['run', 'list', '--status', 'done'], 'Allowed choices'],
  [['run', 'watch', RUN, '--after', '-1'], '--after'],
  [['run', 'lst'], "unknown command 'lst'"],
  [['run'], 'missing'],
  [['run', 'get', RUN, '--nope'], "unknown option '--nope'"],
])('%j is a usage error and asks no server', async (argv, said) => {
  const to = await serve((_, response) => sendJson(response, 200, {}));
  const outcome = await runInProcess([...argv, ...to]);
  expect(outcome.exitCode).toBe(2);
  expect(outcome.stdout).toBe('');
  expect(outcome.stderr).toContain(said);
  expect(server?.received).toEqual([]);
});

test.each([
  [400, 'invalid_input', 2],
  [401, 'unauthenticated', 4],
  [403, 'permission_denied', 4],
  [404, 'not_found', 3],
  [409, 'conflict', 5],
  [409, 'idempotency_mismatch', 5],
  [429, 'quota_exceeded', 1],
  [500, 'internal', 1],
  [503, 'unavailable', 7],
])('HTTP %i %s ends with exit code %i', async (status, code, exitCode) => {
  const to = await serve((_, response) => sendProblem(response, status, code, 'What went wrong.', { field: 'input' }));
  const plain = await runInProcess(['run', 'get', RUN, ...to]);
  expect(plain).toMatchObject({ exitCode, stdout: '' });
  expect(plain.stderr).toContain('error: What went wrong.');
  expect(plain.stderr).toContain('field: input');
  const json = await runInProcess(['run', 'get', RUN, '--json', ...to]);
  expect(JSON.parse(json.stderr)).toMatchObject({ error: { code, message: 'What went wrong.', exit_code: exitCode, field: 'input', http_status: status } });
});

test('a page of a proxy or a redirect is told as such', async () => {
  const to = await serve((_, response, index) => {
    if (index === 0) response.writeHead(200, { 'content-type': 'text/html' }).end('<html>');
    else response.writeHead(302, { location: 'http://127.0.0.1:1/' }).end();
  });
  expect(await runInProcess(['run', 'get', RUN, ...to])).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('not JSON') });
  expect(await runInProcess(['run', 'get', RUN, ...to])).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('redirects to') });
});

test('a server that is not there: what was tried, and the cure', async () => {
  const to = await serve(() => undefined);
  await server?.close();
  const outcome = await runInProcess(['run', 'create', 'a', '--input', 'x', ...to]);
  expect(outcome.exitCode).toBe(7);
  expect(outcome.stderr).toContain('ECONNREFUSED');
  expect(outcome.stderr).toContain('--url');
  expect(outcome.stderr).toContain('openeaap dev');
  expect(outcome.stderr).toContain(`--idempotency-key ${FIXED_ID}`);
});

test('run list reads as many pages as the limit needs and keeps the JSON of the server', async () => {
  const to = await serve((request, response) => {
    const from = Number(request.query.get('cursor') ?? 0);
    sendJson(response, 200, { items: [runRow(from), runRow(from + 1)], next_cursor: String(from + 2) });
  });
  const json = await runInProcess(['run', 'list', '--limit', '3', '--json', ...to]);
  expect(JSON.parse(json.stdout)).toEqual({ items: [runRow(0), runRow(1), runRow(2)], next_cursor: '4' });
  const named = await runInProcess(['run', 'list', '--limit', '2', '--agent', 'odd', '--json', ...to]);
  expect(JSON.parse(named.stdout)).toMatchObject({ items: [runRow(1), runRow(3)] });
  const plain = await runInProcess(['run', 'list', '--limit', '1', ...to]);
  expect(plain.stdout).toMatch(/^RUN +STATUS +AGENT.*\nr0 +paused \(approval\) +even@1/);
});

test('run watch resumes by Last-Event-ID after a cut, and shows each event once', async () => {
  const to = await serve((request, response) => {
    if (request.headers.accept !== 'text/event-stream') return sendJson(response, 200, { items: [stored(1, 'run_started', { run_id: RUN, status: 'running' })], next_after: 1 });
    response.writeHead(200, sse);
    if (request.headers['last-event-id'] === '1') {
      response.write(toSse(2, 'step_thought', { content: '我需要先查询' }));
      response.write('id: 3\nevent: tool_ca', () => response.destroy());
      return undefined;
    }
    response.write(toSse(2, 'step_thought', { content: 'again' }));
    response.write(toSse(3, 'tool_call', { tool: 'check_ip', input: { ip: '1.2.3.4' } }));
    response.write('event: step_delta\ndata: {"text":"x"}\n\n');
    response.end(toSse(4, 'run_completed', { output: '该 IP 为高危' }));
    return undefined;
  });
  const outcome = await runInProcess(['run', 'watch', RUN, '--json', ...to]);
  expect(outcome.exitCode).toBe(0);
  expect(lines(outcome.stdout).map((event) => [event.seq, event.type])).toEqual([[1, 'run_started'], [2, 'step_thought'], [3, 'tool_call'], [4, 'run_completed']]);
  expect(lines(outcome.stdout)[0]?.at).toBe('2026-11-22T20:00:01.000Z');
  expect(outcome.stderr).toContain('connection was lost');
  expect(server?.received.map((one) => one.headers['last-event-id'])).toEqual([undefined, '1', '2']);
});

test('run watch prints one line per event, then the whole output', async () => {
  const output = 'line one\nline two';
  const to = await serve((_, response) => sendJson(response, 200, {
    items: [stored(1, 'governance_intervention', { reason: 'high risk \u001b[2J', approval_id: FIXED_ID }), stored(2, 'run_completed', { output })],
    next_after: null,
  }));
  const outcome = await runInProcess(['run', 'watch', RUN, ...to]);
  expect(outcome.exitCode).toBe(0);
  expect(outcome.stdout).toBe(
    `20:00:01Z governance_intervention high risk \\u001b[2J -> openeaap approval show ${FIXED_ID}\n20:00:02Z run_completed           line one line two\n\n${output}\n`,
  );
  expect(server?.received).toHaveLength(1);
});

test.each(['failed', 'cancelled'])('a run that ended %s is exit code 6', async (status) => {
  const to = await serve((_, response) => sendJson(response, 200, { items: [stored(1, `run_${status}`, { error: { code: 'model_unavailable', message: 'No model.' } })], next_after: 1 }));
  const outcome = await runInProcess(['run', 'watch', RUN, ...to]);
  expect(outcome).toMatchObject({ exitCode: 6, stdout: expect.stringContaining('model_unavailable: No model.') });
});

test('run create --watch follows the new run', async () => {
  const to = await serve((request, response) => {
    if (request.method === 'POST') return sendJson(response, 202, CREATED);
    return sendJson(response, 200, { items: [stored(1, 'run_failed', {})], next_after: 1 });
  });
  expect(await runInProcess(['run', 'create', 'a', '--input', 'x', '--watch', '--json', ...to])).toMatchObject({ exitCode: 6 });
});

test('run watch --after the end of an ended run ends too', async () => {
  const to = await serve((request, response) => {
    if (request.path.endsWith(RUN)) return sendJson(response, 200, { status: 'completed' });
    if (request.headers.accept === 'text/event-stream') return void response.writeHead(200, sse).end();
    return sendJson(response, 200, { items: [], next_after: null });
  });
  expect(await runInProcess(['run', 'watch', RUN, '--after', '9', ...to])).toMatchObject({ exitCode: 0, stdout: '' });
});

test('run watch gives up after a bounded number of tries and says how to go on', async () => {
  const waits: number[] = [];
  const to = await serve((request, response) => {
    if (request.headers.accept === 'text/event-stream') return void response.destroy();
    return sendJson(response, 200, { items: [stored(5, 'run_started')], next_after: 5 });
  });
  const clock = { now: () => new Date(0), sleep: (ms: number) => (waits.push(ms), Promise.resolve()) };
  const outcome = await runInProcess(['run', 'watch', RUN, ...to], { clock });
  expect(outcome.exitCode).toBe(7);
  expect(waits).toEqual([500, 1_000, 2_000, 4_000, 8_000, 16_000, 20_000, 20_000, 20_000, 20_000]);
  expect(outcome.stderr).toContain(`openeaap run watch ${RUN} --after 5`);
});

test('run watch does not try again what no reconnect cures', async () => {
  const to = await serve((_, response) => sendProblem(response, 404, 'not_found', 'There is no such run.'));
  expect(await runInProcess(['run', 'watch', RUN, ...to])).toMatchObject({ exitCode: 3 });
  expect(server?.received).toHaveLength(1);
});

test('Ctrl-C leaves the run alone and says how to go on watching', async () => {
  const stop = new AbortController();
  const to = await serve((request, response) => {
    if (request.headers.accept !== 'text/event-stream') return sendJson(response, 200, { items: [], next_after: null });
    response.writeHead(200, sse);
    response.write(toSse(7, 'run_started', {}));
    return void setImmediate(() => stop.abort('SIGINT'));
  });
  const outcome = await runInProcess(['run', 'watch', RUN, ...to], { signal: stop.signal });
  expect(outcome.exitCode).toBe(130);
  expect(outcome.stderr).toContain(`openeaap run watch ${RUN} --after`);
  expect(server?.received.every((one) => one.method === 'GET')).toBe(true);
});

test('run cancel of an ended run is a conflict, and of a running one is told as a request', async () => {
  const to = await serve((_, response, index) => (index === 0 ? sendJson(response, 202, { run_id: RUN, status: 'running' }) : sendProblem(response, 409, 'conflict', 'The run has ended.')));
  const first = await runInProcess(['run', 'cancel', RUN, '--reason', 'mistake', ...to]);
  expect(first).toMatchObject({ exitCode: 0, stdout: expect.stringContaining('is requested; it is running') });
  expect(JSON.parse(server?.received[0]?.body ?? '')).toEqual({ reason: 'mistake' });
  expect(await runInProcess(['run', 'cancel', RUN, ...to])).toMatchObject({ exitCode: 5 });
});

test('colours only on a terminal and never with NO_COLOR', async () => {
  const to = await serve((_, response) => sendJson(response, 200, { items: [stored(1, 'run_completed', { output: 'x' })], next_after: 1 }));
  const environment = { url: null, apiKey: null, dataDir: null, noColor: true };
  const escape = String.fromCharCode(27);
  expect((await runInProcess(['run', 'watch', RUN, ...to], { stdoutIsTty: true, columns: 80 })).stdout).toContain(escape);
  expect((await runInProcess(['run', 'watch', RUN, ...to])).stdout).not.toContain(escape);
  expect((await runInProcess(['run', 'watch', RUN, ...to], { stdoutIsTty: true, environment })).stdout).not.toContain(escape);
});
