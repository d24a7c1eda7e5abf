import { spawn } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createCleanup } from './harness/cleanup.ts';
import type { DataFolder } from './harness/data-folder.ts';
import { createDataFolder } from './harness/data-folder.ts';
import { at, listAt, textAt } from './harness/json.ts';
import type { ProductServer } from './harness/product-server.ts';
import { startProductServer } from './harness/product-server.ts';
import type { Platform } from './harness/start-platform.ts';
import { ROOT, runCli, startPlatform } from './harness/start-platform.ts';
import { waitUntil } from './harness/wait-until.ts';

const cleanup = createCleanup();
let product: ProductServer;
let folder: DataFolder;
let platform: Platform;

beforeAll(async () => {
  product = await startProductServer();
  cleanup.add(product.close);
  folder = await createDataFolder();
  cleanup.add(folder.remove);
  platform = await startPlatform({ folder, args: ['--demo'], env: product.env });
  cleanup.add(platform.stop);
});
afterAll(() => cleanup.run());

interface Result {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Finds the server by connection.json in the state folder, as on a machine of one's own. */
const cli = (...args: readonly string[]): Promise<Result> => runCli(args, { OPENEAAP_DATA_DIR: folder.path });

async function json(...args: readonly string[]): Promise<{ readonly code: number | null; readonly body: unknown }> {
  const { code, stdout, stderr } = await cli('--json', ...args);
  try {
    return { code, body: JSON.parse(stdout) };
  } catch {
    throw new Error(`not one JSON document (exit ${String(code)}): ${stdout}\n${stderr}`);
  }
}

const alert = (id: string, ip: string): string => JSON.stringify({ id, rule: 'anomalous login', title: `Anomalous login ${id}`, source_ip: ip, asset: 'vpn-gw-01' });

async function held(id: string, ip: string): Promise<{ readonly runId: string; readonly approvalId: string }> {
  const { code, body } = await json('run', 'create', 'security-triage', '--input', alert(id, ip));
  expect(code).toBe(0);
  const runId = textAt(body, 'run_id');
  return { runId, approvalId: await platform.api.pendingApproval(runId) };
}

describe('run', () => {
  it('create --watch follows the run to its end, and a second terminal approves meanwhile', async () => {
    const watching = cli('run', 'create', 'security-triage', '--input', alert('C-1', '45.65.1.1'), '--watch');
    const waiting = await waitUntil('the run waits', async () => listAt((await platform.api.get('/approvals?status=pending')).body, 'items').find((approval) => textAt(approval, 'args', 'ip') === '45.65.1.1'));
    const approved = await cli('approval', 'approve', textAt(waiting, 'approval_id'), '--comment', 'known bad');
    expect([approved.code, approved.stderr]).toEqual([0, expect.stringContaining('firewall_block_ip')]);
    const { code, stdout, stderr } = await watching;
    expect({ code, stderr }).toMatchObject({ code: 0 });
    for (const type of ['run_started', 'step_thought', 'tool_call', 'governance_intervention', 'approval_decided', 'run_completed']) expect(stdout).toContain(type);
    expect(stdout).toContain('45.65.1.1');
    expect(stdout).not.toContain('\u001b[');
    expect(product.effects('45.65.1.1')).toHaveLength(1);
  });

  it('create is idempotent by key; get, list and steps show the run', async () => {
    const first = await json('run', 'create', 'security-triage', '--input', '分析 IP 203.0.113.50 的威胁等级', '--idempotency-key', 'cli-1');
    const second = await json('run', 'create', 'security-triage', '--input', '分析 IP 203.0.113.50 的威胁等级', '--idempotency-key', 'cli-1');
    const runId = textAt(first.body, 'run_id');
    expect(textAt(second.body, 'run_id')).toBe(runId);
    expect((await cli('run', 'create', 'security-triage', '--input', 'another', '--idempotency-key', 'cli-1')).code).toBe(5);
    const approvalId = await platform.api.pendingApproval(runId);
    expect((await cli('approval', 'approve', approvalId)).code).toBe(0);
    await platform.api.ended(runId);
    expect((await json('run', 'get', runId)).body).toMatchObject({ run_id: runId, status: 'completed' });
    expect(listAt((await json('run', 'list', '--limit', '5')).body, 'items').map((run) => at(run, 'run_id'))).toContain(runId);
    expect(listAt((await json('run', 'steps', runId)).body, 'items').length).toBeGreaterThan(2);
    const table = await cli('run', 'list');
    expect(table.stdout).toContain(runId);
  });

  it('watch prints NDJSON from where it is told, and exits with 6 for a run that did not complete', async () => {
    const { runId } = await held('C-2', '45.65.1.2');
    expect((await cli('run', 'cancel', runId, '--reason', 'duplicate')).code).toBe(0);
    await platform.api.ended(runId);
    const { code, stdout } = await cli('--json', 'run', 'watch', runId, '--after', '3');
    expect(code).toBe(6);
    const lines = stdout.trim().split('\n').map((line) => JSON.parse(line) as unknown);
    expect(at(lines[0], 'seq')).toBe(4);
    expect(at(lines.at(-1), 'type')).toBe('run_cancelled');
    expect((await cli('run', 'retry', runId)).code).toBe(0);
  });

  it('leaves the run alone when the watcher presses Ctrl-C', async () => {
    const { runId } = await held('C-3', '45.65.1.3');
    const child = spawn(process.execPath, [path.join(ROOT, 'cmd/openeaap-cli/dist/main.js'), 'run', 'watch', runId], { env: { PATH: process.env['PATH'] ?? '', OPENEAAP_DATA_DIR: folder.path }, stdio: ['ignore', 'pipe', 'ignore'] });
    let seen = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (seen += text));
    const closed = new Promise<number | null>((resolve) => child.once('close', resolve));
    await waitUntil('the watcher has seen the pause', () => seen.includes('run_paused'));
    child.kill('SIGINT');
    expect(await closed).toBe(130);
    expect(await platform.api.run(runId)).toMatchObject({ status: 'paused' });
  });
});

describe('approval', () => {
  it('list shows what waits; edit changes the call; reject needs a reason; a second decision is a conflict', async () => {
    const edited = await held('C-4', '45.65.1.4');
    const rejected = await held('C-5', '45.65.1.5');
    const list = await json('approval', 'list');
    expect(listAt(list.body, 'items').map((approval) => at(approval, 'approval_id'))).toEqual(expect.arrayContaining([edited.approvalId, rejected.approvalId]));
    const shown = await cli('approval', 'show', edited.approvalId);
    expect(shown.stdout).toContain('45.65.1.4');

    const edit = await cli('approval', 'edit', edited.approvalId, '--args', JSON.stringify({ ip: '45.65.1.40', reason: 'the other one' }));
    expect(edit).toMatchObject({ code: 0 });
    expect(await platform.api.ended(edited.runId)).toMatchObject({ status: 'completed' });
    expect(product.effects('45.65.1.40')).toHaveLength(1);
    expect(product.blockRequests('45.65.1.4')).toEqual([]);

    expect((await cli('approval', 'reject', rejected.approvalId)).code, 'a reason is needed').toBe(2);
    expect((await cli('approval', 'reject', rejected.approvalId, '--reason', 'a customer')).code).toBe(0);
    expect((await cli('approval', 'approve', rejected.approvalId)).code).toBe(5);
    expect(await platform.api.ended(rejected.runId)).toMatchObject({ status: 'completed' });
    expect(product.blockRequests('45.65.1.5')).toEqual([]);
  });

  it('does not decide about a call whose hash is not the one that was seen', async () => {
    const { approvalId } = await held('C-6', '45.65.1.6');
    expect((await cli('approval', 'approve', approvalId, '--call-hash', '0'.repeat(64))).code).toBe(5);
    expect(at((await json('approval', 'show', approvalId)).body, 'status')).toBe('pending');
  });
});

describe('agent and policy', () => {
  it('apply makes a version once, publish makes it current, an older one again is the rollback', async () => {
    const file = path.join(folder.path, 'agent.yaml');
    const text = (version: string): string => `name: "cli-agent"\nversion: "${version}"\nconfiguration:\n  tools: ["calculator"]\n  system_prompt: "v${version}"\n`;
    await writeFile(file, text('1.0.0'));
    expect((await json('agent', 'apply', '-f', file, '--publish')).body).toMatchObject({ applied: ['created', 'published'], current: true });
    expect((await json('agent', 'apply', '-f', file, '--publish')).body).toMatchObject({ applied: ['unchanged'] });
    await writeFile(file, text('1.1.0'));
    expect((await json('agent', 'apply', '-f', file)).body).toMatchObject({ applied: ['created'], status: 'draft' });
    expect((await cli('agent', 'publish', 'cli-agent@1.1.0')).code).toBe(0);
    expect((await json('agent', 'get', 'cli-agent')).body).toMatchObject({ version: '1.1.0' });
    expect((await cli('agent', 'publish', 'cli-agent@1.0.0')).code).toBe(0);
    expect((await json('agent', 'get', 'cli-agent')).body).toMatchObject({ version: '1.0.0' });
    expect(listAt((await json('agent', 'list', '--name', 'cli-agent')).body, 'items')).toHaveLength(2);
    await writeFile(file, 'name: "cli-agent"\nversion: "1.0.0"\nconfigration: {}\n');
    const wrong = await cli('agent', 'apply', '-f', file);
    expect(wrong.code).toBe(2);
    expect(wrong.stderr).toContain('configration');
  });

  it('applies the agent of the demo as it is', async () => {
    expect(await readFile(path.join(ROOT, 'demo/agent.yaml'), 'utf8')).toContain('security-triage');
    expect((await json('agent', 'apply', '-f', path.join(ROOT, 'demo/agent.yaml'), '--publish')).body).toMatchObject({ applied: ['unchanged'] });
  });

  it('policy test says what would be decided, and exits with 8 when that is not what was expected', async () => {
    const args = ['policy', 'test', '--tool', 'firewall_block_ip', '--input', '{"ip":"45.65.1.7","reason":"x"}', '--user', 'svc-siem', '--agent', 'security-triage'];
    expect((await json(...args)).body).toMatchObject({ effect: 'require_approval' });
    expect((await cli(...args, '--expect', 'require_approval')).code).toBe(0);
    expect((await cli(...args, '--expect', 'allow')).code).toBe(8);
    expect((await cli('policy', 'test', '--tool', 'exec_shell_command', '--input', '{"cmd":"rm -rf /"}', '--groups', 'nobody', '--expect', 'deny')).code).toBe(0);
    expect((await cli('policy', 'show')).code).toBe(0);
  });
});

describe('audit verify', () => {
  it('exits with 0 when the record is whole and with 8 when a row was changed', async () => {
    const whole = await cli('audit', 'verify');
    expect([whole.code, whole.stdout]).toEqual([0, expect.stringContaining('intact')]);
    const [row] = await folder.query('SELECT chain_id, chain_seq, actor FROM audit_logs ORDER BY chain_seq LIMIT 1');
    const change = (actor: unknown): Promise<unknown> => folder.query(`SET session_replication_role = replica; UPDATE audit_logs SET actor = '${String(actor)}' WHERE chain_id = '${String(row?.['chain_id'])}' AND chain_seq = ${String(row?.['chain_seq'])}`);
    await change('user:forged');
    const broken = await cli('audit', 'verify');
    await change(row?.['actor']);
    expect([broken.code, broken.stdout]).toEqual([8, expect.stringContaining('changed')]);
    expect((await cli('audit', 'verify')).code).toBe(0);
  });

  it('lists and exports', async () => {
    expect(listAt((await json('audit', 'list', '--limit', '3')).body, 'items')).toHaveLength(3);
    const { code, stdout } = await cli('audit', 'export');
    expect(code).toBe(0);
    expect(stdout.trim().split('\n').length).toBeGreaterThan(10);
  });
});

describe('the command line as such', () => {
  it('doctor finds nothing wrong with a platform that runs', async () => {
    const { code, stdout } = await cli('doctor');
    expect({ code, stdout }).toMatchObject({ code: 0 });
    expect(stdout).toContain('readyz');
  });

  it.each([
    ['2 for a wrong flag', ['run', 'list', '--sttus', 'x'], 2],
    ['2 for an id that is none', ['run', 'get', 'abc'], 2],
    ['3 for a run that is not there', ['run', 'get', '01939c4e-7a30-7cc1-9d3b-5f0f1c3a2b10'], 3],
    ['3 for an agent that is not there', ['run', 'create', 'nobody', '--input', 'x'], 3],
    ['4 for a wrong key', ['run', 'list', '--api-key', 'oea_wrong'], 4],
    ['7 for a server that is not there', ['run', 'list', '--url', 'http://127.0.0.1:9', '--api-key', 'x'], 7],
  ])('exits with %s', async (_what, args, code) => {
    const result = await cli(...args);
    expect(result).toMatchObject({ code, stdout: '' });
    expect(result.stderr).not.toMatch(/\n {4}at /);
  });

  it('prints an error as one line of JSON with --json', async () => {
    const { stderr, stdout } = await cli('--json', 'run', 'get', '01939c4e-7a30-7cc1-9d3b-5f0f1c3a2b10');
    expect(stdout).toBe('');
    expect(JSON.stringify(JSON.parse(stderr.trim().split('\n').at(-1) ?? ''))).toContain('not_found');
  });
});
