import { expect, it } from 'vitest';
import { nearestName } from './nearest-name.ts';

const FIELDS = ['input', 'user_id', 'stream', 'idempotency_key'];

it.each([
  ['inptu', 'input'],
  ['inputs', 'input'],
  ['idempotencyKey', 'idempotency_key'],
  ['userId', 'user_id'],
  ['steam', 'stream'],
])('takes %s for %s', (typed, meant) => {
  expect(nearestName(typed, FIELDS)).toBe(meant);
});

it('names nothing for a word that is far from all, or huge', () => {
  expect(nearestName('temperature', FIELDS)).toBeNull();
  expect(nearestName('x'.repeat(100_000), FIELDS)).toBeNull();
});
