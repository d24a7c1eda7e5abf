import { PlatformError } from '@openeaap/kernel';
import type { ErrorCode, ErrorDetails } from '@openeaap/kernel';
import { describe, expect, it } from 'vitest';
import { judgeOutcome } from './judge-outcome.ts';

const judge = (code: ErrorCode, details: ErrorDetails = {}, firstByteMs: number | null = null) => judgeOutcome({ error: new PlatformError(code, 'x', { details }), firstByteMs });

describe('the outcome of a try', () => {
  it.each([
    ['a server error', 'model_unavailable', { status: 503 }, 'failed'],
    ['a broken connection', 'model_unavailable', { reason: 'ECONNREFUSED' }, 'failed'],
    ['a break in the middle', 'model_unavailable', { reason: 'closed_mid_stream' }, 'failed'],
    ['silence', 'model_unavailable', { reason: 'timeout' }, 'failed'],
    ['nonsense', 'model_invalid_output', {}, 'failed'],
    ['a 429', 'model_unavailable', { status: 429 }, 'alive'],
    ['a bad request', 'model_rejected', { status: 400 }, 'alive'],
    ['a wrong key', 'model_rejected', { status: 401 }, 'alive'],
    ['a caller who left', 'cancelled', {}, 'nothing'],
    ['credentials that ended', 'unauthenticated', {}, 'nothing'],
    ['our own end', 'model_unavailable', { reason: 'closing' }, 'nothing'],
    ['our own mistake', 'internal', {}, 'nothing'],
    ['what the backend cannot do', 'invalid_input', {}, 'nothing'],
    ['a ban', 'policy_denied', {}, 'nothing'],
  ] as const)('that is %s says so', (_what, code, details, verdict) => {
    expect(judge(code, details).verdict).toBe(verdict);
  });

  it('that is an answer is good', () => {
    expect(judgeOutcome({ error: null, firstByteMs: null })).toEqual({ verdict: 'ok', pauseMs: 0, refused: false });
  });

  it('that took too long after it had begun says how long the answer is', () => {
    expect(judge('model_unavailable', { reason: 'timeout' }, 20).verdict).toBe('nothing');
    expect(judge('model_unavailable', { reason: 'closed_mid_stream' }, 20).verdict).toBe('failed');
  });

  it.each([[{ status: 429, retry_after_ms: 1_500 }, 1_500], [{ status: 429, retry_after_ms: 3_600_000 }, 60_000], [{ status: 429 }, 0], [{ status: 429, retry_after_ms: -5 }, 0], [{ status: 503, retry_after_ms: 1_500 }, 0]])('%j asks for a pause of %i ms', (details, pauseMs) => {
    expect(judge('model_unavailable', details).pauseMs).toBe(pauseMs);
  });

  it.each([[400, false], [401, true], [403, true], [404, true], [413, false], [422, false], [429, true]])('of status %i may go on for every request: %s', (status, refused) => {
    expect(judge('model_rejected', { status }).refused).toBe(refused);
  });
});
