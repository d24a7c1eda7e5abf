import { existsSync, readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { ERROR_CODES } from '@openeaap/kernel';

/** What the pages promise is checked where a program can check it: pages rot where nobody looks. */
const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));

const PAGES = ['README.md', 'README.zh-CN.md', 'CONTRIBUTING.md', ...markdownOf('docs')];
const english = read('README.md');
const chinese = read('README.zh-CN.md');

describe('the two READMEs say the same', () => {
  it('has the same headings, level by level', () => {
    expect(headingLevels(chinese)).toEqual(headingLevels(english));
    expect(headingLevels(english).length).toBeGreaterThan(5);
  });

  it('has the same code blocks, to the letter', () => {
    expect(codeBlocks(chinese)).toEqual(codeBlocks(english));
    expect(codeBlocks(english).length).toBeGreaterThan(5);
  });

  it('links to the same pages', () => {
    const own = new Set(['README.md', 'README.zh-CN.md']);
    const linked = (text: string): readonly string[] => [...new Set(links(text))].filter((target) => !own.has(target)).sort();
    expect(linked(chinese)).toEqual(linked(english));
  });
});

describe.each(PAGES)('%s', (page) => {
  const text = read(page);

  it('names only files and folders that are there', () => {
    expect(repositoryPaths(text).filter((named) => !existsSync(path.join(root, named)))).toEqual([]);
  });

  it('links only to pages that are there', () => {
    const broken = links(text).filter((target) => !existsSync(path.join(root, path.dirname(page), target)));
    expect(broken).toEqual([]);
  });

  it('holds no path of somebody’s machine and no key', () => {
    expect(text.match(/\/(?:work|root|home|Users)\/[\w.-]+|\boea_[\w-]{20,}|C:\\/g) ?? []).toEqual([]);
  });
});

describe('the reference pages are complete', () => {
  it('explains every error code in troubleshooting.md', () => {
    const page = read('docs/troubleshooting.md');
    expect(Object.keys(ERROR_CODES).filter((code) => !page.includes(`\`${code}\``))).toEqual([]);
  });

  it('explains every environment variable of the programs in configuration.md', () => {
    const page = read('docs/configuration.md');
    const variables = readdirSync(path.join(root, 'cmd')).flatMap((program) => variablesOf(`cmd/${program}/src/config.ts`));
    expect(variables.length).toBeGreaterThan(10);
    expect(variables.filter((name) => !page.includes(`\`${name}\``))).toEqual([]);
  });

  it('explains every flag of the server in configuration.md', () => {
    const page = read('docs/configuration.md');
    const flags = [...read('cmd/openeaap-server/src/config.ts').matchAll(/^ {2}'?([a-z-]+)'?: \{ type: '(?:string|boolean)' \}/gm)].map((match) => `--${match[1] ?? ''}`);
    expect(flags.length).toBeGreaterThan(5);
    expect(flags.filter((flag) => !page.includes(`\`${flag}`))).toEqual([]);
  });

  it('names every room in ARCHITECTURE.md', () => {
    const page = read('docs/ARCHITECTURE.md');
    const rooms = Object.keys(JSON.parse(read('rooms.json')) as object).filter((key) => !key.startsWith('$'));
    expect(rooms.filter((room) => !page.includes(`\`${room}\``))).toEqual([]);
  });

  it('names exactly eight files that a run passes through', () => {
    const walk = sectionOf(read('docs/ARCHITECTURE.md'), 'The walk of a run');
    const steps = [...walk.matchAll(/^(\d)\. `([^`]+\.ts)`/gm)];
    expect(steps.map((step) => step[1])).toEqual(['1', '2', '3', '4', '5', '6', '7', '8']);
    expect(new Set(steps.map((step) => step[2])).size).toBe(8);
  });
});

function read(file: string): string {
  return readFileSync(path.join(root, file), 'utf8');
}

function markdownOf(folder: string): readonly string[] {
  return readdirSync(path.join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .map((name) => `${folder}/${name.split(path.sep).join('/')}`);
}

const withoutCode = (text: string): string => text.replace(/^```[\s\S]*?^```/gm, '');

const headingLevels = (text: string): readonly number[] => [...withoutCode(text).matchAll(/^(#+) /gm)].map((match) => (match[1] ?? '').length);

const codeBlocks = (text: string): readonly string[] => [...text.matchAll(/^```[\s\S]*?^```/gm)].map((match) => match[0]);

/** Targets of links within the repository, without their anchors. */
function links(text: string): readonly string[] {
  return [...withoutCode(text).matchAll(/\]\(([^)\s]+)\)/g)]
    .map((match) => (match[1] ?? '').replace(/#.*$/, ''))
    .filter((target) => target !== '' && !/^[a-z]+:/.test(target));
}

/** What stands in backticks and begins like a path from the root; patterns such as `cmd/*` name no file. */
function repositoryPaths(text: string): readonly string[] {
  const tops = 'api|cmd|configs|demo|docs|internal|pkg|plugins|policies|tests|tools|\\.ci';
  return [...withoutCode(text).matchAll(/`([^`\n]+)`/g)]
    .map((match) => match[1] ?? '')
    .filter((named) => new RegExp(`^(?:${tops})/[\\w./-]*$`).test(named) && !named.split('/').includes('dist'));
}

/** Names that a config.ts reads: quoted ones, and those that its usage text lists. */
function variablesOf(file: string): readonly string[] {
  if (!existsSync(path.join(root, file))) return [];
  const text = read(file);
  const quoted = [...text.matchAll(/'([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+|TERM)'/g)].map((match) => match[1] ?? '');
  const listed = [...(/Environment: ([\s\S]*?)`/.exec(text)?.[1] ?? '').matchAll(/\b[A-Z]+(?:_[A-Z]+)+\b/g)].map((match) => match[0]);
  return [...new Set([...quoted, ...listed])];
}

function sectionOf(text: string, heading: string): string {
  const start = text.indexOf(`## ${heading}`);
  const end = text.indexOf('\n## ', start + 1);
  return start === -1 ? '' : text.slice(start, end === -1 ? undefined : end);
}
