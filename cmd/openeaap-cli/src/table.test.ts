import { expect, test } from 'vitest';
import { displayWidth } from './display-width.ts';
import { toFields, toTable } from './table.ts';

test('columns are aligned whatever the width of their characters', () => {
  const table = toTable([{ title: 'NAME' }, { title: 'STATUS' }], [['封禁工具', 'ok'], ['firewall', 'ok'], ['x', 'ok']]);
  const starts = table.split('\n').map((line) => displayWidth(line.slice(0, line.search(/STATUS|ok/))));
  expect(new Set(starts)).toEqual(new Set([10]));
});

test('no trailing spaces, one line per row, long cells are cut', () => {
  const table = toTable([{ title: 'A', maxWidth: 6 }, { title: 'B' }], [['one\n  two three', ''], ['高危僵尸网络', 'b']]);
  expect(table).toBe('A       B\none t…\n高危…   b');
});

test('no rows leaves the titles', () => {
  expect(toTable([{ title: 'A' }], [])).toBe('A');
});

test('the lines of a long value stay under its first', () => {
  expect(toFields([['args', '{\n}'], ['状态', 'ok']])).toBe('args  {\n      }\n状态  ok');
});
