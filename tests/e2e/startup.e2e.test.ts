import { existsSync } from 'node:fs';
import { cp, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import type { AddressInfo, Server } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { openEmbeddedServer } from '@openeaap/store';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createCleanup } from './harness/cleanup.ts';
import type { DataFolder } from './harness/data-folder.ts';
import { createDataFolder } from './harness/data-folder.ts';
import { at, textAt } from './harness/json.ts';
import type { Platform } from './harness/start-platform.ts';
import { ROOT, runServer, startPlatform } from './harness/start-platform.ts';

const cleanup = createCleanup();
let folder: DataFolder;
let policies: string;
let platform: Platform;

beforeAll(async () => {
  folder = await createDataFolder();
  cleanup.add(folder.remove);
  policies = await mkdtemp(path.join(tmpdir(), 'openeaap-policies-'));
  cleanup.add(() => rm(policies, { recursive: true }));
  await cp(path.join(ROOT, 'policies'), policies, { recursive: true });
  platform = await startPlatform({ folder, args: ['--demo', '--policy-dir', policies] });
  cleanup.add(platform.stop);
});
afterAll(() => cleanup.run());

async function ownFolder(): Promise<DataFolder> {
  const own = await createDataFolder();
  cleanup.add(own.remove);
  return own;
}

async function takePort(port = 0): Promise<Server> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(port, '127.0.0.1', resolve));
  cleanup.add(() => new Promise((resolve) => server.close(resolve)));
  return server;
}

describe('a start', () => {
  it('prints one line of JSON and nothing else, and keeps secrets from others', async () => {
    expect(platform.stdout().trim().split('\n')).toHaveLength(1);
    expect(platform.stderr()).not.toContain(platform.api.apiKey);
    const connection: unknown = JSON.parse(await readFile(path.join(folder.path, 'connection.json'), 'utf8'));
    expect(connection).toEqual({ url: platform.url, api_key: platform.api.apiKey });
    for (const file of ['connection.json', 'masking.key', 'audit-signing.pem']) expect((await stat(path.join(folder.path, file))).mode & 0o077).toBe(0);
    expect(platform.url).toContain('127.0.0.1');
  });

  it('is refused to a second process on the same folder, which is told whose it is; the first serves on', async () => {
    const second = await runServer({ folder });
    expect(second.code).toBe(1);
    expect(second.stdout).toBe('');
    expect(second.stderr).toContain(folder.path);
    expect(second.stderr).toContain(String(platform.pid));
    expect((await platform.api.raw('/readyz', {})).status).toBe(200);
    const connection: unknown = JSON.parse(await readFile(path.join(folder.path, 'connection.json'), 'utf8'));
    expect(textAt(connection, 'url')).toBe(platform.url);
  });

  it('says which port is taken when one was asked for, and leaves no database behind', async () => {
    const taken = await takePort();
    const { port } = taken.address() as AddressInfo;
    const own = await ownFolder();
    const result = await runServer({ folder: own, args: ['--port', String(port)] });
    expect(result.code).toBe(1);
    expect(result.stderr).toContain(`Port ${port} is taken`);
    expect(await own.postmasterPid()).toBeNull();
  });

  it.each([
    ['an unknown flag', ['--prot', '7080']],
    ['a port that is none', ['--port', 'eighty']],
    ['a port out of range', ['--port', '70000']],
    ['a word too many', ['serve']],
  ])('ends with 2 and the usage for %s', async (_what, args) => {
    const own = await ownFolder();
    const result = await runServer({ folder: own, args });
    expect(result.code).toBe(2);
    expect(result.stdout).toBe('');
    expect(result.stderr).toMatch(/--port/);
    expect(result.stderr).not.toMatch(/\n {4}at /);
  });

  it.each([['ENABLE_AUDIT_LOG'], ['ENABLE_PII_MASKING']])('is refused with %s=false', async (name) => {
    const own = await ownFolder();
    const result = await runServer({ folder: own, env: { [name]: 'false' } });
    expect(result.code).toBe(2);
    expect(result.stderr).toContain(name);
    const manifest = await runServer({ folder: own, args: ['--port', 'none'], env: { [name]: 'true' } });
    expect(manifest.stderr).not.toContain(name);
  });

  it.each([
    ['an unknown key', 'approval_gates:\n  - tool_pattern: "x"\n    condition: "always"\n    aprovers: ["group:a"]\n', /broken\.yaml:4:\d+/],
    ['a condition that does not parse', 'approval_gates:\n  - tool_pattern: "x"\n    condition: "input.cmd contians \'rm\'"\n    approvers: ["group:a"]\n', /broken\.yaml:3:\d+/],
    ['YAML that does not parse', 'approval_gates: [\n', /broken\.yaml:\d+:\d+/],
  ])('is refused with %s in a policy file, with its place and the cure', async (_what, text, place) => {
    const own = await ownFolder();
    const dir = path.join(own.path, 'policies');
    await cp(path.join(ROOT, 'policies'), dir, { recursive: true });
    await writeFile(path.join(dir, 'broken.yaml'), text);
    const result = await runServer({ folder: own, args: ['--policy-dir', dir] });
    expect(result.code).toBe(1);
    expect(result.stderr).toMatch(place);
    expect(result.stderr).not.toMatch(/\n {4}at /);
    expect(await own.postmasterPid(), 'no database is left behind').toBeNull();
  });

  it('is refused without any policy', async () => {
    const own = await ownFolder();
    const result = await runServer({ folder: own, args: ['--policy-dir', path.join(own.path, 'nowhere')] });
    expect(result.code).toBe(1);
    expect(result.stderr).toContain('nowhere');
  });

  it('is refused when the products behind the tools have an address that would leak keys', async () => {
    const own = await ownFolder();
    const result = await runServer({ folder: own, env: { THREAT_INTEL_URL: 'http://intel.example.com', CMDB_URL: 'http://127.0.0.1:9', FIREWALL_URL: 'http://127.0.0.1:9' } });
    expect(result.code).not.toBe(0);
    expect(result.stderr).toContain('https');
  });
});

describe('POST /policies/reload', () => {
  const test = { kind: 'act', tool: 'firewall_block_ip', input: { ip: '45.1.1.1', reason: 'x' } };

  it('refuses a broken file with its place, and the old policy still decides', async () => {
    const before = await platform.api.get('/policies');
    await writeFile(path.join(policies, 'zz.yaml'), 'rules:\n  - name: "no"\n    effect: "dney"\n');
    const reloaded = await platform.api.post('/policies/reload');
    expect(reloaded.status).toBe(422);
    expect(reloaded.body).toMatchObject({ code: 'policy_invalid' });
    expect(textAt(reloaded.body, 'detail')).toMatch(/zz\.yaml:\d+:\d+/);
    expect((await platform.api.get('/policies')).body).toMatchObject({ version: textAt(before.body, 'version') });
    expect((await platform.api.post('/policies/test', test)).body).toMatchObject({ effect: 'require_approval' });
    const run = await platform.api.startRun('security-triage', '分析 IP 203.0.113.50 的威胁等级');
    expect(await platform.api.ended(run)).toMatchObject({ status: 'completed' });
  });

  it('takes a good one at once; a run that waits stays with the policy it began with', async () => {
    await rm(path.join(policies, 'zz.yaml'), { force: true });
    const held = await platform.api.startRun('security-triage', 'alert ALERT-77: anomalous login from 1.2.3.4 on vpn-gw-01');
    const approvalId = await platform.api.pendingApproval(held);
    await writeFile(path.join(policies, 'zz.yaml'), 'rules:\n  - name: "freeze"\n    tool_pattern: "firewall_*"\n    effect: "deny"\n    condition: "always"\n    reason: "change freeze"\n');
    const reloaded = await platform.api.post('/policies/reload');
    expect(reloaded).toMatchObject({ status: 200, body: { changed: true } });
    expect((await platform.api.post('/policies/test', test)).body).toMatchObject({ effect: 'deny', rule: 'rules.freeze', reason: 'change freeze' });
    await platform.api.decide(approvalId, { verdict: 'approve' });
    expect(await platform.api.ended(held)).toMatchObject({ status: 'completed' });
    expect((await platform.api.steps(held)).find((step) => at(step, 'tool') === 'firewall_block_ip')).toMatchObject({ status: 'done' });
    const denied = await platform.api.startRun('security-triage', 'alert ALERT-78: anomalous login from 1.2.3.4 on vpn-gw-01');
    expect(await platform.api.ended(denied)).toMatchObject({ status: 'completed', pending_approvals: [] });
    // What the policy never allows is not even shown to the model.
    expect((await platform.api.steps(denied)).filter((step) => at(step, 'tool') === 'firewall_block_ip')).toEqual([]);
    await rm(path.join(policies, 'zz.yaml'));
    expect((await platform.api.post('/policies/reload')).status).toBe(200);
  });
});

describe('a store of one\'s own by DATABASE_URL', () => {
  it('starts, runs and stops, and leaves the database running', async () => {
    const systemBin = '/usr/lib/postgresql/15/bin';
    const database = await createDataFolder();
    cleanup.add(database.remove);
    const server = await openEmbeddedServer({ dataDir: database.path, binDir: existsSync(path.join(systemBin, 'postgres')) ? systemBin : undefined });
    cleanup.add(() => server.close());
    const own = await ownFolder();
    const external = await startPlatform({ folder: own, args: ['--demo'], env: { DATABASE_URL: server.url } });
    cleanup.add(external.kill);
    const runId = await external.api.startRun('security-triage', '分析 IP 203.0.113.50 的威胁等级');
    expect(await external.api.ended(runId)).toMatchObject({ status: 'completed' });
    expect(await own.postmasterPid(), 'no embedded server is started').toBeNull();
    expect(await external.stop()).toBe(0);
    expect(await database.postmasterPid()).not.toBeNull();

    const again = await startPlatform({ folder: own, args: ['--demo'], env: { DATABASE_URL: server.url } });
    cleanup.add(again.kill);
    expect(again.api.apiKey).toBe(external.api.apiKey);
    expect(await again.api.run(runId)).toMatchObject({ status: 'completed' });
    expect(await again.stop()).toBe(0);
  });

  it('says clearly when it cannot be reached, without the password', async () => {
    const own = await ownFolder();
    const closed = await takePort();
    const { port } = closed.address() as AddressInfo;
    await new Promise((resolve) => closed.close(resolve));
    const result = await runServer({ folder: own, env: { DATABASE_URL: `postgres://someone:hunter2hunter2@127.0.0.1:${port}/nowhere` } });
    expect(result.code).toBe(1);
    expect(result.stderr).toMatch(/database/i);
    expect(result.stderr).not.toContain('hunter2');
    expect(result.stderr).not.toMatch(/\n {4}at /);
  });
});

describe('without --port', () => {
  it('takes the next free port when the usual one is taken', async () => {
    // Taken here or by somebody else on this machine: either way the platform must find another.
    await takePort(7080).catch(() => null);
    const own = await ownFolder();
    const chosen = await startPlatform({ folder: own, args: [], usualPort: true });
    cleanup.add(chosen.kill);
    expect(Number(new URL(chosen.url).port)).toBeGreaterThan(7080);
    expect(await chosen.stop()).toBe(0);
  });
});
