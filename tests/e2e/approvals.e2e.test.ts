import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ApiClient, SseEvent } from './harness/api-client.ts';
import { createCleanup } from './harness/cleanup.ts';
import type { DataFolder } from './harness/data-folder.ts';
import { createDataFolder } from './harness/data-folder.ts';
import { at, listAt, textAt } from './harness/json.ts';
import type { ModelServer } from './harness/model-server.ts';
import { answer, calls, startModelServer } from './harness/model-server.ts';
import type { ProductServer } from './harness/product-server.ts';
import { startProductServer } from './harness/product-server.ts';
import type { Platform } from './harness/start-platform.ts';
import { ROOT, runCli, startPlatform } from './harness/start-platform.ts';
import { waitUntil } from './harness/wait-until.ts';

/** Until the second group may decide. Long enough to be refused before it on a slow machine. */
const ESCALATES_AFTER_S = 15;
const POLICY = `pii_masking: { enabled: true, rules: [] }
approval_gates:
  - name: four-eyes
    tool_pattern: "firewall_block_ip"
    approvers: ["group:security-ops"]
    min_approvals: 2
    forbid_requester: true
    timeout: "1h"
    escalation: { after: "${ESCALATES_AFTER_S}s", approvers: ["group:security-leads"] }
uncertain_outcome: { approvers: ["group:security-leads"] }
`;
const DIRECTORY = `users:
  - { id: admin, groups: [security-ops], clearance: 2 }
  - { id: bob, groups: [security-ops], clearance: 2 }
  - { id: carol, groups: [security-ops], clearance: 2 }
  - { id: lead, groups: [security-leads], clearance: 2 }
  - { id: nobody, groups: [], clearance: 1 }
`;
const DECIDES = ['approvals:read', 'approvals:decide'];

const cleanup = createCleanup();
let model: ModelServer;
let product: ProductServer;
let folder: DataFolder;
let start: () => Promise<Platform>;
let platform: Platform;

beforeAll(async () => {
  model = await startModelServer();
  cleanup.add(model.close);
  product = await startProductServer();
  cleanup.add(product.close);
  const files = await mkdtemp(path.join(tmpdir(), 'openeaap-files-'));
  cleanup.add(() => rm(files, { recursive: true }));
  await cp(path.join(ROOT, 'configs'), path.join(files, 'configs'), { recursive: true });
  await writeFile(path.join(files, 'configs/directory.yaml'), DIRECTORY);
  await mkdir(path.join(files, 'policies'));
  await writeFile(path.join(files, 'policies/test.yaml'), POLICY);
  folder = await createDataFolder();
  cleanup.add(folder.remove);
  start = () => startPlatform({ folder, args: ['--config-dir', path.join(files, 'configs'), '--policy-dir', path.join(files, 'policies')], env: { ...model.env, ...product.env, OPENEAAP_ADMIN_KEY: 'oea_key-of-the-administrator' } });
  platform = await start();
  cleanup.add(() => platform.stop());
  await platform.api.publishAgent('blocker', { tools: ['firewall_block_ip'] });
});
afterAll(() => cleanup.run());

const block = (ip: string) => calls('block', { name: 'firewall_block_ip', args: { ip, reason: 'botnet' } });
const hashOf = async (api: ApiClient, approvalId: string): Promise<string> => textAt((await api.get(`/approvals/${approvalId}`)).body, 'call_hash');

describe('several approvers and an escalation', () => {
  it('two people approve, the second after the escalation, and who watches sees it all on one connection', async () => {
    model.script('two', block('45.70.1.1'), answer('blocked'));
    const [bob, carol, lead, nobody] = await Promise.all(['bob', 'carol', 'lead', 'nobody'].map((user) => platform.grant(user, DECIDES)));
    const runId = await platform.api.startRun('blocker', '[two] go');
    const seen: SseEvent[] = [];
    const watching = (async (): Promise<void> => {
      for await (const event of platform.api.stream(`/runs/${runId}/events`)) if (event.id !== null) seen.push(event);
    })();
    const approvalId = await platform.api.pendingApproval(runId);
    const url = `/approvals/${approvalId}/decide`;
    const hash = await hashOf(platform.api, approvalId);
    const waiting = (await lead?.get(`/approvals/${approvalId}`))?.body;
    expect(waiting).toMatchObject({ status: 'pending', min_approvals: 2, approvals_given: 0, votes: [], approvers: ['group:security-ops'], approvers_now: ['group:security-ops'], escalation: [{ approvers: ['group:security-leads'], escalated: false }] });
    const wakeAt = at(seen.findLast(({ type }) => type === 'run_paused')?.data, 'wake_at');
    expect(Math.abs(Date.parse(String(wakeAt)) - Date.parse(textAt(waiting, 'escalation', 0, 'at')))).toBeLessThan(5_000);

    expect(await lead?.post(url, { verdict: 'approve', call_hash: hash })).toMatchObject({ status: 403, body: { code: 'permission_denied', escalates_at: at(waiting, 'escalation', 0, 'at') } });
    expect(await nobody?.post(url, { verdict: 'approve', call_hash: hash })).toMatchObject({ status: 404 });
    expect(await platform.api.post(url, { verdict: 'approve', call_hash: hash }), 'the requester').toMatchObject({ status: 403, body: { requester: 'admin' } });
    expect(await bob?.post(url, { verdict: 'approve' })).toMatchObject({ status: 400, body: { field: 'call_hash' } });
    expect(await bob?.post(url, { verdict: 'approve', call_hash: 'f'.repeat(64) })).toMatchObject({ status: 409, body: { code: 'hash_mismatch' } });
    expect(await bob?.post(url, { verdict: 'yes' })).toMatchObject({ status: 400, body: { code: 'invalid_input' } });
    expect(await bob?.post('/approvals/01900000-0000-7000-8000-000000000000/decide', { verdict: 'approve' })).toMatchObject({ status: 404 });
    expect(await bob?.post(url, { verdict: 'approve', call_hash: hash, comment: 'seen it' })).toMatchObject({ status: 200, body: { status: 'pending', approvals_given: 1, votes: [{ voter: 'bob', verdict: 'approve', counts: true, comment: 'seen it' }] } });
    expect(await bob?.post(url, { verdict: 'approve', call_hash: hash })).toMatchObject({ status: 409, body: { code: 'conflict', missing: 1 } });

    const cli = (...args: readonly string[]): ReturnType<typeof runCli> => runCli(['approval', ...args, '--url', platform.url], { OPENEAAP_API_KEY: carol?.apiKey ?? '' });
    const list = await cli('list');
    const show = await cli('show', approvalId);
    expect(list.stdout).toMatch(/1 of 2 +group:security-ops +20\d\d-/);
    expect(show.stdout).toMatch(/^approvals +1 of 2\nvotes +bob {2}approve {2}\S+Z {2}seen it\nescalation +group:security-leads from \S+Z$/m);

    await waitUntil('the escalation is told', () => seen.some(({ type }) => type === 'approval_escalated'), 60_000);
    expect((await lead?.get(`/approvals/${approvalId}`))?.body).toMatchObject({ approvers_now: ['group:security-ops', 'group:security-leads'], escalation: [{ escalated: true }] });
    expect(await lead?.post(url, { verdict: 'approve', call_hash: hash })).toMatchObject({ status: 200, body: { status: 'approved', approvals_given: 2, decided_by: 'lead' } });
    expect(await carol?.post(url, { verdict: 'approve', call_hash: hash })).toMatchObject({ status: 409, body: { code: 'already_decided', decided_by: 'lead' } });
    await watching;
    expect(seen.map(({ id }) => id)).toEqual(seen.map((_event, index) => index + 1));
    expect(seen.map(({ type }) => type).filter((type) => /^approval|^run_|^tool/.test(type))).toEqual([
      'run_created', 'run_started', 'run_paused', 'approval_voted', 'run_resumed', 'approval_escalated', 'run_paused', 'approval_decided', 'run_resumed', 'tool_call', 'tool_result', 'run_completed',
    ]);
    expect(product.effects('45.70.1.1')).toHaveLength(1);
    const actions = listAt((await platform.api.get(`/audit?run_id=${runId}&limit=200`)).body, 'items').map((row) => textAt(row, 'action_type')).filter((action) => action.startsWith('approval_'));
    expect(actions.toReversed()).toEqual(['approval_request', 'approval_vote', 'approval_escalation', 'approval_grant']);
  });

  it('an edit by the second person waits for somebody who has seen the edited call', async () => {
    model.script('edited', block('45.70.1.2'), answer('blocked'));
    const [bob, carol] = await Promise.all(['bob', 'carol'].map((user) => platform.grant(user, DECIDES)));
    const runId = await platform.api.startRun('blocker', '[edited] go');
    const approvalId = await platform.api.pendingApproval(runId);
    const url = `/approvals/${approvalId}/decide`;
    const hash = await hashOf(platform.api, approvalId);
    expect(await bob?.post(url, { verdict: 'approve', call_hash: hash })).toMatchObject({ status: 200 });
    const edited = await carol?.post(url, { verdict: 'edit', call_hash: hash, args: { ip: '45.70.1.3', reason: 'botnet' } });
    expect(edited).toMatchObject({ status: 200, body: { status: 'pending', approvals_given: 1, edited_args: { ip: '45.70.1.3' }, votes: [{ voter: 'bob', counts: false }, { voter: 'carol', verdict: 'edit', counts: true }] } });
    const cli = (...args: readonly string[]): ReturnType<typeof runCli> => runCli(['approval', ...args, '--url', platform.url], { OPENEAAP_API_KEY: bob?.apiKey ?? '' });
    expect((await cli('show', approvalId)).stdout).toContain('(about the call before an edit; counts no more)');
    const unseen = await cli('approve', approvalId);
    expect(unseen).toMatchObject({ code: 2, stderr: expect.stringContaining('45.70.1.3') });
    expect((await cli('approve', approvalId, '--call-hash', hash)).code).toBe(5);
    expect(await cli('approve', approvalId, '--call-hash', textAt(edited?.body, 'call_hash'))).toMatchObject({ code: 0, stdout: expect.stringContaining('is approved (approve by bob)') });
    await platform.api.ended(runId);
    expect([product.effects('45.70.1.2').length, product.effects('45.70.1.3').length]).toEqual([0, 1]);
  });

  it('an escalation whose time comes while the server is dead is told, once, when it is back', async () => {
    model.script('down', block('45.70.1.4'), answer('blocked'));
    const runId = await platform.api.startRun('blocker', '[down] go');
    const approvalId = await platform.api.pendingApproval(runId);
    const hash = await hashOf(platform.api, approvalId);
    await platform.kill();
    await folder.query(`UPDATE approvals SET created_at = created_at - interval '1 minute' WHERE id = $1`, [approvalId]);
    await folder.query(`UPDATE runs SET wake_at = wake_at - interval '1 minute' WHERE id = $1`, [runId]);
    platform = await start();
    const escalations = async (): Promise<number> => (await platform.api.events(runId)).filter(({ type }) => type === 'approval_escalated').length;
    await waitUntil('the escalation is told', async () => (await escalations()) > 0);
    const [bob, lead] = await Promise.all(['bob', 'lead'].map((user) => platform.grant(user, DECIDES)));
    expect(await lead?.post(`/approvals/${approvalId}/decide`, { verdict: 'approve', call_hash: hash })).toMatchObject({ status: 200, body: { approvals_given: 1 } });
    expect(await bob?.post(`/approvals/${approvalId}/decide`, { verdict: 'approve', call_hash: hash })).toMatchObject({ status: 200, body: { status: 'approved' } });
    await platform.api.ended(runId);
    expect(await escalations()).toBe(1);
    expect(product.effects('45.70.1.4')).toHaveLength(1);
    expect((await platform.api.post('/audit/verify')).body).toMatchObject({ ok: true, problems: [] });
  });
});
