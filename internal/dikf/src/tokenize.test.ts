import { describe, expect, test } from 'vitest';
import { stem } from './stem.ts';
import { tokenize } from './tokenize.ts';

describe('tokenize', () => {
  test('cuts Chinese into overlapping pairs, and keeps a lone character', () => {
    expect(tokenize('异常登录，查')).toEqual(['异常', '常登', '登录', '查']);
  });

  test('keeps compounds whole and split', () => {
    expect(tokenize('1.2.3.4 CVE-2024-3094')).toEqual(['1.2.3.4', '1', '2', '3', '4', 'cve-2024-3094', 'cve', '2024', '3094']);
    expect(tokenize('https://evil.example.com/a')).toContain('https://evil.example.com/a');
    expect(tokenize('2001:db8::1')).toContain('2001:db8::1');
    expect(tokenize('T1071.001,')).toEqual(['t1071.001', 't1071', '001']);
  });

  test('separates scripts that touch', () => {
    expect(tokenize('封禁IP地址c2服务器')).toEqual(['封禁', 'ip', '地址', 'c2', '服务', '务器']);
  });

  test('folds width, case and English inflections', () => {
    expect(tokenize('ＩＰ１ Blocking blocked BLOCKS')).toEqual(['ip1', 'block', 'block', 'block']);
  });

  test('drops English stop words, but finds nothing only where there is no word', () => {
    expect(tokenize('how to do the login')).toEqual(['login']);
    expect(tokenize('  …!? ')).toEqual([]);
  });

  test('drops a term that is too long to be asked for, and takes characters outside the basic plane', () => {
    expect(tokenize('x'.repeat(500))).toEqual([]);
    expect(tokenize('𠮷野')).toEqual(['𠮷野']);
  });

  test('stays linear on hostile input', () => {
    const started = performance.now();
    tokenize('a.-:'.repeat(200_000));
    expect(performance.now() - started).toBeLessThan(3_000);
  });
});

describe('stem', () => {
  test.each([
    ['logins', 'login'],
    ['addresses', 'address'],
    ['policies', 'polici'],
    ['policy', 'polici'],
    ['isolated', 'isolate'],
    ['isolating', 'isolate'],
    ['isolate', 'isolate'],
    ['stopped', 'stop'],
    ['agreed', 'agree'],
    ['ring', 'ring'],
    ['access', 'access'],
    ['virus', 'virus'],
    ['analysis', 'analysis'],
  ])('%s becomes %s', (word, expected) => {
    expect(stem(word)).toBe(expected);
  });
});
