import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, readFile, realpath, rm } from 'node:fs/promises';
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

/*
 * Does all that docs/your-first-tool.md says, as it says it: files, installations, commands, and what they print. The
 * page installs from a checkout, and so does this, from this one; nothing else stands in for anything. What is left out
 * is the page's first block (npm ci, npm run build), which has been done by whoever runs tests. The ids that a reader
 * copies from the screen come from the API.
 */
const root = path.resolve(import.meta.dirname, '../..');
const page = readFileSync(path.join(root, 'docs/your-first-tool.md'), 'utf8');
const fences = fencesOf(page);
/** Two installations and a build that begin with nothing. */
const PAGE_LIMIT_MS = 240_000;

test('every block but the preparation of the checkout is followed', () => {
  const passive = fences.filter(({ marks }) => ['file', 'run', 'background', 'output'].every((mark) => marks[mark] === undefined));
  expect(passive.map(({ text }) => text.split('\n')[0])).toEqual(['npm ci && npm run build']);
  expect(new Set(fences.map(({ language }) => language))).toEqual(new Set(['sh', 'python', 'go', 'ts', 'yaml', 'text']));
});

describe.runIf(canFollow('docs/your-first-tool.md', { python3: ['-c', 'import venv, ensurepip'], go: ['version'], bash: ['--version'] }))('followed from an empty folder', () => {
  const state: { folder: string | null; reader: PageReader | null } = { folder: null, reader: null };

  afterAll(async () => {
    await state.reader?.close();
    if (state.folder !== null) await rm(state.folder, { recursive: true, force: true, maxRetries: 5 });
  });

  test('the page is true, and the journal has what it shows', { timeout: PAGE_LIMIT_MS }, async () => {
    const folder = await realpath(await mkdtemp(path.join(tmpdir(), 'openeaap-first-tool-')));
    state.folder = folder;
    const tickets = path.join(folder, 'tickets.jsonl');
    const reader = createPageReader({
      folder,
      env: readerEnvironment(root),
      started: async () => {
        for (const name of ['certificates', 'tickets', 'web']) await waitUntil(`the plugin ${name} is ready`, () => isPluginReady(folder, name), 60_000);
      },
      fill: async (text) => {
        if (!text.includes('APPROVAL_ID')) return text;
        // Until here somebody had to decide, so nothing may have been done.
        expect(existsSync(tickets)).toBe(false);
        const approval = at((await (await clientOf(folder)).get('/approvals?status=pending')).body, 'items', 0);
        return text.replaceAll('APPROVAL_ID', textAt(approval, 'approval_id')).replaceAll('RUN_ID', textAt(approval, 'run_id'));
      },
    });
    state.reader = reader;
    for (const fence of fences) await reader.follow(fence);

    const api = await clientOf(folder);
    const [, first] = listAt((await api.get('/runs')).body, 'items');
    const steps = await api.steps(textAt(first, 'run_id'));
    const acts = steps.filter((step) => at(step, 'kind') === 'act');
    expect(acts.map((act) => [at(act, 'tool'), at(act, 'status')])).toEqual([['url_host', 'done'], ['days_left', 'done'], ['open_ticket', 'done']]);
    expect(acts.map((act) => at(act, 'result'))).toEqual([
      { scheme: 'https', host: 'shop.example.com', port: 8443 },
      { days: 16 },
      { number: expect.stringMatching(/^T-[0-9a-f]{8}$/) },
    ]);
    const written = (await readFile(tickets, 'utf8')).trim().split('\n').map((line) => JSON.parse(line) as unknown);
    expect(written).toEqual([{ number: at(acts[2], 'result', 'number'), title: 'Renew the certificate of shop.example.com', team: 'web', for: 'admin' }]);
  });
});
