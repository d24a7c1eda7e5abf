import { describe, expect, it } from 'vitest';
import { errorOfStatus, parseRetryAfter } from './upstream-error.ts';

const NOW_MS = Date.parse('2026-11-22T00:00:00Z');

describe('Retry-After', () => {
  it.each([
    [{ 'retry-after-ms': '12.4', 'retry-after': '9' }, 13],
    [{ 'retry-after': '1.5' }, 1_500],
    [{ 'retry-after': ['2', '3'] }, 2_000],
    [{ 'retry-after': 'Sun, 22 Nov 2026 00:00:07 GMT' }, 7_000],
    [{ 'retry-after': 'Sat, 21 Nov 2026 00:00:00 GMT' }, 0],
    [{ 'retry-after': '-1' }, null],
    [{ 'retry-after': 'soon' }, null],
    [{ 'retry-after': '' }, null],
    [{}, null],
  ])('%j is %s ms', (headers, expected) => {
    expect(parseRetryAfter(headers, NOW_MS)).toBe(expected);
  });
});

describe('what a server says about its error', () => {
  const context = { backend: 'b', apiKey: 'sk-secret' };

  it('stays in the cause, cut and without the key', () => {
    const body = JSON.stringify({ error: { message: `${'x'.repeat(295)}sk-secret` } });
    const error = errorOfStatus(context, { status: 400, body, retryAfterMs: null });
    expect(error.message).not.toContain('xxx');
    expect((error.cause as Error).message).toBe(`${'x'.repeat(295)}[key]`);
  });

  it.each(['', 'null', '<html>', '{"error":"text"}', '{"error":null}', '[]'])('may be %j', (body) => {
    expect(errorOfStatus(context, { status: 502, body, retryAfterMs: null }).code).toBe('model_unavailable');
  });
});
