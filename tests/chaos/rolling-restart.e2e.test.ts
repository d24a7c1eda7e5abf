import { afterAll, describe, expect, it } from 'vitest';
import { createCleanup } from '../e2e/harness/cleanup.ts';
import { waitUntil } from '../e2e/harness/wait-until.ts';
import { query } from './check-database.ts';
import { startDurablePostgres } from './durable-postgres.ts';
import { AGENT, AGENT_CONFIGURATION, REJECTED, createInstallation } from './installation.ts';
import { judgeChaos } from './judge-chaos.ts';
import { createLoad } from './load.ts';
import { startNodeFleet } from './node-fleet.ts';
import { createPatientClient } from './patient-client.ts';
import { allEnded, attend } from './run-chaos.ts';
import { startScriptedModel } from './scripted-model.ts';
import { createScriptedPerson } from './scripted-person.ts';
import { createSeededRandom } from './seeded-random.ts';
import { startSideEffectSink } from './side-effect-sink.ts';

const NODES = 3;
const SEND_EVERY_MS = 300;
/** So many runs are sent before the next node is asked to stop: each is stopped in the middle of work. */
const RUNS_BETWEEN = 12;
const PREFIX = 'rolling-';

const cleanup = createCleanup();
afterAll(() => cleanup.run());

describe('three nodes under load, each asked to stop in turn and replaced', () => {
  it('fail no run, leave no outcome in doubt, make no call again, and readers go on elsewhere', { timeout: 900_000 }, async () => {
    const random = createSeededRandom(3);
    // Most runs take longer than the 5 s that a stopping node gives its open streams: their readers must go elsewhere.
    const model = await startScriptedModel(() => random.between(300, 2_500));
    cleanup.add(model.close);
    const sink = await startSideEffectSink(() => random.between(10, 400));
    cleanup.add(sink.close);
    const postgres = await startDurablePostgres(process.env['OPENEAAP_TEST_PG_BIN'] || undefined);
    cleanup.add(postgres.close);
    const installation = await createInstallation();
    cleanup.add(installation.remove);
    const fleet = await startNodeFleet(NODES, { args: installation.args, env: { ...installation.env, ...model.env, ...sink.env, DATABASE_URL: postgres.url } });
    cleanup.add(fleet.close);
    const findNode = (): ReturnType<typeof fleet.up>[number] | null => fleet.up()[random.between(0, fleet.up().length - 1)] ?? null;
    await findNode()?.api.publishAgent(AGENT, AGENT_CONFIGURATION);
    const client = createPatientClient(() => findNode()?.api ?? null);
    const load = createLoad({ client, random: random.fork('load'), findNode, prefix: PREFIX, followedShare: 1 });
    const person = createScriptedPerson(client, sink, (ip) => ip.startsWith(REJECTED));
    const over = new AbortController();
    cleanup.add(() => Promise.resolve(over.abort()));
    const attending = attend(person, over.signal);
    const sending = setInterval(load.send, SEND_EVERY_MS);
    const codes: (number | null)[] = [];
    try {
      for (let slot = 0; slot < NODES; slot += 1) {
        const enough = load.runs.length + RUNS_BETWEEN;
        await waitUntil('work is under way', () => load.runs.length >= enough, 60_000);
        codes.push(await fleet.roll(slot));
      }
    } finally {
      clearInterval(sending);
    }
    await load.settled();
    await waitUntil('every run has ended', () => allEnded(postgres.url), 120_000);
    over.abort();

    expect(await attending).toEqual([]);
    expect(codes, 'each stopped cleanly').toEqual([0, 0, 0]);
    expect(fleet.unexpectedExits()).toEqual([]);
    expect(load.errors).toEqual([]);
    const verdict = await judgeChaos({ url: postgres.url, prefix: PREFIX, runs: load.runs, sink, deaths: [], outages: [], uptimes: fleet.uptimes() });
    expect(verdict.violations).toEqual([]);
    expect(verdict).toMatchObject({ accepted: load.runs.length, lost: 0, failed: {}, destructive: { doubled: 0 }, readers: { wrong: 0 } });
    const uncertain = await query<{ readonly reason: string }>(postgres.url, `SELECT reason FROM approvals WHERE kind = 'uncertain'`);
    expect(uncertain, 'no outcome is in doubt').toEqual([]);
    expect(verdict.destructive.requests, 'no call was made again').toBe(verdict.destructive.effects);
    expect(verdict.destructive.effects, 'there were calls').toBeGreaterThan(0);
    expect(verdict.readers.reconnects, 'readers were sent elsewhere').toBeGreaterThan(0);
    const moved = await query<{ readonly run_id: string }>(postgres.url, `SELECT DISTINCT run_id FROM run_events WHERE type = 'run_resumed' AND data ->> 'reason' = 'node_lost'`);
    expect(moved.length, 'runs went on elsewhere').toBeGreaterThan(0);
    expect((await fleet.up()[0]?.api.post('/audit/verify'))?.body).toMatchObject({ ok: true, problems: [] });
  });
});
