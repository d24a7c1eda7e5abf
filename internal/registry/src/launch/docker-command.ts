import { spawn } from 'node:child_process';
import type { Readable } from 'node:stream';
import type { DockerDeps } from './docker-settings.ts';

export interface CommandResult {
  /** null: it did not end by itself, or could not be started. */
  readonly code: number | null;
  readonly output: string;
}

const OUTPUT_CHARS = 65_536;
const LINE_CHARS = 2_000;

/** One short command to the engine. Never rejects. */
export function runDocker(deps: Pick<DockerDeps, 'docker' | 'environment'>, args: readonly string[], timeoutMs: number): Promise<CommandResult> {
  return new Promise((resolve) => {
    let output = '';
    const child = spawn(deps.docker, args, { detached: true, stdio: ['ignore', 'pipe', 'ignore'], env: { ...deps.environment } });
    const timer = setTimeout(() => child.kill('SIGKILL'), timeoutMs);
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      output = (output + chunk).slice(0, OUTPUT_CHARS);
    });
    const done = (code: number | null): void => {
      clearTimeout(timer);
      resolve({ code, output });
    };
    child.once('error', () => done(null));
    child.once('close', done);
  });
}

/** Lines that are not empty, each cut to a sane length. */
export function readLines(stream: Readable, onLine: (line: string) => void): void {
  let rest = '';
  const tell = (line: string): void => {
    if (line.trim() !== '') onLine(line.slice(0, LINE_CHARS));
  };
  stream.setEncoding('utf8');
  stream.on('data', (chunk: string) => {
    const lines = (rest + chunk).split('\n');
    // A program that never ends its line must not fill our memory.
    rest = (lines.pop() ?? '').slice(0, LINE_CHARS);
    for (const line of lines) tell(line);
  });
  stream.on('end', () => tell(rest));
}
