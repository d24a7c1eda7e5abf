import { afterEach, expect, test } from 'vitest';
import { runInProcess } from '../testing/run-in-process.ts';
import { sendJson, sendProblem, startScriptedServer } from '../testing/scripted-server.ts';
import type { ScriptedServer } from '../testing/scripted-server.ts';

const ID = '018f0000-0000-7000-8000-000000000002';
const HASH = 'c'.repeat(64);
const PENDING = {
  approval_id: ID, run_id: '018f0000-0000-7000-8000-000000000001', step_no: 3, kind: 'gate', tool: 'firewall_block_ip', args: { ip: '1.2.3.4' }, edited_args: null,
  call_hash: HASH, rule: 'approval_gates[0]', reason: 'high risk', approvers: ['group:security-ops'], requester: 'alice', policy_version: 'v1', status: 'pending',
  verdict: null, decided_by: null, decided_at: null, comment: null, created_at: '2026-11-22T20:00:00.000Z', expires_at: '2026-11-22T21:00:00.000Z', allowed_verdicts: ['approve', 'edit', 'reject'],
};

let server: ScriptedServer | null = null;
afterEach(async () => {
  await server?.close();
  server = null;
});

async function serve(approval: object, decided: (response: Parameters<typeof sendJson>[0]) => void): Promise<readonly string[]> {
  server = await startScriptedServer((request, response) => (request.method === 'GET' ? sendJson(response, 200, approval) : decided(response)));
  return ['--url', server.url];
}

const approve = (response: Parameters<typeof sendJson>[0]): void => sendJson(response, 200, { ...PENDING, status: 'approved', verdict: 'approve', decided_by: 'bob' });
const sent = (): unknown => JSON.parse(server?.received[1]?.body ?? 'null');

test('a decision names the call that was fetched and says which it is', async () => {
  const to = await serve(PENDING, approve);
  const outcome = await runInProcess(['approval', 'approve', ID, '--comment', 'known bad', ...to]);
  expect(outcome).toMatchObject({ exitCode: 0, stdout: `Approval ${ID} is approved (approve by bob).\n` });
  expect(outcome.stderr).toContain('firewall_block_ip {"ip":"1.2.3.4"}');
  expect(outcome.stderr).toContain(HASH);
  expect(server?.received.map((one) => `${one.method} ${one.path}`)).toEqual([`GET /api/v1/approvals/${ID}`, `POST /api/v1/approvals/${ID}/decide`]);
  expect(sent()).toEqual({ verdict: 'approve', call_hash: HASH, comment: 'known bad' });
});

test.each([
  [['edit', ID, '--args', '{"ip":"5.6.7.8"}'], { verdict: 'edit', call_hash: HASH, args: { ip: '5.6.7.8' } }],
  [['reject', ID, '--reason', 'a customer'], { verdict: 'reject', call_hash: HASH, comment: 'a customer' }],
])('approval %j sends its verdict', async (argv, body) => {
  const to = await serve(PENDING, approve);
  expect((await runInProcess(['approval', ...argv, ...to, '--json'])).exitCode).toBe(0);
  expect(sent()).toEqual(body);
});

test.each([['retry', 'retry'], ['mark-done', 'mark_done'], ['fail', 'fail']])('approval resolve --as %s sends %s', async (word, verdict) => {
  const to = await serve({ ...PENDING, kind: 'uncertain' }, approve);
  expect((await runInProcess(['approval', 'resolve', ID, '--as', word, ...to])).exitCode).toBe(0);
  expect(sent()).toEqual({ verdict, call_hash: HASH });
});

test('two people: the second is told who was first, before or after sending', async () => {
  const first = { decided_by: 'carol', decided_at: '2026-11-22T20:30:00.000Z' };
  const late = await serve({ ...PENDING, ...first, status: 'rejected', verdict: 'reject' }, approve);
  const seen = await runInProcess(['approval', 'approve', ID, ...late]);
  expect(seen).toMatchObject({ exitCode: 5, stdout: '' });
  expect(seen.stderr).toContain('Somebody decided first: rejected by carol at 2026-11-22T20:30:00.000Z');
  expect(server?.received).toHaveLength(1);
  await server?.close();
  const racing = await serve(PENDING, (response) => sendProblem(response, 409, 'already_decided', 'Already decided.', { ...first, current_status: 'rejected' }));
  const raced = await runInProcess(['approval', 'approve', ID, ...racing]);
  expect(raced.exitCode).toBe(5);
  expect(raced.stderr).toContain('Somebody decided first: rejected by carol');
});

test('another call than the one that waits is a conflict with a cure', async () => {
  const to = await serve(PENDING, (response) => sendProblem(response, 409, 'hash_mismatch', 'The call is another one.'));
  expect(await runInProcess(['approval', 'approve', ID, ...to])).toMatchObject({ exitCode: 5, stderr: expect.stringContaining('approval show') });
  const seenEarlier = await runInProcess(['approval', 'approve', ID, '--call-hash', 'd'.repeat(64), ...to]);
  expect(seenEarlier).toMatchObject({ exitCode: 5, stderr: expect.stringContaining('Nothing was decided') });
  expect(server?.received).toHaveLength(3);
});

test('an expired approval cannot be decided', async () => {
  const to = await serve({ ...PENDING, status: 'expired' }, approve);
  expect(await runInProcess(['approval', 'approve', ID, ...to])).toMatchObject({ exitCode: 5, stderr: expect.stringContaining('is expired') });
});

test('not an approver is denied with the groups that are', async () => {
  const to = await serve(PENDING, (response) => sendProblem(response, 403, 'permission_denied', 'Only group:security-ops may decide.'));
  expect(await runInProcess(['approval', 'approve', ID, ...to])).toMatchObject({ exitCode: 4, stderr: expect.stringContaining('group:security-ops') });
});

test.each([
  [['resolve', ID, '--as', 'retry'], 'approve, edit or reject'],
  [['resolve', ID, '--as', 'maybe'], 'Allowed choices'],
  [['reject', ID], '--reason'],
  [['edit', ID, '--args', '[1]'], 'JSON object'],
  [['approve', 'x'], 'not the id'],
])('approval %j is a usage error and decides nothing', async (argv, said) => {
  const to = await serve(PENDING, approve);
  const outcome = await runInProcess(['approval', ...argv, ...to]);
  expect(outcome).toMatchObject({ exitCode: 2, stderr: expect.stringContaining(said) });
  expect(server?.received.filter((one) => one.method === 'POST')).toEqual([]);
});

test('approval show gives the exact call and the commands that decide it', async () => {
  const to = await serve({ ...PENDING, args: { ip: '1.2.3.4\u202e' } }, approve);
  const outcome = await runInProcess(['approval', 'show', ID, ...to]);
  expect(outcome.stdout).toContain(String.raw`1.2.3.4\u202e`);
  expect(outcome.stdout).toContain(`openeaap approval reject ${ID} --reason`);
});

test('approval list asks for those that wait unless told otherwise', async () => {
  const to = await serve({ items: [PENDING], next_cursor: null }, approve);
  const outcome = await runInProcess(['approval', 'list', ...to]);
  expect(outcome.stdout).toContain('group:security-ops');
  await runInProcess(['approval', 'list', '--status', 'all', ...to]);
  expect(server?.received.map((one) => one.query.get('status'))).toEqual(['pending', null]);
});

const TWO = {
  ...PENDING, edited_args: { ip: '5.6.7.8' }, min_approvals: 2, approvals_given: 1, approvers_now: ['group:security-ops', 'group:leads'],
  votes: [
    { voter: 'bob', verdict: 'approve', call_hash: 'a'.repeat(64), counts: false, comment: null, at: '2026-11-22T20:05:00.000Z' },
    { voter: 'carol', verdict: 'edit', call_hash: HASH, counts: true, comment: 'only this host', at: '2026-11-22T20:10:00.000Z' },
  ],
  escalation: [
    { at: '2026-11-22T20:15:00.000Z', approvers: ['group:leads'], escalated: true },
    { at: '2026-11-22T20:45:00.000Z', approvers: ['user:ciso'], escalated: false },
  ],
};

test('approval show says how many are needed, who has voted, for which call, and who else may decide from when on', async () => {
  const to = await serve(TWO, approve);
  const { stdout } = await runInProcess(['approval', 'show', ID, ...to]);
  expect(stdout).toMatch(/^approvals +1 of 2$/m);
  expect(stdout).toMatch(/^edited args \(these wait\) +\{$/m);
  expect(stdout).toContain('bob  approve  2026-11-22T20:05:00.000Z  (about the call before an edit; counts no more)');
  expect(stdout).toContain('carol  edit  2026-11-22T20:10:00.000Z  only this host');
  expect(stdout).toContain('group:leads from 2026-11-22T20:15:00.000Z (escalated)');
  expect(stdout).toContain('user:ciso from 2026-11-22T20:45:00.000Z\n');
});

test('approval list shows the call that waits, 1 of 2, and the next escalation', async () => {
  const to = await serve({ items: [TWO, { ...PENDING, status: 'approved', min_approvals: 1, approvals_given: 1, escalation: [] }], next_cursor: null }, approve);
  const [titles, waiting, decided] = (await runInProcess(['approval', 'list', '--status', 'all', ...to])).stdout.split('\n');
  expect(titles).toMatch(/CALL +REQUESTER +GIVEN +APPROVERS +ESCALATES +EXPIRES$/);
  expect(waiting).toContain('firewall_block_ip {"ip":"5.6.7.8"}');
  expect(waiting).toMatch(/1 of 2 +group:security-ops, group:leads +2026-11-22T20:45:00\.000Z/);
  expect(decided).toMatch(/1 of 1 +group:security-ops +- +2026/);
});

test('an approval that is not the last one says who is still needed', async () => {
  const to = await serve(TWO, (response) => sendJson(response, 200, TWO));
  const outcome = await runInProcess(['approval', 'approve', ID, '--call-hash', HASH, ...to]);
  expect(outcome).toMatchObject({ exitCode: 0, stdout: `Approval ${ID} has 1 of 2 approvals; 1 more person of group:security-ops, group:leads must approve the call with hash ${HASH}.\n` });
  expect(outcome.stderr).toContain('firewall_block_ip {"ip":"5.6.7.8"}');
});

test('a call that somebody has edited is granted only by name, so that nobody grants what they have not seen', async () => {
  const to = await serve(TWO, approve);
  expect(await runInProcess(['approval', 'approve', ID, ...to])).toMatchObject({ exitCode: 2, stderr: expect.stringContaining(`openeaap approval approve ${ID} --call-hash ${HASH}`) });
  expect(server?.received.filter((one) => one.method === 'POST')).toEqual([]);
  expect((await runInProcess(['approval', 'show', ID, ...to])).stdout).toContain(`openeaap approval approve ${ID} --call-hash ${HASH}`);
  expect((await runInProcess(['approval', 'reject', ID, '--reason', 'no', ...to])).exitCode).toBe(0);
});
