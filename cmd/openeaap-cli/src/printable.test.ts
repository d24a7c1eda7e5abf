import { expect, test } from 'vitest';
import { toJsonText, toPrintable } from './printable.ts';

test('what a terminal would obey is shown instead', () => {
  expect(toPrintable('a\u001b[2Jb\r\u0007\u009b1m')).toBe('a\\u001b[2Jb\\u000d\\u0007\\u009b1m');
});

test('text cannot be shown in another order than it is stored, or hide', () => {
  expect(toPrintable('rm \u202egpj.exe\u200b')).toBe('rm \\u202egpj.exe\\u200b');
  expect(toPrintable('\u{e0041}')).toBe('\\udb40\\udc41');
});

test('ordinary text of any language passes', () => {
  expect(toPrintable('该 IP 为高危\nline\ttab é 😀')).toBe('该 IP 为高危\nline tab é 😀');
});

test('JSON text is harmless and still the same JSON', () => {
  const value = { text: 'a\u009b\u202e\u{e0041}\n\u001b"\\' };
  const text = toJsonText(value, 2);
  for (const hidden of ['\u009b', '\u202e', '\u001b', '\u{e0041}']) expect(text).not.toContain(hidden);
  expect(JSON.parse(text)).toEqual(value);
});
