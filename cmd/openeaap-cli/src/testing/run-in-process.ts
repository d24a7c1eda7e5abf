import { tmpdir } from 'node:os';
import { Readable, Writable } from 'node:stream';
import { systemClock } from '@openeaap/kernel';
import type { CliIo } from '../cli-io.ts';
import type { ExitCode } from '../exit-code.ts';
import { runCli } from '../run-cli.ts';

export interface Outcome {
  readonly exitCode: ExitCode;
  readonly stdout: string;
  readonly stderr: string;
}

export type Overrides = Partial<Omit<CliIo, 'stdin'>> & { readonly stdinText?: string };

export const FIXED_ID = '018f0000-0000-7000-8000-0000000000ff';

/** Runs one command line in this process, as `main.ts` does in its own. */
export async function runInProcess(argv: readonly string[], overrides: Overrides = {}): Promise<Outcome> {
  const stdout = collector();
  const stderr = collector();
  const exitCode = await runCli(argv, {
    stdout: stdout.stream,
    stderr: stderr.stream,
    stdin: Readable.from(overrides.stdinText === undefined ? [] : [overrides.stdinText]),
    stdoutIsTty: false,
    stdinIsTty: false,
    columns: null,
    cwd: tmpdir(),
    environment: { url: null, apiKey: null, dataDir: null, noColor: false },
    fetch,
    clock: { ...systemClock, sleep: () => Promise.resolve() },
    newId: () => FIXED_ID,
    signal: new AbortController().signal,
    version: '0.1.0',
    nodeVersion: '20.20.0',
    programFolder: new URL('../', import.meta.url),
    ...overrides,
  });
  return { exitCode, stdout: stdout.text(), stderr: stderr.text() };
}

function collector(): { readonly stream: Writable; readonly text: () => string } {
  const chunks: Buffer[] = [];
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      chunks.push(Buffer.from(chunk));
      done();
    },
  });
  return { stream, text: () => Buffer.concat(chunks).toString('utf8') };
}
