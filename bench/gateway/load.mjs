// The load generator: a process of its own, so that what it costs is not in anybody's event loop. Commands over IPC; each
// returns numbers. It says how much of a core it took, since on few cores it takes it from those it measures.
import { createRequests } from './requests.mjs';
import { openConnection } from './http-connection.mjs';
import { readStream } from './read-stream.mjs';
import { quantile } from '../statistics.mjs';

const PROBLEMS_KEPT = 3;
const TICK_MS = 20;
const nowUs = () => performance.now() * 1_000;

/** `connections` that each ask again as soon as they are answered, for `ms`. `big`: one more, with long prompts. */
async function closedLoop({ target, kind, connections, ms, big = null }) {
  const requests = createRequests(target);
  const seen = createSamples();
  const bigSeen = createSamples();
  const untilUs = nowUs() + ms * 1_000;
  const ask = async (connection, request, samples) => {
    const startedUs = nowUs();
    const answer = await connection.ask(request);
    samples.add(nowUs() - startedUs, answer);
  };
  const small = Array.from({ length: connections }, async () => {
    const connection = openConnection(target);
    while (nowUs() < untilUs) await ask(connection, requests.next(kind), seen);
    connection.close();
  });
  const long = big === null ? null : (async () => {
    const connection = openConnection(target);
    while (nowUs() < untilUs) {
      await ask(connection, requests.big(big.bytes), bigSeen);
      // The same for everybody, so that who is fast does not get more of them.
      await new Promise((resolve) => setTimeout(resolve, big.pauseMs));
    }
    connection.close();
  })();
  await Promise.all([...small, long]);
  return { ...seen.summary(), big: big === null ? null : bigSeen.summary() };
}

/** Streams, one after the other on each of `connections`, for `ms`; or with `ms` null one on each, begun over `rampMs`. */
async function streams({ target, connections, ms = null, rampMs = 0, chunks }) {
  const requests = createRequests(target);
  const firstUs = [];
  const chunkUs = [];
  const problems = [];
  const count = { complete: 0, broken: 0, lost: 0, disordered: 0, chunks: 0 };
  const untilUs = ms === null ? 0 : nowUs() + ms * 1_000;
  const startedUs = nowUs();
  const each = Array.from({ length: connections }, async (_, index) => {
    const connection = openConnection(target);
    if (rampMs > 0) await new Promise((resolve) => setTimeout(resolve, (index * rampMs) / connections));
    do {
      const request = requests.next('stream');
      const sentUs = clockUs();
      const reader = readStream(clockUs);
      const answer = await connection.ask(request, reader.take);
      const { first, delays, received, disordered, isDone } = reader.end();
      if (first !== null) firstUs.push(first - sentUs);
      // Not the first: it waits for the request's way in as well, which has a number of its own.
      for (let at = 1; at < delays.length; at += 1) chunkUs.push(delays[at]);
      count.chunks += received;
      count.disordered += disordered;
      count.lost += Math.max(0, chunks - received);
      const problem = answer.problem ?? (answer.status === 200 ? null : `status ${answer.status}: ${answer.body}`) ?? (received === chunks && isDone && disordered === 0 ? null : `${received} of ${chunks} chunks, ${isDone ? 'with' : 'without'} an end`);
      if (problem === null) count.complete += 1;
      else {
        count.broken += 1;
        if (problems.length < PROBLEMS_KEPT) problems.push(problem);
      }
    } while (nowUs() < untilUs);
    connection.close();
  });
  await Promise.all(each);
  const seconds = (nowUs() - startedUs) / 1e6;
  const spread = (values) => ({ p50Ms: quantile(values, 0.5) / 1_000, p99Ms: quantile(values, 0.99) / 1_000 });
  return { ...count, problems, perSecond: count.complete / seconds, firstByte: spread(firstUs), chunk: { ...spread(chunkUs), maxMs: chunkUs.reduce((most, us) => Math.max(most, us), 0) / 1_000 } };
}

/** So many requests per second, whether answers come or not, each tenth a stream, over at most `connections`. `late`: still not sent at the end. */
async function fixedRate({ target, perSecond, connections, ms }) {
  const requests = createRequests(target);
  const seen = createSamples();
  const idle = Array.from({ length: connections }, () => openConnection(target));
  const startedUs = nowUs();
  const pending = new Set();
  let sent = 0;
  const send = async (connection, dueUs) => {
    // From when it was due: a gateway that makes others wait is not excused from their wait.
    const answer = await connection.ask(requests.next(sent % 10 === 0 ? 'stream' : 'miss'));
    seen.add(nowUs() - dueUs, answer);
    idle.push(connection);
  };
  const dueBy = (us) => Math.floor(((us - startedUs) * perSecond) / 1e6);
  while (nowUs() - startedUs < ms * 1_000) {
    while (sent < dueBy(nowUs()) && idle.length > 0) {
      sent += 1;
      const one = send(idle.pop(), startedUs + (sent * 1e6) / perSecond);
      pending.add(one);
      void one.then(() => pending.delete(one));
    }
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  // What was due in the last moments could not have been sent yet.
  const late = Math.max(0, dueBy(startedUs + (ms - TICK_MS) * 1_000) - sent);
  await Promise.all(pending);
  for (const connection of idle) connection.close();
  return { ...seen.summary(), late };
}

/** What is asked once, with its answer: for looking at what a contender does. */
async function once({ target, kind, bytes }) {
  const connection = openConnection(target);
  const requests = createRequests(target);
  const answer = await connection.ask(bytes === undefined ? requests.next(kind) : requests.big(bytes));
  connection.close();
  return answer;
}

function createSamples() {
  const us = [];
  const problems = [];
  let failed = 0;
  const startedUs = nowUs();
  return {
    add: (elapsedUs, { status, body, problem }) => {
      if (status === 200 && problem === null) us.push(elapsedUs);
      else {
        failed += 1;
        if (problems.length < PROBLEMS_KEPT) problems.push(problem ?? `status ${status}: ${body}`);
      }
    },
    summary: () => ({ count: us.length, failed, problems, perSecond: (us.length * 1e6) / (nowUs() - startedUs), p50Ms: quantile(us, 0.5) / 1_000, p99Ms: quantile(us, 0.99) / 1_000 }),
  };
}

/** CLOCK_MONOTONIC in microseconds, as the upstream double writes it. */
function clockUs() {
  const [seconds, nanoseconds] = process.hrtime();
  return seconds * 1e6 + nanoseconds / 1e3;
}

const COMMANDS = { closedLoop, streams, fixedRate, once };

process.on('message', (message) => void obey(message));
process.on('disconnect', () => process.exit(0));
process.send({ ready: true });

async function obey({ id, command, args }) {
  const before = process.cpuUsage();
  const startedMs = performance.now();
  try {
    const result = await COMMANDS[command](args);
    const { user, system } = process.cpuUsage(before);
    process.send({ id, result: { ...result, generatorShare: (user + system) / 1_000 / (performance.now() - startedMs) } });
  } catch (error) {
    process.send({ id, error: error.stack });
  }
}
