import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { at, listAt, textAt } from '../e2e/harness/json.ts';
import { waitUntil } from '../e2e/harness/wait-until.ts';
import { fencesOf } from './fences.ts';
import { clientOf, isPluginReady } from './folder-server.ts';
import type { PageReader } from './follow-page.ts';
import { createPageReader } from './follow-page.ts';
import { canFollow, readerEnvironment } from './requirements.ts';

/** Does all that docs/write-a-runtime.md says, as it says it, in a checkout that is built. */
const root = path.resolve(import.meta.dirname, '../..');
const fences = fencesOf(readFileSync(path.join(root, 'docs/write-a-runtime.md'), 'utf8'));

test('every block of the page is followed', () => {
  expect(fences.filter(({ marks }) => ['file', 'run', 'background', 'output'].every((mark) => marks[mark] === undefined))).toEqual([]);
});

describe.runIf(canFollow('docs/write-a-runtime.md', { bash: ['--version'], npm: ['--version'] }))('followed from an empty folder', () => {
  const state: { folder: string | null; reader: PageReader | null } = { folder: null, reader: null };

  afterAll(async () => {
    await state.reader?.close();
    if (state.folder !== null) await rm(state.folder, { recursive: true, force: true, maxRetries: 5 });
  });

  test('a worker from the proto alone keeps the protocol, and thinks and acts in a run', { timeout: 150_000 }, async () => {
    const folder = await realpath(await mkdtemp(path.join(tmpdir(), 'openeaap-runtime-')));
    state.folder = folder;
    const reader = createPageReader({
      folder,
      env: readerEnvironment(root),
      started: async (text) => void (await waitUntil('what was started can be used', () => (text.includes('openeaap dev') ? isPluginReady(folder, 'words') : existsSync(path.join(folder, 'worker.sock'))), 60_000)),
      fill: (text) => Promise.resolve(text),
    });
    state.reader = reader;
    for (const fence of fences) await reader.follow(fence);

    const api = await clientOf(folder);
    const runId = textAt((await api.get('/runs')).body, 'items', 0, 'run_id');
    const steps = await api.steps(runId);
    expect(steps.map((step) => [at(step, 'kind'), at(step, 'status')])).toEqual([['think', 'done'], ['act', 'done'], ['think', 'done']]);
    expect(at(steps[1], 'result')).toEqual({ words: 7 });
    expect(at(await api.run(runId), 'output')).toBe('7 words.');
    const plugin = listAt((await api.get('/plugins')).body, 'items').find((one) => at(one, 'name') === 'words');
    expect(plugin).toMatchObject({ agents: ['counter'], tools: ['word_count'], sdk: 'javascript none', warnings: [] });
  });
});
