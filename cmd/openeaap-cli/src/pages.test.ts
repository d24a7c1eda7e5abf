import { readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { runInProcess } from './testing/run-in-process.ts';

const root = path.resolve(import.meta.dirname, '../../..');
const PAGES = ['README.md', 'README.zh-CN.md', ...readdirSync(path.join(root, 'docs')).filter((name) => name.endsWith('.md')).map((name) => `docs/${name}`)];
/** Flags before a command may have a value. */
const NAMED = /\bopeneaap ((?:--[a-z-]+ \S+ )*)([a-z][a-z-]*(?: [a-z][a-z-]*)?)/g;

const named = new Set(PAGES.flatMap((page) => [...readFileSync(path.join(root, page), 'utf8').matchAll(NAMED)].map((match) => match[2] ?? '')));

test('pages name commands', () => {
  expect(named.size).toBeGreaterThan(30);
});

test.each([...named])('openeaap %s, which a page names, is there', async (words) => {
  const { stdout } = await runInProcess([...words.split(' '), '--help']);
  expect(stdout).toMatch(new RegExp(`^Usage: openeaap ${words}(?: |$)`, 'm'));
});
