import { describe, expect, it } from 'vitest';
import { isOpaque } from './is-opaque.ts';

const bytes = Buffer.from(Array.from({ length: 1_536 }, (_, n) => (n * 7_919 + 13) % 251));
const lines = (text: string, chars: number, end: string): string => text.match(new RegExp(`.{1,${chars}}`, 'g'))?.join(end) ?? '';

describe('bytes in a text', () => {
  it.each(Array.from({ length: 61 }, (_, n) => n))('are seen wherever they begin (after %i characters)', (before) => {
    expect(isOpaque(`${'. '.repeat(31).slice(0, before)}"${bytes.toString('base64')}" end`)).toBe(true);
  });

  it.each([
    ['in lines of 76', lines(bytes.toString('base64'), 76, '\r\n')],
    ['in lines of 64, as PEM has it', lines(bytes.toString('base64'), 64, '\n')],
    ['in the alphabet of URLs', bytes.toString('base64url')],
    ['as a URL', '<img src="data:image/png;charset=x;base64,AA==">'],
    ['as a URL without a type', 'see data:;base64,AA=='],
    ['as a URL in capitals', 'see DATA:IMAGE/PNG;BASE64,AA=='],
    ['as a URL of nothing but a parameter', 'data:;Charset="utf-8";Base64,AA=='],
    ['as a URL with half a type', 'data:text;base64,AA=='],
    ['as a URL with blanks', 'data:text/plain; charset=x; base64 ,AA=='],
  ])('are seen %s', (_name, text) => {
    expect(isOpaque(text)).toBe(true);
  });

  it.each([
    ['less than a picture', bytes.subarray(0, 1_500).toString('base64')],
    ['hexadecimal', bytes.toString('hex')],
    ['one letter', 'a'.repeat(100_000)],
    ['lines with words between them', lines(bytes.toString('base64'), 64, '\nand then\n')],
    ['long paths', Array.from({ length: 200 }, (_, n) => `/usr/share/Documents/2026/Quarter-${n % 4}/${'reports/'.repeat(3 + (n % 5))}page${n}`).join('\n')],
    ['a word about base64', 'write ;base64, after the type'],
    ['words about data and base64', 'the data: take it; base64, if you must, is written ;base64, after data:'],
  ])('are not seen in %s', (_name, text) => {
    expect(isOpaque(text)).toBe(false);
  });
});
