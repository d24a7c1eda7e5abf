import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { followFile } from './follow-file.ts';

const cleanups: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function setUp() {
  const dir = await mkdtemp(path.join(tmpdir(), 'follow-'));
  const file = path.join(dir, 'a.yaml');
  await writeFile(file, 'one');
  const applied: string[] = [];
  const errors: unknown[] = [];
  const followed = followFile({
    file, text: 'one', intervalMs: 5,
    apply: async (text) => {
      if (text.startsWith('bad')) throw new Error(text);
      applied.push(text);
    },
    onError: (error) => void errors.push(error),
  });
  cleanups.push(() => rm(dir, { recursive: true, force: true }), followed.stop);
  return { dir, file, applied, errors, followed };
}

describe('a followed file', () => {
  it('is applied when its text changes, also when another file takes its place', async () => {
    const { dir, file, applied } = await setUp();
    await writeFile(file, 'two');
    await vi.waitFor(() => expect(applied).toEqual(['two']));
    await writeFile(path.join(dir, 'b.yaml'), 'three');
    await rename(path.join(dir, 'b.yaml'), file);
    await vi.waitFor(() => expect(applied).toEqual(['two', 'three']));
  });

  it('that cannot be applied is told once, and the next text counts again', async () => {
    const { file, applied, errors } = await setUp();
    await writeFile(file, 'bad');
    await vi.waitFor(() => expect(errors).toHaveLength(1));
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect(errors).toHaveLength(1);
    await writeFile(file, 'good');
    await vi.waitFor(() => expect(applied).toEqual(['good']));
  });

  it('that is gone is told once, and followed again when it is back', async () => {
    const { file, applied, errors } = await setUp();
    await rm(file);
    await vi.waitFor(() => expect(errors).toHaveLength(1));
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect(errors).toHaveLength(1);
    await writeFile(file, 'back');
    await vi.waitFor(() => expect(applied).toEqual(['back']));
  });
});
