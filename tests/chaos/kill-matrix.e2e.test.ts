import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { CellReport, KillMatrix } from './kill-matrix.ts';
import { allKills, describeKill, openKillMatrix, runKills, sampleKills } from './kill-matrix.ts';

/** OPENEAAP_KILL_MATRIX=all: every boundary, not a sample of each kind. */
const isLong = process.env['OPENEAAP_KILL_MATRIX'] === 'all';
/** Each waits 6 s for a dead node's heartbeat to grow old; the machine is idle meanwhile. */
const AT_ONCE = 5;

let matrix: KillMatrix;
let story: CellReport;

beforeAll(async () => {
  matrix = await openKillMatrix(process.env['OPENEAAP_TEST_PG_BIN'] || undefined);
  story = await matrix.tell();
});
afterAll(() => matrix?.close());

describe('kill -9 at a commit boundary', () => {
  it('knows the boundaries: the story passes each statement by which a run moves', () => {
    expect(story.violations).toEqual([]);
    const names = new Set(story.boundaries.map(({ name }) => name));
    // A decision is sent inside of a transaction and without a name: `WITH` is how it begins.
    const moves = ['COMMIT WITH', 'COMMIT claim-due', 'WITH', 'accept-run', 'claim-due', 'commit-runs', 'commit-runs-c', 'request-cancel', 'reserve-quota'];
    expect([...names].sort()).toEqual(expect.arrayContaining(moves));
    const told = story.boundaries.map(({ kind }) => kind).join('\n');
    for (const event of ['run_created', 'tool_call', 'tool_result', 'governance_intervention', 'run_paused', 'run_completed', 'run_cancelled']) expect(told).toContain(event);
  });

  it(
    'loses no accepted run, doubles no destructive call, leaves no gap and no broken audit chain',
    async () => {
      const kills = isLong ? allKills(story.boundaries) : sampleKills(story.boundaries);
      const reports = await runKills(matrix, kills, { atOnce: AT_ONCE });
      expect(reports.flatMap(({ kill, violations }) => violations.map((violation) => `${kill === null ? '' : describeKill(kill)}: ${violation}`))).toEqual([]);
      expect(reports).toHaveLength(kills.length);
      const asked = reports.reduce((sum, { person }) => sum + person.markedDone + person.retried, 0);
      expect(asked, 'a call that may not be repeated was in doubt, and a person was asked').toBeGreaterThan(0);
    },
    isLong ? 3_600_000 : 900_000,
  );
});
