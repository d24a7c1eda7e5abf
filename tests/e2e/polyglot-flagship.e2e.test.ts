import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse, stringify } from 'yaml';
import type { SseEvent } from './harness/api-client.ts';
import { createCleanup } from './harness/cleanup.ts';
import { createDataFolder } from './harness/data-folder.ts';
import { at, listAt, textAt } from './harness/json.ts';
import type { ProductServer } from './harness/product-server.ts';
import { startProductServer } from './harness/product-server.ts';
import type { Platform } from './harness/start-platform.ts';
import { ROOT, startPlatform } from './harness/start-platform.ts';

/** What `npm test` installs before it comes here; `npx vitest` alone does not. */
const NEEDED = ['sdk/python/.venv/bin/openeaap-worker', 'plugins/langchain-bridge/.venv-lc1/bin/openeaap-langchain-bridge'].map((file) => path.join(ROOT, file));
const EXAMPLE = path.join(ROOT, 'examples/soc-polyglot');
const isInstalled = NEEDED.every((file) => existsSync(file)) && spawnSync('go', ['version']).status === 0;
const isWanted = isInstalled || process.env['CI'] === 'true';
if (!isWanted) process.stderr.write('SKIPPED: the flagship job in three languages. It needs Go, and what `npm test -- python` and `npm test -- langchain` install.\n');

/** The example's own file, with the stand-ins of the products in place of their addresses. */
function declarations(product: ProductServer): string {
  const file = parse(readFileSync(path.join(EXAMPLE, 'plugins.yaml'), 'utf8')) as { plugins: { env?: Record<string, string> }[] };
  for (const plugin of file.plugins) for (const name of Object.keys(plugin.env ?? {})) if (plugin.env !== undefined) plugin.env[name] = product.env[name] ?? '';
  return stringify(file);
}

/** Pids of processes with this text in their command line, as the kernel knows them. */
function pidsOf(text: string): readonly number[] {
  return readdirSync('/proc').filter((name) => /^\d+$/.test(name)).map(Number).filter((pid) => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').some((part) => part.endsWith(text));
    } catch {
      return false;
    }
  });
}

describe.runIf(isWanted)('the flagship job with a LangChain agent, tools in Python and a firewall in Go', () => {
  const cleanup = createCleanup();
  let product: ProductServer;
  let platform: Platform;

  beforeAll(async () => {
    const built = spawnSync('go', ['build', '-o', 'firewall', '.'], { cwd: path.join(EXAMPLE, 'firewall'), encoding: 'utf8' });
    if (built.status !== 0) throw new Error(built.stderr);
    product = await startProductServer();
    cleanup.add(product.close);
    const folder = await createDataFolder();
    cleanup.add(folder.remove);
    // Relative paths are meant from the folder around the configuration: that of the repository.
    const configs = path.join(ROOT, 'node_modules/.cache/openeaap-polyglot');
    cpSync(path.join(ROOT, 'configs'), path.join(configs, 'configs'), { recursive: true });
    const absolute = declarations(product).replaceAll('cwd: examples', `cwd: ${ROOT}/examples`).replaceAll('- examples/', `- ${ROOT}/examples/`);
    writeFileSync(path.join(configs, 'configs/plugins.yaml'), absolute);
    platform = await startPlatform({ folder, args: ['--demo', '--config-dir', path.join(configs, 'configs')], env: { ...product.env, THREAT_INTEL_KEY: 'the-key-of-threat-intel' } });
    cleanup.add(platform.stop);
    const agent = await platform.api.post('/agents', parse(readFileSync(path.join(EXAMPLE, 'agent.yaml'), 'utf8')) as never);
    if (agent.status !== 201) throw new Error(JSON.stringify(agent.body));
    await platform.api.post(`/agents/${textAt(agent.body, 'agent_id')}/publish`, {});
  });
  afterAll(() => cleanup.run());

  it('finds every plugin with its language', async () => {
    const plugins = listAt((await platform.api.get('/plugins')).body, 'items');
    const of = (name: string) => plugins.find((plugin) => at(plugin, 'name') === name);
    expect(of('soc-tools')).toMatchObject({ status: 'ready', copies: { ready: 2 }, tools: ['check_ip_reputation', 'cmdb_lookup'] });
    expect(textAt(of('soc-tools'), 'sdk')).toMatch(/^python /);
    expect(textAt(of('firewall'), 'sdk')).toMatch(/^go /);
    expect(of('langchain')).toMatchObject({ status: 'ready', agents: ['triage'] });
    expect(of('security-tools')).toBeUndefined();
  });

  it('triages the alert, is killed between two steps, goes on, waits for the approval and blocks once', async () => {
    const fired = await platform.api.post('/triggers/siem', { id: 'P-1', rule: '异常登录', title: 'VPN 异常登录 P-1', source_ip: '45.61.7.7', user: 'zhangwei', asset: 'vpn-gw-01' });
    const runId = textAt(fired.body, 'run_id');
    const events: SseEvent[] = [];
    let killed: readonly number[] = [];
    for await (const event of platform.api.stream(`/runs/${runId}/events`)) {
      if (event.type !== 'step_delta') events.push(event);
      if (killed.length === 0 && event.type === 'tool_result') {
        killed = pidsOf('openeaap-langchain-bridge');
        for (const pid of killed) process.kill(pid, 'SIGKILL');
      }
      if (event.type !== 'run_paused') continue;
      expect(product.blockRequests('45.61.7.7')).toEqual([]);
      const approvalId = textAt(events.find(({ type }) => type === 'governance_intervention')?.data, 'approval_id');
      const held = await platform.api.get(`/approvals/${approvalId}`);
      expect(held.body).toMatchObject({ tool: 'firewall_block_ip', args: { ip: '45.61.7.7' } });
      await platform.api.decide(approvalId, { verdict: 'approve', call_hash: textAt(held.body, 'call_hash'), comment: 'yes' });
    }
    expect(killed.length).toBeGreaterThan(0);
    expect(events.map(({ id }) => id)).toEqual(events.map((_event, index) => index + 1));
    expect(await platform.api.run(runId)).toMatchObject({ status: 'completed', agent_name: 'security-triage', agent_version: '2.0.0' });
    expect(product.effects('45.61.7.7')).toHaveLength(1);
    expect(product.blockRequests('45.61.7.7')).toMatchObject([{ key: expect.stringContaining(runId) }]);
    expect(textAt(events.at(-1)?.data, 'output')).toContain('45.61.7.7');
    const tools = events.filter(({ type }) => type === 'tool_call').map(({ data }) => textAt(data, 'tool'));
    expect(new Set(tools)).toEqual(new Set(['search_knowledge', 'check_ip_reputation', 'cmdb_lookup', 'firewall_block_ip']));
    // Its model calls were the gateway's: metered, and on the steps of the run.
    expect(Number(at(await platform.api.run(runId), 'usage', 'prompt_tokens'))).toBeGreaterThan(0);
    const told = JSON.stringify([events, platform.stderr()]);
    expect(told).not.toContain('the-key-of-threat-intel');
    const bridge = listAt((await platform.api.get('/plugins')).body, 'items').find((plugin) => at(plugin, 'name') === 'langchain');
    expect(at(bridge, 'copies', 'restarts')).toBeGreaterThan(0);
  });
});
