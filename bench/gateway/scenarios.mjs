// One turn of one contender: what is asked of it, and what is refused as a result. The upstream double counts what reached
// it, so that a contender that answers by itself, or asks twice, is seen.
import { usageOf } from './process-usage.mjs';

/** On top of what a load is to take. */
const GRACE_MS = 90_000;
/** About 100,000 tokens of English. */
export const BIG_BYTES = 400_000;
const BIG_PAUSE_MS = 50;
const SLOW_PACE_MS = 200;
const RSS_EVERY_MS = 2_000;
/** Requests per second of the long run, where a contender does not say less. */
const MEMORY_RATE = 1_000;

/** Names of the scenarios, in their order; `once`: in the first round only. */
export const SCENARIOS = [
  { name: 'miss', run: runMisses },
  { name: 'hit', run: runHits },
  { name: 'streams', run: runStreams },
  { name: 'burst', run: runBurst },
  { name: 'big', run: runBig },
  { name: 'slow', run: runSlowStreams, once: true },
  { name: 'memory', run: runMemory, once: true },
];

/** What everybody gets before anything is counted: code that has been compiled, connections that are open. */
export async function warmUp(stage, { warmMs }) {
  await stage.upstream.call('stream', { chunks: 64, paceMs: 0 }, GRACE_MS);
  const small = await stage.load.call('closedLoop', { target: stage.target, kind: 'miss', connections: 16, ms: warmMs }, warmMs + GRACE_MS);
  const streams = await stage.load.call('streams', { target: stage.target, connections: 4, ms: warmMs / 2, chunks: 64 }, warmMs + GRACE_MS);
  const problem = small.problems[0] ?? streams.problems[0];
  if (problem !== undefined) throw new Error(`It did not answer the first requests: ${problem}`);
}

async function runMisses(stage, shape) {
  const loads = [];
  for (const connections of shape.connections) {
    const load = await closedLoop(stage, { kind: 'miss', connections, ms: shape.loadMs });
    if (load.reached < load.count) throw new Error(`${load.count} answers, but only ${load.reached} requests reached the upstream: those were no misses.`);
    loads.push({ connections, ...load });
  }
  return loads;
}

async function runHits(stage, shape) {
  if (!stage.contender.caches) return null;
  const loads = [];
  for (const connections of shape.connections) {
    const load = await closedLoop(stage, { kind: 'same', connections, ms: shape.loadMs });
    // The first of each load is a miss, and some gateways let those in that come before it is answered.
    if (load.reached > 2 * connections + load.failed) throw new Error(`${load.reached} of ${load.count} requests reached the upstream: those were no hits.`);
    loads.push({ connections, ...load });
  }
  return loads;
}

/** At a pace, so that a chunk's delay is the gateway's and not that of a queue. */
async function runStreams(stage, shape) {
  await stage.upstream.call('stream', { chunks: 64, paceMs: shape.paceMs }, GRACE_MS);
  const loads = [];
  for (const connections of shape.streamConnections) loads.push({ connections, ...(await streams(stage, { connections, ms: shape.streamMs, chunks: 64 })) });
  return loads;
}

/** All 64 chunks at once: what a stream costs. */
async function runBurst(stage, shape) {
  await stage.upstream.call('stream', { chunks: 64, paceMs: 0 }, GRACE_MS);
  return streams(stage, { connections: 16, ms: shape.loadMs, chunks: 64 });
}

async function runBig(stage, shape) {
  const without = await closedLoop(stage, { kind: 'miss', connections: 16, ms: shape.loadMs });
  const beside = await closedLoop(stage, { kind: 'miss', connections: 16, ms: shape.loadMs, big: { bytes: BIG_BYTES, pauseMs: BIG_PAUSE_MS } });
  return { without, beside };
}

async function runSlowStreams(stage, shape) {
  const chunks = Math.round(shape.slowMs / SLOW_PACE_MS);
  await stage.upstream.call('stream', { chunks, paceMs: SLOW_PACE_MS }, GRACE_MS);
  const idle = rssOf(stage);
  let most = idle;
  const timer = setInterval(() => {
    most = Math.max(most, rssOf(stage));
  }, 500);
  try {
    const result = await streams(stage, { connections: shape.slowStreams, ms: null, rampMs: 2_000, chunks, limitMs: shape.slowMs });
    return { ...result, asked: shape.slowStreams, chunksEach: chunks, rssIdleBytes: idle, rssMostBytes: most };
  } finally {
    clearInterval(timer);
  }
}

/** One rate for all; the slope is that of the second half, for caches and heaps fill first. */
async function runMemory(stage, shape) {
  if (stage.pid === null) return null;
  await stage.upstream.call('stream', { chunks: 64, paceMs: 0 }, GRACE_MS);
  const samples = [];
  const startedMs = performance.now();
  const look = () => samples.push({ atS: (performance.now() - startedMs) / 1_000, rssBytes: rssOf(stage) });
  look();
  const timer = setInterval(look, RSS_EVERY_MS);
  try {
    const load = await measured(stage, 'fixedRate', { perSecond: stage.contender.rate ?? MEMORY_RATE, connections: 64, ms: shape.memoryMs }, shape.memoryMs);
    look();
    return { ...load, samples, slopeBytesPerMinute: slopeOf(samples.slice(Math.floor(samples.length / 2))) };
  } finally {
    clearInterval(timer);
  }
}

const closedLoop = (stage, args) => measured(stage, 'closedLoop', args, args.ms);
const streams = (stage, args) => measured(stage, 'streams', args, args.limitMs ?? args.ms);

/** A load with what reached the upstream in it, and the CPU time of everybody. */
async function measured({ load, upstream, target, pid }, command, args, ms) {
  await upstream.call('reset', {}, GRACE_MS);
  const before = { gateway: pid === null ? null : usageOf(pid), upstream: usageOf(upstream.pid), atMs: performance.now() };
  const result = await load.call(command, { target, ...args }, ms + GRACE_MS);
  const wallMs = performance.now() - before.atMs;
  const { answers, streams: streamed, left } = await upstream.call('reset', {}, GRACE_MS);
  const shareOf = (id, earlier) => (earlier === null ? null : (usageOf(id)?.cpuMs - earlier.cpuMs) / wallMs);
  const gatewayShare = pid === null ? null : shareOf(pid, before.gateway);
  const done = result.count ?? result.complete;
  return { ...result, reached: answers + streamed, left, gatewayShare, upstreamShare: shareOf(upstream.pid, before.upstream), gatewayUsEach: gatewayShare === null || done === 0 ? null : (gatewayShare * wallMs * 1_000) / done };
}

/** Of all its processes, or only of the one that serves. */
function rssOf({ pid, contender }) {
  const usage = pid === null ? null : usageOf(pid);
  return (contender.ownMemory === true ? usage?.ownRssBytes : usage?.rssBytes) ?? 0;
}

/** Least squares, in bytes per minute. */
function slopeOf(samples) {
  const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const atS = mean(samples.map((sample) => sample.atS));
  const rss = mean(samples.map((sample) => sample.rssBytes));
  const covariance = mean(samples.map((sample) => (sample.atS - atS) * (sample.rssBytes - rss)));
  const variance = mean(samples.map((sample) => (sample.atS - atS) ** 2));
  return variance === 0 ? 0 : (covariance / variance) * 60;
}
