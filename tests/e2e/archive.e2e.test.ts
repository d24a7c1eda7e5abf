import { spawn } from 'node:child_process';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createCleanup } from './harness/cleanup.ts';
import type { DataFolder } from './harness/data-folder.ts';
import { createDataFolder } from './harness/data-folder.ts';
import { at, textAt } from './harness/json.ts';
import type { ModelServer } from './harness/model-server.ts';
import { after, answer, startModelServer } from './harness/model-server.ts';
import type { Platform } from './harness/start-platform.ts';
import { ROOT, runCli, startPlatform } from './harness/start-platform.ts';
import { waitUntil } from './harness/wait-until.ts';

const cleanup = createCleanup();
let platform: Platform;
let folder: DataFolder;
let model: ModelServer;
/** A real run that has ended, with an idempotency key and feedback; the others are made after it. */
let pattern: string;

const OLD_RUNS = 1_600;
const inTime = after(Promise.resolve(), answer('done'));

beforeAll(async () => {
  model = await startModelServer();
  cleanup.add(model.close);
  folder = await createDataFolder();
  cleanup.add(folder.remove);
  platform = await startPlatform({ folder, env: model.env });
  cleanup.add(platform.kill);
  await platform.api.publishAgent('plain', {});
  model.script('pattern', inTime, inTime);
  const reply = await platform.api.post('/agents/plain/runs', { input: '[pattern] x', idempotency_key: 'the pattern' });
  pattern = textAt(reply.body, 'run_id');
  await platform.api.ended(pattern);
  await platform.api.post(`/runs/${pattern}/feedback`, { score: -1, correction: 'better' });
  await waitUntil('the feedback is collected', async () => (await folder.query('SELECT 1 FROM preference_pairs')).length === 1);
  await age(pattern, 100);
  await multiply(OLD_RUNS);
});
afterAll(() => cleanup.run());

const age = (runId: string, days: number) => folder.query(`UPDATE runs SET created_at = created_at - $2 * interval '1 day', finished_at = finished_at - $2 * interval '1 day' WHERE id = $1`, [runId, days]);

/** Rows as the platform wrote them, under other ids. */
async function multiply(count: number): Promise<void> {
  const columns = async (table: string): Promise<string> =>
    textAt((await folder.query(`SELECT string_agg(quote_ident(attname), ', ') AS list FROM pg_attribute WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped AND attname NOT IN ('id', 'run_id', 'idempotency_key')`, [table]))[0], 'list');
  await folder.query('CREATE TABLE made (id uuid PRIMARY KEY)');
  await folder.query('INSERT INTO made SELECT gen_random_uuid() FROM generate_series(1, $1)', [count]);
  const run = await columns('runs');
  await folder.query(`INSERT INTO runs (id, ${run}) SELECT made.id, ${run} FROM made, (SELECT ${run} FROM runs WHERE id = $1) r`, [pattern]);
  for (const [table, extra] of [['run_steps', ', id'], ['run_events', ''], ['usage', '']] as const) {
    const list = await columns(table);
    await folder.query(`INSERT INTO ${table} (run_id, ${list}${extra}) SELECT made.id, ${list}${extra === '' ? '' : ', gen_random_uuid()'} FROM made, (SELECT ${list} FROM ${table} WHERE run_id = $1) t`, [pattern]);
  }
}

const cli = (...args: readonly string[]) => runCli(['--data-dir', folder.path, ...args], {});
const count = async (text: string): Promise<number> => Number((await folder.query(text))[0]?.['n']);
const oldRuns = () => count(`SELECT count(*) AS n FROM runs WHERE finished_at < now() - interval '90 days'`);

interface Line {
  readonly kind: string;
  readonly data?: Readonly<Record<string, unknown>>;
  readonly run_id?: string;
}

/** Lines of all whole files. */
function readFiles(archive: string): readonly Line[] {
  const files = existsSync(archive) ? readdirSync(archive).filter((name) => name.endsWith('.jsonl.gz')) : [];
  return files.flatMap((name) => gunzipSync(readFileSync(path.join(archive, name))).toString().trimEnd().split('\n').map((line) => JSON.parse(line) as Line));
}

const idsIn = (lines: readonly Line[]): ReadonlySet<string> => new Set(lines.flatMap(({ kind, run_id: id = '' }) => (kind === 'run_end' ? [id] : [])));

/** Starts an archive and kills it as soon as `when` is true, unless it ends before. */
async function archiveUntil(archive: string, when: () => Promise<boolean>): Promise<void> {
  const child = spawn(process.execPath, [path.join(ROOT, 'cmd/openeaap-cli/dist/main.js'), '--data-dir', folder.path, 'archive', '--older-than', '90d', '--to', archive], { stdio: 'ignore' });
  const state = { over: false };
  const exited = new Promise<void>((resolve) => child.once('close', () => resolve()));
  void exited.then(() => (state.over = true));
  await waitUntil('the moment to kill', async () => state.over || (await when()), 60_000);
  child.kill('SIGKILL');
  await exited;
}

describe('openeaap archive', () => {
  it('says what it would do, and refuses what it must not do', async () => {
    const dry = await cli('--json', 'archive', '--older-than', '90d', '--dry-run');
    expect(JSON.parse(dry.stdout)).toMatchObject({ runs: OLD_RUNS + 1 });
    expect((await cli('archive', '--older-than', '6d', '--delete-only')).code).toBe(2);
    expect((await cli('archive', '--older-than', '90d')).code).toBe(2);
    const young = await platform.api.get(`/archive/summary?finished_before=${new Date(Date.now() - 86_400_000).toISOString()}`);
    expect([young.status, at(young.body, 'field')]).toEqual([400, 'finished_before']);
    const reader = await platform.grant('reader', ['runs:read', 'runs:write', 'act_for_others']);
    expect((await reader.get('/archive/summary?finished_before=2020-01-01T00:00:00Z')).status).toBe(403);
    expect(await oldRuns()).toBe(OLD_RUNS + 1);
  });

  it('loses no run however often it is killed, and a repeat goes on', async () => {
    const archive = path.join(folder.path, 'archive');
    const all = new Set((await folder.query(`SELECT id::text AS id FROM runs WHERE finished_at < now() - interval '90 days'`)).map((row) => String(row['id'])));
    const young = await platform.api.startRun('plain', '[pattern] young');
    await platform.api.ended(young);
    const isPartial = async () => existsSync(archive) && readdirSync(archive).some((name) => name.endsWith('.partial'));
    const isWhole = (files: number) => async () => existsSync(archive) && readdirSync(archive).filter((name) => name.endsWith('.jsonl.gz')).length >= files;
    const isBelow = (left: number) => async () => (await oldRuns()) <= left;
    const moments = [isPartial, isWhole(1), isBelow(OLD_RUNS - 60), isBelow(OLD_RUNS - 420), isWhole(5)];
    for (const moment of moments) {
      await archiveUntil(archive, moment);
      const kept = new Set((await folder.query('SELECT id::text AS id FROM runs')).map((row) => String(row['id'])));
      const filed = idsIn(readFiles(archive));
      expect([...all].filter((id) => !kept.has(id) && !filed.has(id)), 'a run that is neither in the database nor in a file').toEqual([]);
    }
    const last = await cli('--json', 'archive', '--older-than', '90d', '--to', archive);
    expect([last.code, last.stderr.includes('error')]).toEqual([0, false]);
    expect(await oldRuns()).toBe(0);

    const lines = readFiles(archive);
    expect(idsIn(lines)).toEqual(all);
    const ofPattern = lines.filter(({ data }) => data?.['run_id'] === pattern || data?.['id'] === pattern);
    expect(ofPattern.map(({ kind }) => kind)).toEqual(expect.arrayContaining(['run', 'step', 'event', 'usage']));
    expect(ofPattern.find(({ kind }) => kind === 'run')?.data).toMatchObject({ idempotency_key: 'the pattern', status: 'completed', output_payload: 'done' });
    const left = await folder.query(`SELECT (SELECT count(*)::int FROM run_steps WHERE run_id <> $1) AS steps, (SELECT count(*)::int FROM run_events WHERE run_id <> $1) AS events, (SELECT count(*)::int FROM usage WHERE run_id <> $1) AS usage`, [young]);
    expect(left).toEqual([{ steps: 0, events: 0, usage: 0 }]);
    expect((await platform.api.get(`/runs/${young}`)).status).toBe(200);
    expect(await count('SELECT count(*) AS n FROM preference_pairs')).toBe(1);
    expect(await count('SELECT count(*) AS n FROM feedback')).toBe(1);
    expect((await platform.api.post('/audit/verify')).body).toMatchObject({ ok: true, problems: [] });
  });

  it('leaves a clear answer behind, and the audit of the run', async () => {
    const reply = await platform.api.get(`/runs/${pattern}`);
    expect(reply.status).toBe(410);
    expect(reply.body).toMatchObject({ code: 'gone', run_id: pattern, detail: expect.stringContaining('files of openeaap archive') });
    for (const route of ['steps', 'events']) expect((await platform.api.get(`/runs/${pattern}/${route}`)).status).toBe(410);
    expect((await platform.api.post(`/runs/${pattern}/cancel`)).status).toBe(410);
    const audit = await platform.api.get(`/audit?run_id=${pattern}`);
    const rows = at(audit.body, 'items') as readonly unknown[];
    expect(rows[0]).toMatchObject({ action_type: 'run_archive', outcome: 'archived', actor: 'user:admin' });
    expect(rows.length).toBeGreaterThan(1);
    const other = await platform.grant('somebody', ['runs:read']);
    expect((await other.get(`/runs/${pattern}`)).status).toBe(404);
    expect((await cli('run', 'get', pattern)).code).toBe(3);
    // The key is forgotten with its run, and not before.
    const again = await platform.api.post('/agents/plain/runs', { input: '[pattern] x', idempotency_key: 'the pattern' });
    expect([again.status, textAt(again.body, 'run_id') === pattern]).toEqual([202, false]);
  });

  it('deletes without a file only when told so, and leaves a run that changed after it was read', async () => {
    const ids: string[] = [];
    for (let number = 0; number < 3; number += 1) ids.push(await platform.api.startRun('plain', `[pattern] ${number}`));
    for (const id of ids) {
      await platform.api.ended(id);
      await age(id, 30);
    }
    const finishedBefore = new Date(Date.now() - 20 * 86_400_000).toISOString();
    const body = (runs: readonly object[]) => ({ finished_before: finishedBefore, runs, outcome: 'archived' });
    const [changed = '', ...rest] = ids;
    const seq = Number((await folder.query('SELECT last_seq FROM runs WHERE id = $1', [changed]))[0]?.['last_seq']);
    const deleted = await platform.api.post('/archive/delete', body([{ run_id: changed, last_seq: seq - 1 }]));
    expect(deleted.body).toEqual({ deleted: [], kept: [changed] });
    const { code, stdout } = await cli('archive', '--older-than', '20d', '--delete-only');
    expect([code, stdout]).toEqual([0, expect.stringContaining('3 runs that ended before')]);
    expect((await platform.api.get(`/runs/${rest[0] ?? ''}`)).body).toMatchObject({ code: 'gone', detail: expect.stringContaining('deleted and not kept') });
  });
});
