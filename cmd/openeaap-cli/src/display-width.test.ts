import { expect, test } from 'vitest';
import { cutToWidth, displayWidth, padToWidth } from './display-width.ts';

test('a full-width character takes two columns, a combining mark none', () => {
  expect(displayWidth('abc')).toBe(3);
  expect(displayWidth('封禁')).toBe(4);
  expect(displayWidth('ＡＢ')).toBe(4);
  expect(displayWidth('한국')).toBe(4);
  expect(displayWidth('𠀀')).toBe(2);
  expect(displayWidth('e\u0301')).toBe(1);
  expect(displayWidth('か\u3099')).toBe(2);
  expect(displayWidth('')).toBe(0);
  expect(displayWidth('é…—')).toBe(3);
});

test('padding fills to columns, not to characters', () => {
  expect(padToWidth('封', 4)).toBe('封  ');
  expect(padToWidth('toolong', 3)).toBe('toolong');
});

test('cutting never exceeds the columns and never splits a character', () => {
  expect(cutToWidth('封禁高危', 8)).toBe('封禁高危');
  expect(cutToWidth('封禁高危', 7)).toBe('封禁高…');
  expect(cutToWidth('封禁高危', 6)).toBe('封禁…');
  expect(cutToWidth('😀😀😀', 5)).toBe('😀😀…');
});
