import { createMasker } from '@openeaap/security';
import { describe, expect, test } from 'vitest';
import { createDeltaMasker } from './mask-deltas.ts';

const masker = createMasker({ policyRules: [{ name: 'phone', regex: '1[3-9]\\d[ -]?\\d{4}[ -]?\\d{4}', action: 'mask' }], builtin: false, hashKey: 'a key of these tests' });

function stream(pieces: readonly string[]): { readonly shown: string; readonly live: string } {
  const emitted: string[] = [];
  const deltas = createDeltaMasker((text) => masker.maskText(text), (text) => emitted.push(text));
  for (const piece of pieces) deltas.push(piece);
  const live = emitted.join('');
  deltas.end();
  return { shown: emitted.join(''), live };
}

describe('createDeltaMasker', () => {
  const text = `${'The owner can be reached by telephone. '.repeat(6)}Call 138 0013 8000 or 13900139000 now. ${'Then write down what was said. '.repeat(6)}`;

  test.each([1, 2, 3, 7, 20, 64, 1_000])('what is shown in pieces of %d is what the whole text would be shown as', (size) => {
    const pieces = Array.from({ length: Math.ceil(text.length / size) }, (_, n) => text.slice(n * size, (n + 1) * size));
    expect(stream(pieces).shown).toBe(masker.maskText(text));
  });

  test('text flows while it is written, without its last characters', () => {
    const { live } = stream(Array.from(text));
    expect(live.length).toBeGreaterThan(text.length - 120);
    expect(live).not.toMatch(/138 0013|13900139000/);
  });

  test('text that never pauses is not held for ever', () => {
    expect(stream(['7'.repeat(5_000)]).live.length).toBeGreaterThan(2_000);
  });
});
