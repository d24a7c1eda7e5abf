import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { collect } from './harness/api-client.ts';
import { createCleanup } from './harness/cleanup.ts';
import { textAt } from './harness/json.ts';
import { after, answer, calls } from './harness/model-server.ts';
import type { Fleet } from './harness/start-fleet.ts';
import { startFleet } from './harness/start-fleet.ts';
import { waitUntil } from './harness/wait-until.ts';

const cleanup = createCleanup();
let fleet: Fleet;

beforeAll(async () => {
  fleet = await startFleet(cleanup);
});
afterAll(() => cleanup.run());

describe('two nodes on one database', () => {
  it('share runs, events and approvals, and one takes over from the other within 10 s of its death', async () => {
    const { model, product, start } = fleet;
    const first = await start();
    await first.api.publishAgent('blocker', { tools: ['firewall_block_ip'] });
    model.script('dies', after(new Promise(() => undefined), answer('never')), answer('taken over'));
    const runId = await first.api.startRun('blocker', '[dies] x');
    await waitUntil('the first node thinks', () => model.requests('dies').length === 1);

    const second = await start();
    expect(await second.api.run(runId), 'a second node leaves the runs of a living one alone').toMatchObject({ status: 'running' });
    expect(model.requests('dies')).toHaveLength(1);
    const watched = collect(second.api.stream(`/runs/${runId}/events`));
    const killedAt = performance.now();
    await first.kill();
    expect(await second.api.ended(runId)).toMatchObject({ status: 'completed', output: 'taken over' });
    expect(performance.now() - killedAt).toBeLessThan(12_000);
    const events = (await watched).filter(({ id }) => id !== null);
    expect(events.map(({ id }) => id)).toEqual(events.map((_event, index) => index + 1));

    const third = await start();
    model.script('crossed', calls('block', { name: 'firewall_block_ip', args: { ip: '45.67.1.1', reason: 'x' } }), answer('blocked'));
    const crossed = await third.api.startRun('blocker', '[crossed] x');
    const approvalId = await second.api.pendingApproval(crossed);
    const [one, other] = await Promise.all([second, third].map(({ api }) => api.post(`/approvals/${approvalId}/decide`, { verdict: 'approve' })));
    expect(new Set([one?.status, other?.status])).toEqual(new Set([200, 409]));
    expect(await second.api.ended(crossed)).toMatchObject({ status: 'completed', output: 'blocked' });
    expect(product.blockRequests('45.67.1.1')).toHaveLength(1);

    const replies = await Promise.all(Array.from({ length: 20 }, (_none, index) => (index % 2 === 0 ? second : third).api.post('/agents/blocker/runs', { input: '[plain] x', idempotency_key: 'both' })));
    expect(new Set(replies.map(({ body }) => textAt(body, 'run_id'))).size).toBe(1);
    for (const { api } of [second, third]) expect((await api.post('/audit/verify')).body).toMatchObject({ ok: true, problems: [] });
  });

  it('each serve what the other drives: an api node and an orchestrator node, with deltas, cancellation and decisions between them', async () => {
    const { model, product, start } = fleet;
    const api = await start(['--role', 'api']);
    const worker = await start(['--role', 'orchestrator,gateway']);
    expect((await worker.api.get('/runs')).status, 'an orchestrator has no API').toBe(404);
    for (const probe of ['/healthz', '/readyz', '/metrics']) expect((await worker.api.raw(probe, {})).status).toBe(200);

    // Deltas are stored nowhere: they can only have come from node to node.
    let finish = (): void => undefined;
    const begun = new Promise<void>((resolve) => (finish = resolve));
    model.script('shown', after(begun, answer('word '.repeat(60))));
    const shown = await api.api.startRun('blocker', '[shown] x');
    const stream = collect(api.api.stream(`/runs/${shown}/events`));
    await waitUntil('the worker thinks', () => model.requests('shown').length === 1);
    // The reader has told the worker that it watches before the model goes on.
    await waitUntil('the reader has what there is', async () => (await api.api.events(shown)).length >= 3);
    await new Promise((resolve) => setTimeout(resolve, 500));
    finish();
    const seen = await stream;
    expect(seen.filter(({ type }) => type === 'step_delta').length).toBeGreaterThan(0);
    expect(seen.filter(({ id }) => id !== null).map(({ id }) => id)).toEqual(Array.from({ length: seen.filter(({ id }) => id !== null).length }, (_none, index) => index + 1));

    model.script('stopped', after(new Promise(() => undefined), answer('never')));
    const stopped = await api.api.startRun('blocker', '[stopped] x');
    await waitUntil('the worker thinks', () => model.requests('stopped').length === 1);
    expect((await api.api.post(`/runs/${stopped}/cancel`, { reason: 'enough' })).status).toBe(202);
    expect(await api.api.ended(stopped)).toMatchObject({ status: 'cancelled' });

    model.script('gated', calls('block', { name: 'firewall_block_ip', args: { ip: '45.67.2.2', reason: 'x' } }), answer('blocked'));
    const gated = await api.api.startRun('blocker', '[gated] x');
    await api.api.decide(await api.api.pendingApproval(gated), { verdict: 'approve' });
    expect(await api.api.ended(gated)).toMatchObject({ status: 'completed', output: 'blocked' });
    expect(product.blockRequests('45.67.2.2')).toHaveLength(1);
  });
});
