import assert from 'node:assert/strict';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { createClient } from '@openeaap/sdk/client';
import type { Client, StreamEvent } from '@openeaap/sdk/client';
import { EXAMPLE } from './places.ts';
import { startPlatform } from './start-platform.ts';
import type { Platform } from './start-platform.ts';

const ALERT = { alert_id: 'SIEM-7', rule_title: 'Brute force', source_ip: '198.51.100.7', host: 'web-01', user: 'alice' };

describe('in runs of the real platform, which starts the plugin itself', () => {
  let platform: Platform;
  let client: Client;

  before(async () => {
    platform = await startPlatform();
    client = createClient({ url: platform.url, apiKey: platform.apiKey });
    const plugin = await client.plugins.waitReady('vercel-ai-sdk');
    assert.deepEqual([plugin.tools, plugin.agents], [['ip_in_networks'], ['analyst']]);
    platform.publish(path.join(EXAMPLE, 'agent.yaml'));
  });
  after(() => platform.stop());

  test('it triages an alert: procedures, evidence side by side, and a block that a person approves', async () => {
    const { run_id } = await client.runs.create('ai-sdk-triage', { input: ALERT });
    const paused = await client.runs.wait(run_id, { until: 'ended_or_paused' });
    assert.equal(paused.status, 'paused', JSON.stringify(paused));
    const [approvalId = ''] = paused.pending_approvals;
    const { call_hash: callHash, tool } = await client.approvals.get(approvalId);
    assert.equal(tool, 'firewall_block_ip');
    await client.approvals.decide(approvalId, { verdict: 'approve', callHash });
    const run = await client.runs.wait(run_id);
    assert.equal(run.status, 'completed', JSON.stringify(run));
    assert.match(JSON.stringify(run.output), /^"Conclusion: 198\.51\.100\.7 is blocked/);
    const steps = await client.runs.steps(run_id);
    assert.deepEqual(steps.map(({ kind }) => kind), ['think', 'act', 'think', 'act', 'act', 'think', 'act', 'think']);
    assert.ok(steps.every(({ status }) => status === 'done'));
  });

  test('its own tool is called as a step, and its text is shown as it is written', async () => {
    await client.agents.create({ name: 'networks', version: '1.0.0', configuration: { runtime: 'vercel-ai-sdk', entrypoint: 'analyst', tools: ['ip_in_networks'], model: { name: 'networks' } } });
    await client.agents.publish('networks@1.0.0');
    const events = await follow('10.1.2.3');
    assert.equal(outputOf(events), 'It lies in ["10.0.0.0/8"].');
    const shown = events.filter(({ type }) => type === 'step_delta').map(({ data }) => (data as { readonly text: string }).text);
    assert.equal(shown.join(''), 'Is it one of ours?It lies in ["10.0.0.0/8"].');
  });

  test('what its tool refuses is told to it', async () => {
    assert.equal(outputOf(await follow('web-01')), 'tool_failed: ip: "web-01" is no IP address.');
  });

  async function follow(input: string): Promise<readonly StreamEvent[]> {
    const { run_id } = await client.runs.create('networks', { input });
    const events: StreamEvent[] = [];
    for await (const event of client.runs.stream(run_id, { signal: AbortSignal.timeout(30_000) })) events.push(event);
    return events;
  }

  const outputOf = (events: readonly StreamEvent[]): unknown => (events.at(-1)?.data as { readonly output?: unknown } | undefined)?.output;
});
