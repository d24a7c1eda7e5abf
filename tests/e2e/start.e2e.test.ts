import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { createPlatformClient, leaveOneWaiting, startSimulators } from '@openeaap/demo';
import { afterAll, describe, expect, it } from 'vitest';
import { createCleanup } from './harness/cleanup.ts';
import { createDataFolder } from './harness/data-folder.ts';
import { ROOT, startPlatform } from './harness/start-platform.ts';

const cleanup = createCleanup();
afterAll(() => cleanup.run());

async function newFolder() {
  const folder = await createDataFolder();
  cleanup.add(folder.remove);
  return folder;
}

/** The entry script itself, as `npm start` runs it; without a terminal it ends after the job. */
function start(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<{ readonly code: number | null; readonly stdout: string; readonly stderr: string }> {
  const { FIREWALL_URL: _firewall, OPENAI_BASE_URL: _model, OPENAI_API_KEY: _key, ...inherited } = process.env;
  const child = spawn(process.execPath, [path.join(ROOT, 'tools/start.mjs'), ...args], { cwd: ROOT, env: { ...inherited, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
  const output = { stdout: '', stderr: '' };
  child.stdout.on('data', (chunk: Buffer) => (output.stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (output.stderr += chunk.toString()));
  return new Promise((resolve) => child.once('close', (code) => resolve({ code, ...output })));
}

describe('npm start', () => {
  it('leaves a second run waiting for the visitor', async () => {
    const simulators = await startSimulators({ host: '127.0.0.1' });
    cleanup.add(simulators.close);
    const { threatIntelUrl, cmdbUrl, firewallUrl } = simulators;
    const platform = await startPlatform({ folder: await newFolder(), args: ['--demo'], env: { THREAT_INTEL_URL: threatIntelUrl, THREAT_INTEL_KEY: 'k', CMDB_URL: cmdbUrl, FIREWALL_URL: firewallUrl } });
    cleanup.add(platform.stop);
    const { url, api_key: key } = JSON.parse(await readFile(path.join(platform.folder.path, 'connection.json'), 'utf8')) as { readonly url: string; readonly api_key: string };
    const { runId, isHeld } = await leaveOneWaiting({ url, siemKey: key, operator: createPlatformClient(url, key), simulators, occurrence: 'test', signal: AbortSignal.timeout(30_000) });
    expect(isHeld).toBe(true);
    expect((await platform.api.get(`/runs/${runId}`)).body).toMatchObject({ status: 'paused', pause_reason: 'approval', user_id: 'svc-siem' });
    expect(simulators.state().firewallEffects).toBe(0);
  });

  it('shows the whole job, ends with 0 without a terminal, and again on the state of before', async () => {
    const folder = await newFolder();
    for (const round of ['first', 'second']) {
      const { code, stdout } = await start(['--data-dir', folder.path]);
      expect(code, `${round} start:\n${stdout}`).toBe(0);
      for (const part of ['alert ', 'plan ', 'pdp ', 'retrieved ', 'model ', 'tool ', 'HOLD ', 'approval ', 'feedback ', 'audit ', 'chain verified', 'All as expected']) expect(stdout).toContain(part);
      expect(stdout).toContain('[simulated: SIEM, ThreatIntel, CMDB, Firewall]');
    }
  });

  it('ends with another code than 0 when a step was not as expected', async () => {
    const folder = await newFolder();
    // A threat intelligence that is not there: the address cannot be judged, so nothing is blocked.
    const { code, stdout } = await start(['--once', '--data-dir', folder.path], { THREAT_INTEL_URL: 'http://127.0.0.1:9', THREAT_INTEL_KEY: 'k' });
    expect(stdout).toContain('[simulated: SIEM, CMDB, Firewall]');
    expect(stdout).toContain('Not as expected:');
    expect(code).toBe(1);
  });

  it('never lets its script approve a block on a firewall that is real', async () => {
    const folder = await newFolder();
    const { code, stderr } = await start(['--once', '--data-dir', folder.path], { FIREWALL_URL: 'https://firewall.example.com' });
    expect(code).toBe(2);
    expect(stderr).toContain('FIREWALL_URL is set');
  });

  it('--fresh wipes the folder that the server uses, in both spellings of the flag, and no other', async () => {
    const folder = await newFolder();
    expect((await start(['--data-dir', folder.path])).code).toBe(0);
    const marker = path.join(folder.path, 'marker');
    await writeFile(marker, '');
    expect((await start(['--fresh', `--data-dir=${folder.path}`])).code).toBe(0);
    expect(existsSync(marker)).toBe(false);
  });

  it('--fresh leaves a folder alone that a platform owns, and one that is no state folder', async () => {
    const folder = await newFolder();
    const platform = await startPlatform({ folder });
    cleanup.add(platform.stop);
    const owned = await start(['--fresh', '--data-dir', folder.path]);
    expect(owned.code).toBe(1);
    expect(owned.stderr).toContain(String(platform.pid));
    expect((await platform.api.get('/runs')).status).toBe(200);
    const other = await newFolder();
    await writeFile(path.join(other.path, 'holiday.jpg'), '');
    expect(await start(['--fresh', '--data-dir', other.path])).toMatchObject({ code: 1, stderr: expect.stringContaining('does not look like a state folder') });
    expect(existsSync(path.join(other.path, 'holiday.jpg'))).toBe(true);
  });
});
