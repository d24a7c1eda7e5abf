// The tables of gateway.mjs: medians over the rounds. What a contender adds is its number less that of "no gateway" in the
// same round.
import { median, table } from '../statistics.mjs';

const NONE = '-';
const MB = 1e6;
const PER_CENT = 100;

/** Bars of the design, section 8. A share of the bare proxy and of Portkey; milliseconds. */
const BARS = { bareShare: 0.5, portkeyTimes: 6, addedP50Ms: 0.5, addedFirstByteMs: 1, slopeMbPerMinute: 2 };

export function reportGateways(result) {
  const look = createLook(result.contenders);
  const rounds = `medians of ${result.shape.rounds} interleaved ${result.shape.rounds === 1 ? 'round' : 'rounds'}`;
  for (const connections of result.shape.connections) reportClosed(look, { connections, scenario: 'miss', title: `Each request another one, ${connections} ${connections === 1 ? 'connection' : 'connections'} (${rounds})` });
  for (const connections of result.shape.connections) reportClosed(look, { connections, scenario: 'hit', title: `The same request, answered by the cache in the process, ${connections} ${connections === 1 ? 'connection' : 'connections'}` });
  for (const connections of result.shape.streamConnections) reportStreams(look, connections, `Streams of 64 chunks, one each ${result.shape.paceMs} ms, ${connections} at once (${rounds})`);
  reportBurst(look);
  reportBig(look);
  reportSlow(look);
  reportMemory(look);
  reportShares(look);
  reportBars(look);
  for (const { label, failure } of result.contenders) if (failure !== null) console.log(`\nFAILED ${label}: ${failure}`);
}

/** Reading out of the rounds. `pick` takes one round's scenario; what is not there is null. */
function createLook(contenders) {
  const values = (contender, scenario, pick) => contender.rounds.map((round) => (round[scenario] ? (pick(round[scenario]) ?? null) : null));
  const numbers = (list) => list.filter((value) => value !== null && Number.isFinite(value));
  const middle = (contender, scenario, pick) => {
    const known = numbers(values(contender, scenario, pick));
    return known.length === 0 ? null : median(known);
  };
  const direct = contenders.find(({ key }) => key === 'direct');
  return {
    contenders,
    byKey: (key) => contenders.find((contender) => contender.key === key),
    middle,
    added: (contender, scenario, pick) => {
      const without = direct === undefined ? [] : values(direct, scenario, pick);
      const known = numbers(values(contender, scenario, pick).map((value, round) => (value === null || without[round] === undefined || without[round] === null ? null : value - without[round])));
      return known.length === 0 ? null : median(known);
    },
    /** Rows of the contenders that have the scenario; the others have failed, or do not do it. */
    rows: (scenario, toRow) => contenders.filter((contender) => contender.rounds.some((round) => round[scenario])).map(toRow),
  };
}

const at = (connections) => (loads) => loads.find((load) => load.connections === connections);
const ofLoad = (connections, pick) => (loads) => {
  const load = at(connections)(loads);
  return load === undefined ? null : pick(load);
};

function reportClosed({ rows, middle, added }, { connections, scenario, title }) {
  const get = (contender, pick) => middle(contender, scenario, ofLoad(connections, pick));
  // A hit is compared with what it saves: the way to the upstream without a gateway.
  const more = (contender, pick) => (scenario === 'hit' ? null : added(contender, scenario, ofLoad(connections, pick)));
  const body = rows(scenario, (contender) => [
    contender.label,
    show(get(contender, (load) => load.perSecond), 0),
    show(get(contender, (load) => load.p50Ms), 2),
    show(get(contender, (load) => load.p99Ms), 2),
    contender.key === 'direct' ? NONE : show(more(contender, (load) => load.p50Ms), 2),
    contender.key === 'direct' ? NONE : show(more(contender, (load) => load.p99Ms), 2),
    show(get(contender, (load) => load.gatewayUsEach), 0),
    show(get(contender, (load) => load.failed), 0),
  ]);
  if (body.length > 0) table(title, ['', 'requests/s', 'p50 ms', 'p99 ms', 'added p50', 'added p99', 'CPU us each', 'failed'], body);
}

function reportStreams({ rows, middle, added }, connections, title) {
  const get = (contender, pick) => middle(contender, 'streams', ofLoad(connections, pick));
  const more = (contender, pick) => (contender.key === 'direct' ? null : added(contender, 'streams', ofLoad(connections, pick)));
  const body = rows('streams', (contender) => [
    contender.label,
    show(get(contender, (load) => load.firstByte.p50Ms), 2),
    show(more(contender, (load) => load.firstByte.p50Ms), 2),
    show(more(contender, (load) => load.firstByte.p99Ms), 2),
    show(get(contender, (load) => load.chunk.p50Ms), 2),
    show(more(contender, (load) => load.chunk.p50Ms), 2),
    show(more(contender, (load) => load.chunk.p99Ms), 2),
    show(get(contender, (load) => load.broken), 0),
    show(get(contender, (load) => load.lost), 0),
  ]);
  if (body.length > 0) table(title, ['', 'first chunk p50 ms', 'added p50', 'added p99', 'chunk p50 ms', 'added p50', 'added p99', 'broken', 'chunks lost'], body);
}

function reportBurst({ rows, middle }) {
  const get = (contender, pick) => middle(contender, 'burst', pick);
  const body = rows('burst', (contender) => [contender.label, show(get(contender, (load) => load.perSecond), 0), show(get(contender, (load) => load.firstByte.p50Ms), 2), show(get(contender, (load) => load.gatewayUsEach), 0), show(get(contender, (load) => load.broken), 0)]);
  if (body.length > 0) table('Streams of 64 chunks written at once, 16 at once', ['', 'streams/s', 'first chunk p50 ms', 'CPU us each', 'broken'], body);
}

function reportBig({ rows, middle }) {
  const get = (contender, pick) => middle(contender, 'big', pick);
  const body = rows('big', (contender) => [
    contender.label,
    show(get(contender, ({ without }) => without.p99Ms), 2),
    show(get(contender, (load) => load.beside.p99Ms), 2),
    show(get(contender, (load) => load.beside.p99Ms / load.without.p99Ms), 1),
    show(get(contender, (load) => load.beside.big.p50Ms), 2),
    show(get(contender, (load) => load.beside.failed + load.beside.big.failed), 0),
  ]);
  if (body.length > 0) table('Small requests at 16 connections beside one prompt of about 100,000 tokens (400 kB) after the other', ['', 'small p99 ms without', 'with', 'ratio', 'long p50 ms', 'failed'], body);
}

function reportSlow({ rows, middle }) {
  const get = (contender, pick) => middle(contender, 'slow', pick);
  const body = rows('slow', (contender) => [
    contender.label,
    `${get(contender, (load) => load.complete)} of ${get(contender, (load) => load.asked)}`,
    show(get(contender, (load) => load.lost), 0),
    show(get(contender, (load) => load.disordered), 0),
    show(get(contender, (load) => load.firstByte.p99Ms), 1),
    show(get(contender, (load) => load.chunk.p50Ms), 2),
    show(get(contender, (load) => load.chunk.p99Ms), 1),
    contender.key === 'direct' ? NONE : show(get(contender, (load) => load.rssIdleBytes / MB), 0),
    contender.key === 'direct' ? NONE : show(get(contender, (load) => load.rssMostBytes / MB), 0),
    show(get(contender, (load) => PER_CENT * load.gatewayShare), 0),
  ]);
  if (body.length > 0) table('1,000 streams at once, a chunk each 200 ms', ['', 'complete', 'chunks lost', 'disordered', 'first p99 ms', 'chunk p50 ms', 'p99 ms', 'MB before', 'MB at most', 'CPU %'], body);
}

function reportMemory({ rows, middle }) {
  const get = (contender, pick) => middle(contender, 'memory', pick);
  const body = rows('memory', (contender) => [
    contender.label,
    show(get(contender, (load) => load.perSecond), 0),
    show(get(contender, (load) => load.samples[0].rssBytes / MB), 0),
    show(get(contender, (load) => load.samples[Math.floor(load.samples.length / 2)].rssBytes / MB), 0),
    show(get(contender, (load) => load.samples.at(-1).rssBytes / MB), 0),
    show(get(contender, (load) => load.slopeBytesPerMinute / MB), 1),
    show(get(contender, (load) => load.failed + load.late), 0),
  ]);
  if (body.length > 0) table('Memory at a fixed rate, each tenth request a stream', ['', 'requests/s', 'MB at first', 'MB half way', 'MB at last', 'MB per minute, second half', 'failed or late'], body);
}

/** On few cores the generator and the double take from what is measured. */
function reportShares({ rows, middle }) {
  const share = (contender, pick) => show(middle(contender, 'miss', ofLoad(16, (load) => PER_CENT * pick(load))), 0);
  const body = rows('miss', (contender) => [contender.label, share(contender, (load) => load.generatorShare), share(contender, (load) => load.upstreamShare), contender.key === 'direct' ? NONE : share(contender, (load) => load.gatewayShare)]);
  if (body.length > 0) table('Who used the processor at 16 connections, in per cent of one core', ['', 'load generator', 'upstream double', 'gateway'], body);
}

function reportBars({ byKey, middle, added }) {
  const ours = byKey('openeaap');
  if (ours === undefined) return;
  const rate = (key, connections) => (byKey(key) === undefined ? null : middle(byKey(key), 'miss', ofLoad(connections, (load) => load.perSecond)));
  const ratio = (key, connections) => (rate(key, connections) === null ? null : rate('openeaap', connections) / rate(key, connections));
  const rows = [];
  const bar = (what, value, limit, isAtLeast, digits = 2) => {
    if (value === null) return;
    rows.push([what, `${isAtLeast ? '>=' : '<='} ${limit}`, value.toFixed(digits), (isAtLeast ? value >= limit : value <= limit) ? 'holds' : 'MISSED']);
  };
  for (const connections of [16, 64]) bar(`of the bare proxy's requests/s, ${connections} connections`, ratio('bare', connections), BARS.bareShare, true);
  for (const connections of [16, 64]) bar(`times Portkey's requests/s, ${connections} connections`, ratio('portkey', connections), BARS.portkeyTimes, true, 1);
  bar('added p50 at 1 connection, ms', added(ours, 'miss', ofLoad(1, (load) => load.p50Ms)), BARS.addedP50Ms, false);
  bar('added to the first chunk of a stream, p50 at 1, ms', added(ours, 'streams', ofLoad(1, (load) => load.firstByte.p50Ms)), BARS.addedFirstByteMs, false);
  bar('memory, MB per minute', middle(ours, 'memory', (load) => load.slopeBytesPerMinute / MB), BARS.slopeMbPerMinute, false, 1);
  bar('streams of 1,000 slow ones that are not whole', middle(ours, 'slow', (load) => load.broken), 0, false, 0);
  if (rows.length > 0) table('Bars', ['', 'bar', 'measured', ''], rows);
}

const show = (value, digits) => (value === null || value === undefined || Number.isNaN(value) ? NONE : value.toFixed(digits));
