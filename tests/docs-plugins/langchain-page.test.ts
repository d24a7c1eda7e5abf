import { readFileSync } from 'node:fs';
import path from 'node:path';
import { parse } from 'yaml';
import { expect, test } from 'vitest';
import { compilePolicy } from '@openeaap/policy';
import { parsePluginFile } from '@openeaap/registry';
import { fencesOf } from './fences.ts';

/** The platform's side of the page; that the bridge hosts such agents is tested beside the bridge. */
const root = path.resolve(import.meta.dirname, '../..');
const fences = fencesOf(readFileSync(path.join(root, 'docs/bring-your-langchain-agent.md'), 'utf8'));
const marked = (mark: string): readonly string[] => fences.filter(({ language, marks }) => language === 'yaml' && marks[mark] !== undefined).map(({ text }) => text);

test('its declarations can be declared', () => {
  const names = marked('plugins').flatMap((text) => parsePluginFile(parse(text), 'plugins.yaml').plugins.map(({ name }) => name));
  expect(names).toEqual(['triage-bridge', 'triage-bridge', 'legacy-bridge']);
});

test('its policy is one, and asks a person about the tool that is hard to undo', () => {
  const [text = ''] = marked('policy');
  const { rules } = compilePolicy([{ name: 'policy.yaml', text }]);
  expect(rules.gates.map(({ pattern }) => pattern.source)).toEqual(['isolate_host']);
});

test('agent, declaration, host() and policy speak of the same names', () => {
  const agent = fences.map(({ language, text }) => (language === 'yaml' ? (parse(text) as { readonly configuration?: { readonly runtime: string; readonly entrypoint: string; readonly tools: readonly string[] } }).configuration : undefined)).find((found) => found !== undefined);
  const code = fences.find(({ language }) => language === 'python')?.text ?? '';
  expect(code).toContain(`host("${agent?.entrypoint ?? '?'}"`);
  expect(agent?.tools.map((name) => code.includes(`def ${name}(`) && code.includes(`hosted_tool(${name},`))).toEqual([true, true]);
  expect(marked('plugins')[0]).toContain(`name: "${agent?.runtime ?? '?'}"`);
});
