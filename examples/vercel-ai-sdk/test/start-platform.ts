import { execFileSync, spawn } from 'node:child_process';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { EXAMPLE, ROOT } from './places.ts';

export interface Platform {
  readonly url: string;
  readonly apiKey: string;
  /** `npx openeaap agent apply -f FILE --publish` */
  readonly publish: (agentFile: string) => void;
  readonly stop: () => Promise<void>;
}

/** Where the documented files say that the clone lies. */
const CLONE = '/srv/openeaap';
const START_LIMIT_MS = 60_000;
const STOP_LIMIT_MS = 40_000;

/** The built server of this repository with its demo and this example in it, as the README says. */
export async function startPlatform(): Promise<Platform> {
  const folder = await mkdtemp(path.join(tmpdir(), 'openeaap-example-'));
  const [configs, policies, data] = ['configs', 'policies', 'data'].map((name) => path.join(folder, name)) as [string, string, string];
  await cp(path.join(ROOT, 'configs'), configs, { recursive: true });
  await cp(path.join(EXAMPLE, 'test/config'), configs, { recursive: true });
  await writeFile(path.join(configs, 'plugins.yaml'), (await readFile(path.join(EXAMPLE, 'plugins.yaml'), 'utf8')).replaceAll(CLONE, ROOT));
  await cp(path.join(ROOT, 'policies'), policies, { recursive: true });
  await cp(path.join(EXAMPLE, 'policy.yaml'), path.join(policies, 'vercel-ai-sdk.yaml'));
  await cp(path.join(EXAMPLE, 'test/policy.yaml'), path.join(policies, 'test.yaml'));
  const inherited = Object.fromEntries(['PATH', 'HOME', 'TMPDIR', 'LANG'].flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]])));
  const server = spawn(process.execPath, [path.join(ROOT, 'cmd/openeaap-server/dist/main.js'), '--json', '--demo', '--port', '0', '--data-dir', data, '--config-dir', configs, '--policy-dir', policies], {
    cwd: ROOT,
    env: { ...inherited, OPENEAAP_DRAIN_SECONDS: '3' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stderr = '';
  server.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  const gone = new Promise<void>((resolve) => server.once('close', () => resolve()));
  const stop = async (): Promise<void> => {
    server.kill('SIGTERM');
    const timer = setTimeout(() => server.kill('SIGKILL'), STOP_LIMIT_MS);
    await gone;
    clearTimeout(timer);
    await rm(folder, { recursive: true, force: true, maxRetries: 5 });
  };
  const late = setTimeout(() => server.kill('SIGKILL'), START_LIMIT_MS);
  for await (const line of createInterface({ input: server.stdout })) {
    if (!line.startsWith('{')) continue;
    clearTimeout(late);
    const { url, api_key: apiKey } = JSON.parse(line) as { readonly url: string; readonly api_key: string };
    const cli = path.join(ROOT, 'cmd/openeaap-cli/dist/main.js');
    return { url, apiKey, stop, publish: (file) => void execFileSync(process.execPath, [cli, 'agent', 'apply', '-f', file, '--publish'], { cwd: ROOT, env: { ...inherited, OPENEAAP_URL: url, OPENEAAP_API_KEY: apiKey } }) };
  }
  clearTimeout(late);
  await stop();
  throw new Error(`The server did not start. Is it built (npm run build)?\n${stderr}`);
}
