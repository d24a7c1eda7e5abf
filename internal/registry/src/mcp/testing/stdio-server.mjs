// An MCP server over stdio. The first argument says how it misbehaves.
import { spawn } from 'node:child_process';
import { StdioServerTransport } from '@modelcontextprotocol/sdk/server/stdio.js';
import { bends } from './bends.mjs';
import { makeServer } from './make-server.mjs';

const [mode = 'good', note = ''] = process.argv.slice(2);

const BEFORE = {
  'ends-at-once': () => {
    process.stderr.write(`no configuration; the token is ${process.env.TOKEN}\n`);
    process.exit(3);
  },
  'never-answers': () => {
    process.stdin.resume();
    process.on('SIGTERM', () => undefined);
    setInterval(() => undefined, 1_000);
    return 'stop';
  },
  garbage: () => {
    for (let n = 0; n < 150; n += 1) process.stdout.write(`starting up ${n} ...\n`);
    setInterval(() => undefined, 1_000);
    return 'stop';
  },
  chatty: () => void process.stdout.write('Welcome to the server!\n{"not": "a message"}\n'),
  // A child that outlives its parent, as `npx` makes one. It tells its pid by standard error.
  grandchild: () => {
    const child = spawn(process.execPath, ['-e', 'setInterval(() => undefined, 1000)'], { stdio: 'inherit' });
    process.stderr.write(`child ${child.pid}\n`);
  },
};

const hooks = {
  die: () => process.exit(7),
  flood: () => {
    const block = Buffer.alloc(65_536, 'x');
    const write = () => void (process.stdout.write(block) ? setImmediate(write) : process.stdout.once('drain', write));
    write();
  },
};

if (BEFORE[mode]?.() !== 'stop') {
  if (note !== '') process.stderr.write(`${note}\n`);
  process.stdin.on('end', () => process.exit(0));
  await makeServer({ hooks, ...bends[mode] }).connect(new StdioServerTransport());
}
