import { readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { parse } from 'yaml';
import { describe, expect, test } from 'vitest';
import { parseDeclaration, parsePluginFile } from '@openeaap/registry';
import { fencesOf } from './fences.ts';

/** What docs/plugins.md promises is asked of the grammar itself. */
const root = path.resolve(import.meta.dirname, '../..');
const page = readFileSync(path.join(root, 'docs/plugins.md'), 'utf8');
const yaml = fencesOf(page).filter(({ language }) => language === 'yaml');

/** Section 13 of the architecture document, to the letter. */
const DOCUMENT = `plugins:
  - name: "security-tools-pack"
    image: "custom-tools:v1"
    type: "runtime-worker"
`;

test('begins with the declaration of the architecture document', () => {
  expect(yaml[0]?.text).toBe(DOCUMENT);
});

test('every example can be declared', () => {
  expect(yaml.length).toBeGreaterThan(5);
  const names = yaml.flatMap(({ text }) => parsePluginFile(parse(text), 'plugins.yaml').plugins.map(({ name }) => name));
  expect(names).toEqual(expect.arrayContaining(['soc-tools', 'pcap-reader', 'partner', 'files', 'tracker']));
});

test('explains every key of the grammar and no other', () => {
  const documented = [...sectionOf('Every key').matchAll(/^\| `([a-z_]+)` \|/gm)].map((match) => match[1] ?? '');
  expect(documented.toSorted()).toEqual([...keysOfGrammar()].toSorted());
});

test('explains every status', () => {
  const documented = [...sectionOf('How it is, and what to do').matchAll(/^\| `([a-z]+)` \|/gm)].map((match) => match[1]);
  expect(documented.toSorted()).toEqual(['conflict', 'degraded', 'down', 'incompatible', 'ready', 'refused', 'sick', 'starting']);
});

describe('what is wrong in a declaration is refused as the page says', () => {
  const rows = [...sectionOf('What you see, why, and the cure').matchAll(/^\| `(\{.+?\})` \| `(.+?)` \|/gm)].map((match) => [match[1] ?? '', match[2] ?? ''] as const);

  test('the table has rows', () => expect(rows.length).toBeGreaterThan(10));

  test.each(rows)('%s', (written, message) => {
    expect(() => parseDeclaration(parse(written), { at: 'plugins[0]', source: 'file' })).toThrow(message);
  });
});

describe('what is shown later is what the registry says', () => {
  const rows = [...sectionOf('What you see, why, and the cure').matchAll(/^\| `([^{`][^`]+)` \|/gm)].map((match) => match[1] ?? '').filter((message) => message !== 'policy_denied');
  const folder = path.join(root, 'internal/registry/src');
  const sources = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts') && !name.endsWith('.test.ts')).map((name) => readFileSync(path.join(folder, name), 'utf8'));

  test('the table has rows', () => expect(rows.length).toBeGreaterThan(8));

  test.each(rows)('%s', (message) => {
    // What differs from case to case is not in the source.
    const pieces = message.split(/exit code \d+|\bN\b|\.\.\.|: (?:setpriv|openeaap-worker):.*/).map((piece) => piece.trim()).filter((piece) => piece !== '');
    expect(sources.some((source) => pieces.every((piece) => source.includes(piece)))).toBe(true);
  });
});

/** The grammar names its keys when it is given one that it does not know. */
function keysOfGrammar(): readonly string[] {
  try {
    parseDeclaration({ name: 'a', type: 'mcp', nonsense: 1 }, { at: 'p', source: 'file' });
  } catch (thrown) {
    return /A plugin has: (.+)\./.exec((thrown as Error).message)?.[1]?.split(', ') ?? [];
  }
  return [];
}

function sectionOf(heading: string): string {
  const start = page.indexOf(`## ${heading}\n`);
  if (start === -1) throw new Error(`docs/plugins.md has no section "${heading}"`);
  const end = page.indexOf('\n## ', start + 1);
  return page.slice(start, end === -1 ? undefined : end);
}
