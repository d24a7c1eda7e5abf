import { spawn } from 'node:child_process';
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

const ROOT = path.resolve(import.meta.dirname, '../../../..');
const START_LIMIT_MS = 60_000;
const STOP_LIMIT_MS = 40_000;

export interface Server {
  readonly url: string;
  readonly apiKey: string;
  readonly stop: () => Promise<void>;
}

/** The built server of this repository as a process of its own, with policies of a test beside its own. */
export async function startServer(policy: string): Promise<Server> {
  const folder = await mkdtemp(path.join(tmpdir(), 'openeaap-sdk-'));
  const policies = path.join(folder, 'policies');
  await cp(path.join(ROOT, 'policies'), policies, { recursive: true });
  await writeFile(path.join(policies, 'sdk.yaml'), policy);
  const inherited = Object.fromEntries(['PATH', 'HOME', 'TMPDIR', 'LANG'].flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]])));
  const args = [path.join(ROOT, 'cmd/openeaap-server/dist/main.js'), '--json', '--demo', '--port', '0', '--data-dir', path.join(folder, 'data'), '--policy-dir', policies];
  const child = spawn(process.execPath, args, { cwd: ROOT, env: { ...inherited, OPENEAAP_DRAIN_SECONDS: '3' }, stdio: ['ignore', 'pipe', 'pipe'] });
  const gone = new Promise<void>((resolve) => child.once('close', () => resolve()));
  const stop = async (): Promise<void> => {
    child.kill('SIGTERM');
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_LIMIT_MS);
    await gone;
    clearTimeout(timer);
    await rm(folder, { recursive: true, force: true, maxRetries: 5 });
  };
  let stdout = '';
  let stderr = '';
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  try {
    const line = await new Promise<string>((resolve, reject) => {
      const late = setTimeout(() => reject(new Error(`the server did not start in time:\n${stderr}`)), START_LIMIT_MS);
      child.stdout.on('data', (chunk: Buffer) => {
        stdout += chunk.toString();
        const found = /^\{.*\}$/m.exec(stdout)?.[0];
        if (found === undefined) return;
        clearTimeout(late);
        resolve(found);
      });
      child.once('close', (code) => reject(new Error(`the server ended with ${String(code)} instead of starting. Is it built (npx tsc -b tsconfig.build.json)?\n${stderr}`)));
    });
    const ready = JSON.parse(line) as { readonly url: string; readonly api_key: string };
    return { url: ready.url, apiKey: ready.api_key, stop };
  } catch (thrown) {
    await stop();
    throw thrown;
  }
}
