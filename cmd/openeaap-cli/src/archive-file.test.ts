import { mkdtemp, readFile, readdir, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { gunzipSync } from 'node:zlib';
import { beforeEach, describe, expect, test } from 'vitest';
import { readPage, toArchiveFile } from './archive-file.ts';

const RUN = ['{"kind":"run","data":{"id":"a","note":"页 page_end"}}', '{"kind":"step","data":{"no":1}}', '{"kind":"run_end","run_id":"a","last_seq":7,"lines":2}'];
const END = '{"kind":"page_end","runs":1,"next":"there"}';
const WHOLE = `${[...RUN, END].join('\n')}\n`;
const signal = new AbortController().signal;

/** In pieces that cut lines and characters. */
async function* sent(text: string, size = 5): AsyncGenerator<Uint8Array> {
  const bytes = Buffer.from(text);
  for (let from = 0; from < bytes.length; from += size) yield bytes.subarray(from, from + size);
}

let folder: string;
let file: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'archive-'));
  file = path.join(folder, 'runs.jsonl.gz');
});

describe('an archive file', () => {
  test('holds what was sent, to the byte, for its owner alone, and says what is in it', async () => {
    expect(await toArchiveFile(sent(WHOLE), file, signal)).toEqual({ file, runs: [{ runId: 'a', lastSeq: 7 }], next: 'there' });
    expect(gunzipSync(await readFile(file)).toString()).toBe(WHOLE);
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect(await readdir(folder)).toEqual(['runs.jsonl.gz']);
  });

  test.each([
    ['breaks off before its end', `${RUN.join('\n')}\n`],
    ['breaks off in a line', WHOLE.slice(0, -20)],
    ['lacks a line of a run', `${[RUN[0], RUN[2], END].join('\n')}\n`],
    ['lacks a run', `${END}\n`],
    ['goes on after its end', `${WHOLE}${RUN[0] ?? ''}\n`],
    ['is not one of this API', '<html></html>'],
    ['is empty', ''],
  ])('is not made of an answer that %s', async (_how, text) => {
    await expect(toArchiveFile(sent(text), file, signal)).rejects.toMatchObject({ code: 'bad_response', message: expect.stringContaining('Nothing of this page was deleted') });
    await expect(readPage(sent(text), signal)).rejects.toMatchObject({ code: 'bad_response' });
    expect(await readdir(folder)).toEqual([]);
  });

  test('is not made of an answer whose connection breaks', async () => {
    async function* breaks(): AsyncGenerator<Uint8Array> {
      yield Buffer.from(WHOLE);
      throw new Error('socket hang up');
    }
    await expect(toArchiveFile(breaks(), file, signal)).rejects.toThrow('socket hang up');
    expect(await readdir(folder)).toEqual([]);
  });

  test('never takes the place of another, and a page without runs makes none', async () => {
    await writeFile(`${file}.partial`, 'of somebody else');
    await expect(toArchiveFile(sent(WHOLE), file, signal)).rejects.toMatchObject({ code: 'usage', message: expect.stringContaining('EEXIST') });
    expect(await readFile(`${file}.partial`, 'utf8')).toBe('of somebody else');
    const empty = '{"kind":"page_end","runs":0,"next":null}\n';
    expect(await toArchiveFile(sent(empty), path.join(folder, 'none.gz'), signal)).toEqual({ file: null, runs: [], next: null });
    await expect(toArchiveFile(sent(WHOLE), path.join(folder, 'no', 'folder.gz'), signal)).rejects.toMatchObject({ code: 'usage' });
  });
});
