import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { waitUntil } from '../e2e/harness/wait-until.ts';
import type { Fence } from './fences.ts';

/**
 * Does what a reader of a page does, in one folder and in order:
 *
 * - `file=PATH` is written there
 * - `sh run` is run; with `until=TEXT` again and again until it prints that
 * - `sh background` is started and stays
 * - `text output` is what the commands before it have printed: each line, in this order, with any blanks; `…` is anything
 */
export interface PageReader {
  readonly follow: (fence: Fence) => Promise<void>;
  /** Ends what was started, and waits for it. */
  readonly close: () => Promise<void>;
}

export interface PageReaderOptions {
  readonly folder: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** What the page leaves to the reader: `RUN_ID` and the like, by the text that stands there. */
  readonly fill: (text: string) => Promise<string>;
  /** Resolves when what these commands have started can be used. */
  readonly started: (text: string) => Promise<void>;
}

const COMMAND_LIMIT_MS = 150_000;
const UNTIL_LIMIT_MS = 30_000;
const STOP_LIMIT_MS = 40_000;

export function createPageReader(options: PageReaderOptions): PageReader {
  const running: Started[] = [];
  let printed = '';
  return {
    follow: async (fence) => {
      const { file, run, background, until, output } = fence.marks;
      if (file !== undefined) return write(path.join(options.folder, file), fence.text);
      if (output !== undefined) return expectLines(printed, fence.text);
      if (background !== undefined) {
        const started = start(fence.text, options);
        running.push(started);
        await Promise.race([options.started(fence.text), started.gone.then((said) => Promise.reject(new Error(`it ended instead of staying:\n${said}`)))]);
      }
      if (run === undefined) return;
      const text = await options.fill(fence.text);
      if (until === undefined) printed = await runToEnd(text, options);
      else await waitUntil(`"${text.trim()}" prints "${until}"`, async () => (printed = await runToEnd(text, options)).includes(until), UNTIL_LIMIT_MS);
    },
    close: async () => {
      await Promise.all(running.map((one) => one.stop()));
    },
  };
}

async function write(file: string, text: string): Promise<void> {
  await mkdir(path.dirname(file), { recursive: true });
  await writeFile(file, text);
}

interface Started {
  /** Resolves with all that it has printed. */
  readonly gone: Promise<string>;
  readonly stop: () => Promise<void>;
}

/** A shell of its own group, as a terminal has: it is ended with all that it has started. */
function start(text: string, { folder, env }: PageReaderOptions): Started {
  const child = spawn('bash', ['-euo', 'pipefail', '-c', text], { cwd: folder, env: { ...env }, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
  const said = collect(child);
  const gone = new Promise<string>((resolve) => child.once('close', () => resolve(said.all())));
  const onExit = (): void => kill(child, 'SIGKILL');
  process.once('exit', onExit);
  return {
    gone,
    stop: async () => {
      kill(child, 'SIGTERM');
      const late = setTimeout(() => kill(child, 'SIGKILL'), STOP_LIMIT_MS);
      await gone;
      clearTimeout(late);
      process.off('exit', onExit);
    },
  };
}

/** What it printed to standard output. Throws, with all that it said, when it fails. */
async function runToEnd(text: string, { folder, env }: PageReaderOptions): Promise<string> {
  const child = spawn('bash', ['-euo', 'pipefail', '-c', text], { cwd: folder, env: { ...env }, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
  const said = collect(child);
  const late = setTimeout(() => kill(child, 'SIGKILL'), COMMAND_LIMIT_MS);
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  clearTimeout(late);
  if (code !== 0) throw new Error(`this ended with ${String(code)}:\n${text}\n${said.all()}`);
  return said.stdout();
}

function collect(child: ChildProcess): { readonly stdout: () => string; readonly all: () => string } {
  const texts = { stdout: '', all: '' };
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    texts.stdout += text;
    texts.all += text;
  });
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (texts.all += text));
  return { stdout: () => texts.stdout, all: () => texts.all };
}

function kill(child: ChildProcess, signal: NodeJS.Signals): void {
  try {
    if (child.pid !== undefined) process.kill(-child.pid, signal);
  } catch {
    // It is gone already.
  }
}

function expectLines(printed: string, shown: string): void {
  const lines = printed.split('\n').map(squeeze);
  let from = 0;
  for (const line of shown.split('\n').map(squeeze).filter((each) => each !== '')) {
    const pattern = new RegExp(`^${line.split('…').map((piece) => piece.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`)).join('.*')}$`);
    const found = lines.findIndex((each, index) => index >= from && pattern.test(each));
    if (found === -1) throw new Error(`the page shows this line:\n${line}\nbut what was printed is:\n${printed}`);
    from = found + 1;
  }
}

const squeeze = (line: string): string => line.trim().replaceAll(/\s+/g, ' ');
