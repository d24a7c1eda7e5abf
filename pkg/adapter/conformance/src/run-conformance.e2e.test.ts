import { describe, expect, test } from 'vitest';
import type { Report } from './report.ts';
import { runConformance } from './run-conformance.ts';
import { BAD_WORKERS } from './testing/bad-workers.ts';
import { startReferenceWorker } from './testing/reference-worker.ts';
import type { WorkerOptions } from './testing/reference-worker.ts';
import type { Timing } from './timing.ts';

/** What is waited for in vain is short; what a busy machine may delay is not. */
const QUICK: Partial<Timing> = { shortDeadlineMs: 100, longSleepMs: 30_000 };
const SMALL_BYTES = 262_144;
const TOKEN = 'the-token-of-the-plugin';

async function testWorker(options: Partial<WorkerOptions> = {}, timing: Partial<Timing> = {}): Promise<Report> {
  const worker = await startReferenceWorker({ listen: '127.0.0.1:0', token: TOKEN, ...options });
  try {
    const target = { address: worker.listen, tls: null, token: TOKEN };
    return await runConformance({ plugin: { kind: 'running', target }, agent: null, only: [], timing: { ...QUICK, ...timing }, signal: new AbortController().signal });
  } finally {
    worker.close();
  }
}

const named = (report: Report, verdict: string): readonly string[] => report.results.filter((result) => result.verdict === verdict).map(({ check, expected, got, detail }) => (verdict === 'skipped' ? `${check.name}: ${detail}` : `${check.name}: expected ${expected}; got ${got}; ${detail}`));

const brokenNames = (report: Report): readonly string[] => report.results.filter(({ verdict }) => verdict === 'failed').map(({ check }) => check.name);

describe('a worker that keeps every promise', () => {
  test('whose agent is a program passes everything; what is skipped does not apply', async () => {
    const report = await testWorker();
    expect(report.agent).toEqual({ name: 'conformance', nature: 'program' });
    expect([...named(report, 'failed'), ...named(report, 'warned')]).toEqual([]);
    expect(report.results.filter(({ reason }) => reason === 'not_offered')).toEqual([]);
    expect(report.results.filter(({ verdict }) => verdict === 'passed').length).toBeGreaterThan(45);
  });

  test('whose agent thinks by a model passes everything', async () => {
    const report = await testWorker({ thinks: 'model' });
    expect(report.agent).toEqual({ name: 'conformance', nature: 'model' });
    expect([...named(report, 'failed'), ...named(report, 'warned')]).toEqual([]);
    expect(report.results.find(({ check }) => check.name === 'model.token')?.verdict).toBe('passed');
  });
});

describe('a worker that breaks one promise is found out by the check of that promise, and by no other', () => {
  test.concurrent.each(Object.entries(BAD_WORKERS))('%s', async (_name, { breaks, thinks = 'program', spoil, timing = {} }) => {
    const report = await testWorker({ thinks, spoil, receivesBytes: SMALL_BYTES }, timing);
    expect({ broken: [...brokenNames(report)].sort(), how: named(report, 'failed') }).toEqual({ broken: [...breaks].sort(), how: expect.any(Array) });
  }, 30_000);
});
