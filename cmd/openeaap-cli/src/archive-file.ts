import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip, createGzip } from 'node:zlib';
import type { JsonValue } from '@openeaap/kernel';
import { CliError } from './cli-error.ts';
import { fieldOf } from './view.ts';

export interface ArchivedRun {
  readonly runId: string;
  /** Number of its newest event when it was read. */
  readonly lastSeq: number;
}

/** What the server sent in one answer, after its last line was seen. */
export interface ArchivedPage {
  /** null: none was written. */
  readonly file: string | null;
  readonly runs: readonly ArchivedRun[];
  /** Where the next page begins; null: there is none. */
  readonly next: string | null;
}

/** A line is a row; its largest column is a run's input or a tool's result. */
const LINE_BYTES = 16_777_216;

/** Reads a page and keeps nothing of it. @throws CliError `bad_response` when it is not whole. */
export async function readPage(chunks: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<ArchivedPage> {
  const page = createPageReader();
  for await (const chunk of chunks) {
    signal.throwIfAborted();
    page.take(chunk);
  }
  return { file: null, ...page.end() };
}

/**
 * Writes a page into a gzipped file that is there only when it is whole, on the disk, and gives back
 * what was put into it. A page without runs makes no file.
 */
export async function toArchiveFile(chunks: AsyncIterable<Uint8Array>, file: string, signal: AbortSignal): Promise<ArchivedPage> {
  const partial = `${file}.partial`;
  const page = createPageReader();
  const sent = createHash('sha256');
  try {
    await pipeline(
      Readable.from(
        (async function* () {
          for await (const chunk of chunks) {
            signal.throwIfAborted();
            page.take(chunk);
            sent.update(chunk);
            yield chunk;
          }
        })(),
      ),
      createGzip(),
      createWriteStream(partial, { mode: 0o600, flags: 'wx' }),
    );
    const whole = page.end();
    if (whole.runs.length === 0) {
      await rm(partial, { force: true });
      return { file: null, ...whole };
    }
    await flush(partial);
    if ((await hashOf(partial)) !== sent.digest('hex')) throw new CliError('bad_response', `${partial} does not hold what was written to it. Nothing was deleted.`, { cure: 'Check the disk, or choose another folder with --to.' });
    await rename(partial, file);
    await flush(path.dirname(file));
    return { file, ...whole };
  } catch (thrown) {
    const code = thrown instanceof Error && 'code' in thrown ? String(thrown.code) : '';
    // That one is not ours.
    if (code !== 'EEXIST') await rm(partial, { force: true });
    if (/^(?:EACCES|EEXIST|ENOENT|EISDIR|ENOSPC|EDQUOT|EROFS|EIO)$/.test(code)) throw new CliError('usage', `--to: ${file} cannot be written (${code}). Nothing of this page was deleted.`, { cause: thrown });
    throw thrown;
  }
}

/** What `fsync` has not confirmed may be gone after a loss of power; of a folder, the name of the file. */
async function flush(fileOrFolder: string): Promise<void> {
  const handle = await open(fileOrFolder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function hashOf(file: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(file), createGunzip(), hash);
  return hash.digest('hex');
}

/** Finds the lines that end a run and the one that ends the page, and counts the others. */
function createPageReader() {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  const runs: ArchivedRun[] = [];
  let rest = '';
  let lines = 0;
  let last: { readonly next: string | null } | null = null;

  function line(text: string): void {
    if (last !== null) throw broken('something follows its end');
    const kind = /^\{"kind": ?"(\w+)"/.exec(text)?.[1];
    // Rows are not parsed: only their number counts here.
    if (kind !== 'run_end' && kind !== 'page_end') return void (lines += 1);
    const view = JSON.parse(text) as JsonValue;
    if (kind === 'page_end') {
      const next = fieldOf(view, 'next');
      if (fieldOf(view, 'runs') !== runs.length) throw broken('it does not have as many runs as it says');
      last = { next: typeof next === 'string' ? next : null };
      return;
    }
    const runId = fieldOf(view, 'run_id');
    const lastSeq = fieldOf(view, 'last_seq');
    if (fieldOf(view, 'lines') !== lines || typeof runId !== 'string' || typeof lastSeq !== 'number') throw broken('a run does not have as many lines as it says');
    runs.push({ runId, lastSeq });
    lines = 0;
  }

  return {
    take: (chunk: Uint8Array): void => {
      const parts = (rest + decoder.decode(chunk, { stream: true })).split('\n');
      rest = parts.pop() ?? '';
      if (rest.length > LINE_BYTES) throw broken(`it has a line of more than ${LINE_BYTES} bytes`);
      parts.forEach(line);
    },
    end: (): { readonly runs: readonly ArchivedRun[]; readonly next: string | null } => {
      if (last === null || rest !== '' || lines > 0) throw broken('it broke off');
      return { runs, next: last.next };
    },
  };
}

const broken = (why: string): CliError => new CliError('bad_response', `The server's answer is not whole: ${why}. Nothing of this page was deleted.`, { cure: 'Run the same command again.' });
