import { describe, expect, it } from 'vitest';
import { describeChaos } from './chaos-report.ts';
import { runChaos } from './run-chaos.ts';

/** The long form is `npm run chaos`; this one keeps its code true and looks for what breaks at once. */
const SECONDS = 30;

describe('two nodes under load, killed and cut off from their database', () => {
  it('keep every promise', { timeout: 900_000 }, async () => {
    const result = await runChaos({ seconds: SECONDS, runs: 60, nodes: 2, seed: 20_261_124, binDir: process.env['OPENEAAP_TEST_PG_BIN'] || undefined });
    expect(result.verdict.violations, `the table:\n${describeChaos(result).join('\n')}`).toEqual([]);
    expect(result.verdict).toMatchObject({ accepted: 60, lost: 0, notEnded: 0, brokenSequences: 0, failed: {}, destructive: { doubled: 0, claimedButNotMade: 0 }, readers: { wrong: 0 } });
    expect(result.kills, 'nodes were killed').toBeGreaterThan(0);
    expect(result.databaseRestarts.fast + result.databaseRestarts.immediate, 'the database went away').toBeGreaterThan(0);
    expect(result.verdict.takeovers.all.count, 'runs of dead nodes were taken over').toBeGreaterThan(0);
    expect(result.audit).toMatchObject({ ok: true });
    expect(result.audit.rows).toBeGreaterThan(result.verdict.accepted);
  });
});
