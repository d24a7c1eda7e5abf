// One engine in a process of its own, so that heaps and event loops do not mix. Told over IPC what to do; see peer-process.mjs.
import { openSync, writeSync } from 'node:fs';

/** What the engines call at each model and tool call; what happens then depends on what is being measured. */
const hooks = { model: () => undefined, tool: () => undefined };
let engine = null;

const COMMANDS = {
  open: async ({ file, ...context }) => {
    const { open } = await import(`./engines/${file}`);
    engine = await open({ ...context, hooks });
  },
  /** `count` runs at once. */
  run: async ({ count, prefix, steps }) => {
    const marks = new Map();
    let toolCalls = 0;
    hooks.model = (run) => {
      const times = marks.get(run);
      if (times === undefined) marks.set(run, [performance.now()]);
      else times.push(performance.now());
    };
    hooks.tool = () => {
      toolCalls += 1;
    };
    const started = performance.now();
    const ids = await Promise.all(Array.from({ length: count }, (_, n) => engine.start(`${prefix}-${n}`)));
    const seconds = (performance.now() - started) / 1_000;
    const short = [...marks.values()].filter((times) => times.length !== steps + 1).length;
    if (short > 0 || marks.size !== count || toolCalls !== count * steps) {
      throw new Error(`Not the same work: ${marks.size} of ${count} runs, ${toolCalls} of ${count * steps} tool calls, ${short} runs without ${steps + 1} model calls.`);
    }
    return { seconds, ids, stepMs: [...marks.values()].flatMap((times) => times.slice(1).map((time, index) => time - times[index])) };
  },
  /** One run that stops before the model calls of `at` until the other side has looked at the store. */
  growth: async ({ prefix, at }) => {
    hooks.model = (_run, n) => (at.includes(n) ? askToGoOn(n) : undefined);
    hooks.tool = () => undefined;
    await engine.start(prefix);
  },
  /** Runs that will not end: this process is going to be killed. What was done is in the sink, whoever dies. */
  begin: async ({ count, prefix }) => {
    for (let n = 0; n < count; n += 1) void engine.start(`${prefix}-${n}`).catch(() => undefined);
  },
  recover: ({ ids }) => engine.recover(ids),
  /** CPU time of this process so far, in microseconds. */
  cpu: async () => process.cpuUsage(),
  close: async () => {
    await engine.close();
    // What an engine leaves behind (timers, pools) must not keep the process.
    setImmediate(() => process.exit(0));
  },
};

/** The sink is a file: what was written before a SIGKILL stays, and two processes may append to it. */
function writeTo(sink) {
  const file = openSync(sink, 'a');
  const write = (kind, run, n) => {
    writeSync(file, `${kind} ${run} ${n} ${process.pid} ${performance.timeOrigin + performance.now()}\n`);
  };
  hooks.model = (run, n) => write('model', run, n);
  hooks.tool = (run, n) => write('tool', run, n);
}

function askToGoOn(n) {
  return new Promise((resolve) => {
    const listen = (message) => {
      if (message.goOn !== n) return;
      process.off('message', listen);
      resolve();
    };
    process.on('message', listen);
    process.send({ reached: n });
  });
}

async function obey({ id, command, args }) {
  try {
    // Before anything else: an engine may take up old runs while it is opened.
    if (args.sink !== undefined) writeTo(args.sink);
    process.send({ id, result: (await COMMANDS[command](args)) ?? null });
  } catch (error) {
    process.send({ id, error: error instanceof Error ? `${error.name}: ${error.message}` : String(error), stack: error?.stack });
  }
}

process.on('message', (message) => {
  if (message.command !== undefined) void obey(message);
});
// The other side is gone: nothing is left to do.
process.on('disconnect', () => process.exit(0));
