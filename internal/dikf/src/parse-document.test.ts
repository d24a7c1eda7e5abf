import { PlatformError } from '@openeaap/kernel';
import { describe, expect, test } from 'vitest';
import { parseSourceDocument } from './parse-document.ts';

describe('parseSourceDocument', () => {
  test('reads every field, by name or number', () => {
    const text = '---\ntitle: Phishing\naccess_group: soc\nsensitivity: Confidential\nlanguage: en\ntags: [a, b]\n---\n\n# Body\n';
    expect(parseSourceDocument(text, 'a.md')).toEqual({
      frontMatter: { title: 'Phishing', accessGroup: 'soc', sensitivity: 3, language: 'en', tags: ['a', 'b'] },
      body: '\n# Body\n',
    });
    expect(parseSourceDocument('\uFEFF---\r\nsensitivity: 1\r\n---\r\nx', 'a.md')).toMatchObject({ frontMatter: { sensitivity: 1 }, body: 'x' });
  });

  test('takes a file without front matter as it is', () => {
    expect(parseSourceDocument('# A\n\n---\n\nb', 'a.md').body).toBe('# A\n\n---\n\nb');
    expect(parseSourceDocument('---\n---\nb', 'a.md').frontMatter.sensitivity).toBeNull();
  });

  test.each([
    ['a misspelt field', '---\ntitle: x\nsensitivty: Public\n---\n', 3, 'sensitivty'],
    ['an unknown sensitivity', '---\nsensitivity: Secret\n---\n', 2, 'sensitivity'],
    ['a sensitivity out of range', '---\ntitle: x\n\nsensitivity: 4\n---\n', 4, 'sensitivity'],
    ['a sensitivity without a value', '---\nsensitivity:\n---\n', 2, 'sensitivity'],
    ['a group that is a list', '---\naccess_group: [a, b]\n---\n', 2, 'access_group'],
    ['a group that is too long', `---\naccess_group: ${'g'.repeat(65)}\n---\n`, 2, 'access_group'],
    ['a title that is a number', '---\ntitle: 7\n---\n', 2, 'title'],
    ['tags that are text', '---\ntags: a\n---\n', 2, 'tags'],
    ['a repeated field', '---\ntitle: a\ntitle: b\n---\n', 3, ''],
    ['broken YAML', '---\ntitle: "a\n---\n', 2, ''],
    ['a list for a mapping', '---\n- title\n---\n', 2, ''],
    ['no end', '---\ntitle: a\n', 1, ''],
    ['a binary file', 'a\0b', 1, ''],
  ])('refuses %s with file, line and field', (_name, text, line, field) => {
    const error = thrownBy(() => parseSourceDocument(text, 'sops/a.md'));
    expect(error.code).toBe('invalid_input');
    expect(error.details).toEqual({ file: 'sops/a.md', line, field });
    expect(error.message).toMatch(new RegExp(`^sops/a\\.md:${line}: .+\\. .+\\.$`));
  });
});

function thrownBy(work: () => unknown): PlatformError {
  try {
    work();
  } catch (error) {
    if (error instanceof PlatformError) return error;
  }
  throw new Error('expected a PlatformError');
}
