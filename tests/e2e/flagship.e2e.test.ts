import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { collect } from './harness/api-client.ts';
import type { SseEvent } from './harness/api-client.ts';
import { createCleanup } from './harness/cleanup.ts';
import { createDataFolder } from './harness/data-folder.ts';
import { at, listAt, textAt } from './harness/json.ts';
import type { ProductServer } from './harness/product-server.ts';
import { startProductServer } from './harness/product-server.ts';
import type { Platform } from './harness/start-platform.ts';
import { startPlatform } from './harness/start-platform.ts';

const cleanup = createCleanup();
let product: ProductServer;
let platform: Platform;

beforeAll(async () => {
  product = await startProductServer();
  cleanup.add(product.close);
  const folder = await createDataFolder();
  cleanup.add(folder.remove);
  platform = await startPlatform({ folder, args: ['--demo'], env: product.env });
  cleanup.add(platform.stop);
});
afterAll(() => cleanup.run());

const alert = (id: string, ip: string) => ({ id, rule: '异常登录', title: `VPN 异常登录 ${id}`, source_ip: ip, user: 'zhangwei', asset: 'vpn-gw-01' });
const typesOf = (events: readonly SseEvent[]): readonly string[] => events.map(({ type }) => type);
const first = (events: readonly SseEvent[], type: string): SseEvent => {
  const found = events.find((event) => event.type === type);
  if (found === undefined) throw new Error(`there is no ${type} among ${typesOf(events).join(', ')}`);
  return found;
};

describe('the flagship job: from a SIEM alert to a blocked IP', () => {
  it('makes a run of the alert, holds the block, acts once after the approval, and leaves a record of all of it', async () => {
    const fired = await platform.api.post('/triggers/siem', alert('A-1', '45.61.1.1'));
    expect(fired.status).toBe(202);
    expect(fired.body).toMatchObject({ deduplicated: false });
    const runId = textAt(fired.body, 'run_id');
    const again = await platform.api.post('/triggers/siem', alert('A-1', '45.61.1.1'));
    expect(again.status).toBe(200);
    expect(again.body).toMatchObject({ run_id: runId, deduplicated: true });
    const redelivered = await platform.api.post('/triggers/siem', { ...alert('A-1', '45.61.1.1'), delivery: 2, last_seen: '2026-11-22T10:00:00Z' });
    expect(redelivered.status, 'another delivery of the alert may carry a counter').toBe(200);
    expect(redelivered.body).toMatchObject({ run_id: runId, deduplicated: true });
    const squatted = await platform.api.post('/agents/security-triage/runs', { input: 'x', idempotency_key: 'trigger:siem:0' });
    expect(squatted.status, 'the keys of triggers are theirs alone').toBe(400);

    const events: SseEvent[] = [];
    for await (const event of platform.api.stream(`/runs/${runId}/events`)) {
      // The text as the model writes it is a preview without a number.
      if (event.type !== 'step_delta') events.push(event);
      if (event.type !== 'run_paused') continue;
      expect(product.blockRequests('45.61.1.1'), 'nothing may be done before the approval').toEqual([]);
      const approvalId = textAt(first(events, 'governance_intervention').data, 'approval_id');
      const held = await platform.api.get(`/approvals/${approvalId}`);
      expect(held.body).toMatchObject({ status: 'pending', tool: 'firewall_block_ip', run_id: runId, approvers: ['group:security-ops'], args: { ip: '45.61.1.1' } });
      const decided = await platform.api.decide(approvalId, { verdict: 'approve', call_hash: textAt(held.body, 'call_hash'), comment: 'yes' });
      expect(decided).toMatchObject({ status: 'approved', decided_by: 'admin' });
    }

    expect(product.blockRequests('45.61.1.1'), 'the firewall must be asked once').toHaveLength(1);
    expect(events.map(({ id }) => id), 'seq must have no gap').toEqual(events.map((_event, index) => index + 1));

    const order = typesOf(events).filter((type) => ['run_started', 'step_thought', 'tool_call', 'tool_result', 'governance_intervention', 'approval_decided', 'run_completed'].includes(type));
    expect(order[0]).toBe('run_started');
    expect(order.at(-1)).toBe('run_completed');
    expect(order.indexOf('step_thought')).toBeLessThan(order.indexOf('tool_call'));
    expect(order.indexOf('tool_call')).toBeLessThan(order.indexOf('tool_result'));
    expect(order.lastIndexOf('governance_intervention')).toBeLessThan(order.indexOf('approval_decided'));
    const blocked = events.find((event) => event.type === 'tool_call' && at(event.data, 'tool') === 'firewall_block_ip');
    expect(blocked?.id).toBeGreaterThan(first(events, 'approval_decided').id ?? 0);

    // The fields of section 16.1.
    expect(first(events, 'run_started').data).toMatchObject({ run_id: runId, status: 'running' });
    expect(typeof at(first(events, 'step_thought').data, 'content')).toBe('string');
    const reputation = events.find((event) => event.type === 'tool_call' && at(event.data, 'tool') === 'check_ip_reputation');
    expect(reputation?.data).toMatchObject({ tool: 'check_ip_reputation', input: { ip: '45.61.1.1' } });
    const result = events.find((event) => event.type === 'tool_result' && at(event.data, 'tool') === 'check_ip_reputation');
    expect(result?.data).toMatchObject({ output: { score: 95, risk: 'high' } });
    expect(typeof at(first(events, 'governance_intervention').data, 'reason')).toBe('string');
    expect(textAt(first(events, 'run_completed').data, 'output')).toContain('45.61.1.1');

    const run = await platform.api.run(runId);
    expect(run).toMatchObject({ status: 'completed', source: 'trigger:siem', user_id: 'svc-siem', agent_name: 'security-triage' });
    expect(listAt(run, 'lineage').length).toBeGreaterThan(0);
    const lineage = await platform.api.get(`/runs/${runId}/lineage`);
    expect(typeof at(lineage.body, 'items', 0, 'chunk_id')).toBe('string');
    expect(typeof at(lineage.body, 'items', 0, 'content')).toBe('string');

    const feedback = await platform.api.post(`/runs/${runId}/feedback`, { score: -1, correction: '不应该直接建议封禁，应该建议先隔离观察。', category: 'safety_violation' });
    expect(feedback.status).toBe(201);
    const pairs = await platform.api.get('/datasets/preference-pairs');
    const pair = listAt(pairs.body, 'items').find((item) => at(item, 'id') === textAt(feedback.body, 'preference_pair_id'));
    expect(pair).toMatchObject({ run_id: runId, chosen: '不应该直接建议封禁，应该建议先隔离观察。', category: 'safety_violation' });
    expect(JSON.stringify(at(pair, 'rejected'))).toContain('45.61.1.1');

    const audit = await platform.api.post('/audit/verify');
    expect(audit.body).toMatchObject({ ok: true, problems: [] });
  });

  it('observes and does not block when the score is below the threshold', async () => {
    product.behave('intel', '45.61.1.2', { kind: 'score', score: 35 });
    const fired = await platform.api.post('/triggers/siem', alert('A-2', '45.61.1.2'));
    const run = await platform.api.ended(textAt(fired.body, 'run_id'));
    expect(run).toMatchObject({ status: 'completed', pending_approvals: [] });
    expect(textAt(run, 'output')).toContain('observe');
    expect(product.blockRequests('45.61.1.2')).toEqual([]);
  });

  it('tells the run of a rejection, and blocks nothing', async () => {
    const fired = await platform.api.post('/triggers/siem', alert('A-3', '45.61.1.3'));
    const runId = textAt(fired.body, 'run_id');
    const approvalId = await platform.api.pendingApproval(runId);
    const bare = await platform.api.post(`/approvals/${approvalId}/decide`, { verdict: 'reject' });
    expect(bare.status, 'a rejection needs a reason').toBe(400);
    await platform.api.decide(approvalId, { verdict: 'reject', comment: 'a customer' });
    const run = await platform.api.ended(runId);
    expect(run).toMatchObject({ status: 'completed' });
    expect(product.blockRequests('45.61.1.3')).toEqual([]);
    const act = (await platform.api.steps(runId)).find((step) => at(step, 'tool') === 'firewall_block_ip');
    expect(act).toMatchObject({ status: 'rejected', error: { code: 'approval_rejected' } });
  });

  it('runs the edited call and no other when the approver edits', async () => {
    const fired = await platform.api.post('/triggers/siem', alert('A-4', '45.61.1.4'));
    const runId = textAt(fired.body, 'run_id');
    const approvalId = await platform.api.pendingApproval(runId);
    const internal = await platform.api.post(`/approvals/${approvalId}/decide`, { verdict: 'edit', args: { ip: '10.0.0.9', reason: 'x' } });
    expect(internal.status, 'the PDP checks the edit').toBe(403);
    expect(internal.body).toMatchObject({ code: 'policy_denied' });
    const invalid = await platform.api.post(`/approvals/${approvalId}/decide`, { verdict: 'edit', args: { ip: 'nonsense', reason: 'x' } });
    expect(invalid.status).toBe(400);
    await platform.api.decide(approvalId, { verdict: 'edit', args: { ip: '45.61.1.40', reason: 'the other one', duration_minutes: 60 } });
    expect(await platform.api.ended(runId)).toMatchObject({ status: 'completed' });
    expect(product.blockRequests('45.61.1.4')).toEqual([]);
    expect(product.effects('45.61.1.40')).toHaveLength(1);
  });

  it('lets one of two approvers win, and tells the other who it was', async () => {
    const fired = await platform.api.post('/triggers/siem', alert('A-5', '45.61.1.5'));
    const runId = textAt(fired.body, 'run_id');
    const approvalId = await platform.api.pendingApproval(runId);
    const wrong = await platform.api.post(`/approvals/${approvalId}/decide`, { verdict: 'approve', call_hash: '0'.repeat(64) });
    expect(wrong.status).toBe(409);
    expect(wrong.body).toMatchObject({ code: 'hash_mismatch' });
    const outsider = await platform.grant('svc-siem', ['approvals:read', 'approvals:decide']);
    const notAllowed = await outsider.post(`/approvals/${approvalId}/decide`, { verdict: 'approve' });
    expect(notAllowed.status).toBe(403);
    const replies = await Promise.all([0, 1].map(() => platform.api.post(`/approvals/${approvalId}/decide`, { verdict: 'approve' })));
    expect(replies.map(({ status }) => status).sort()).toEqual([200, 409]);
    expect(replies.find(({ status }) => status === 409)?.body).toMatchObject({ code: 'already_decided', decided_by: 'admin' });
    expect(await platform.api.ended(runId)).toMatchObject({ status: 'completed' });
    expect(product.blockRequests('45.61.1.5')).toHaveLength(1);
  });

  it('cancels a run that waits, and blocks nothing', async () => {
    const fired = await platform.api.post('/triggers/siem', alert('A-6', '45.61.1.6'));
    const runId = textAt(fired.body, 'run_id');
    const approvalId = await platform.api.pendingApproval(runId);
    expect((await platform.api.post(`/runs/${runId}/cancel`, { reason: 'duplicate' })).status).toBe(202);
    expect(await platform.api.ended(runId)).toMatchObject({ status: 'cancelled', pending_approvals: [] });
    expect((await platform.api.post(`/runs/${runId}/cancel`)).status).toBe(200);
    const late = await platform.api.post(`/approvals/${approvalId}/decide`, { verdict: 'approve' });
    expect(late.status).toBe(409);
    expect(typesOf(await collect(platform.api.stream(`/runs/${runId}/events`))).at(-1)).toBe('run_cancelled');
    expect(product.blockRequests('45.61.1.6')).toEqual([]);
  });

  it('retries as a new run with the same input', async () => {
    const fired = await platform.api.post('/triggers/siem', alert('A-2', '45.61.1.2'));
    const original = textAt(fired.body, 'run_id');
    const retried = await platform.api.post(`/runs/${original}/retry`);
    expect(retried.status).toBe(202);
    const runId = textAt(retried.body, 'run_id');
    expect(runId).not.toBe(original);
    expect(await platform.api.ended(runId)).toMatchObject({ status: 'completed', user_id: 'svc-siem', source: `retry:${original}` });
  });

  it('lists runs, tools, plugins, models and knowledge, page by page', async () => {
    const page = await platform.api.get('/runs?limit=2&source=trigger:siem');
    expect(page.status).toBe(200);
    expect(listAt(page.body, 'items')).toHaveLength(2);
    const next = await platform.api.get(`/runs?limit=2&source=trigger:siem&cursor=${encodeURIComponent(textAt(page.body, 'next_cursor'))}`);
    expect(textAt(next.body, 'items', 0, 'run_id')).not.toBe(textAt(page.body, 'items', 0, 'run_id'));
    const tools = listAt((await platform.api.get('/tools')).body, 'items');
    expect(tools.map((tool) => at(tool, 'name')).sort()).toEqual(['calculator', 'check_ip_reputation', 'cmdb_lookup', 'firewall_block_ip', 'search_knowledge']);
    expect(tools.find((tool) => at(tool, 'name') === 'firewall_block_ip')).toMatchObject({ effect: 'destructive', idempotent: true });
    expect((await platform.api.get('/plugins')).status).toBe(200);
    expect(at((await platform.api.get('/models')).body, 'items', 0)).toMatchObject({ name: 'scripted-demo', labels: { simulated: 'true' } });
    const chinese = await platform.api.post('/knowledge/search', { query: '异常登录 处置' });
    const english = await platform.api.post('/knowledge/search', { query: 'phishing response' });
    expect(listAt(chinese.body, 'chunks').length).toBeGreaterThan(0);
    expect(listAt(english.body, 'chunks').length).toBeGreaterThan(0);
  });
});
