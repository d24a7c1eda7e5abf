import { spawn } from 'node:child_process';
import path from 'node:path';
import { describe, expect, test } from 'vitest';

const MAIN = path.join(import.meta.dirname, '../bin/openeaap-worker-runtime.mjs');

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** The built program. `onLine` sees the first line of standard output and may end it. */
function run(args: readonly string[], env: Readonly<Record<string, string>>, onLine: (line: string, stop: () => void) => void = () => undefined): Promise<Ended> {
  const child = spawn(process.execPath, [MAIN, ...args], { env: { PATH: process.env['PATH'] ?? '', ...env } });
  let stdout = '';
  let stderr = '';
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  child.stdout.on('data', (chunk: Buffer) => {
    const isFirst = !stdout.includes('\n');
    stdout += chunk.toString();
    if (isFirst && stdout.includes('\n')) onLine(stdout, () => child.kill('SIGTERM'));
  });
  return new Promise((resolve) => child.once('close', (code) => resolve({ code, stdout, stderr })));
}

describe('openeaap-worker-runtime', () => {
  test('says in one line where it listens, and ends with 0 when it is told to', async () => {
    let announced: unknown;
    const ended = await run([], { OPENEAAP_PLUGIN_LISTEN: '127.0.0.1:0' }, (line, stop) => {
      announced = JSON.parse(line);
      stop();
    });
    expect(announced).toEqual({ openeaap_plugin: 1, listen: expect.stringMatching(/^127\.0\.0\.1:[1-9]\d*$/) });
    expect(ended).toMatchObject({ code: 0, stdout: expect.stringMatching(/^[^\n]+\n$/) });
  });

  test('--help names every variable', async () => {
    const { code, stdout } = await run(['--help'], {});
    expect(code).toBe(0);
    for (const name of ['LISTEN', 'NAME', 'TOKEN', 'TLS_CERT', 'TLS_KEY', 'TLS_CLIENT_CA']) expect(stdout).toContain(`OPENEAAP_PLUGIN_${name}`);
  });

  test('settings that cannot be used, and arguments, are named; nothing is announced', async () => {
    const open = await run([], { OPENEAAP_PLUGIN_LISTEN: '0.0.0.0:0' });
    expect(open).toMatchObject({ code: 1, stdout: '', stderr: expect.stringContaining('OPENEAAP_PLUGIN_TLS_CERT') });
    expect(await run(['--port', '1'], {})).toMatchObject({ code: 2, stdout: '', stderr: expect.stringContaining('no argument --port 1') });
  });
});
