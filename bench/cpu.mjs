// node bench/cpu.mjs: what a durable step of ours costs in CPU time, which a busy machine changes less than it changes the
// clock on the wall: of Node, of the server's backends, and in WAL. Not part of `npm run bench`.
//   --runs 256 --steps 20 --waves 4    the load, and how often it is repeated
//   --profile FOLDER                   a CPU profile of Node (.cpuprofile), and its functions by their own time
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { ensureReady } from '../tools/bootstrap.mjs';
import { reportProfile } from './profile.mjs';
import { median } from './statistics.mjs';

const RUN_LIMIT_MS = 180_000;
const NAMED_FUNCTIONS = 45;

const { values: given } = parseArgs({
  options: { runs: { type: 'string', default: '256' }, steps: { type: 'string', default: '20' }, waves: { type: 'string', default: '4' }, profile: { type: 'string' } },
});
const shape = { runs: Number(given.runs), steps: Number(given.steps), waves: Number(given.waves) };

ensureReady();
const { openDatabases } = await import('./database.mjs');
const { killAll, startWorker } = await import('./peer-process.mjs');
const folder = mkdtempSync(path.join(os.tmpdir(), 'openeaap-cpu-'));
const databases = await openDatabases({ dataDir: folder, databaseUrl: process.env.BENCH_DATABASE_URL });
try {
  const waves = await measure(await databases.create('bench_cpu'), shape);
  const over = (name) => median(waves.map((wave) => wave[name])).toFixed(3);
  const least = (name) => Math.min(...waves.map((wave) => wave[name])).toFixed(3);
  for (const name of ['nodeMs', 'userMs', 'systemMs', 'backendMs', 'othersMs', 'walBytes', 'transactions', 'wallMs']) console.log(`${name.padEnd(14)} ${over(name)} per step, least ${least(name)}`);
} finally {
  killAll();
  await databases.close();
  rmSync(folder, { recursive: true, force: true });
}
if (given.profile !== undefined) reportProfile(given.profile, NAMED_FUNCTIONS);
process.exit(0);

/** Wave by wave, per step. */
async function measure(database, { runs, steps, waves }) {
  const backend = Number((await database.query('SELECT pg_backend_pid() AS pid')).rows[0].pid);
  const postmaster = readStat(backend).parent;
  if (given.profile !== undefined) mkdirSync(given.profile, { recursive: true });
  const worker = startWorker(given.profile === undefined ? [] : ['--cpu-prof', '--cpu-prof-interval=500', `--cpu-prof-dir=${given.profile}`]);
  try {
    await worker.call('open', { file: 'openeaap.mjs', url: database.url, steps, options: { effect: 'read' } }, RUN_LIMIT_MS);
    // The first load is for the compiler.
    await worker.call('run', { count: runs, prefix: 'warm', steps }, RUN_LIMIT_MS);
    const samples = [];
    for (let wave = 0; wave < waves; wave += 1) {
      const before = await read(database, worker, postmaster);
      const { seconds } = await worker.call('run', { count: runs, prefix: `wave-${wave}`, steps }, RUN_LIMIT_MS);
      const after = await read(database, worker, postmaster);
      const perStep = (name) => (after[name] - before[name]) / (runs * steps);
      samples.push({ ...Object.fromEntries(Object.keys(after).map((name) => [name, perStep(name)])), wallMs: (seconds * 1_000) / (runs * steps) });
    }
    return samples;
  } finally {
    await worker.close();
  }
}

async function read(database, worker, postmaster) {
  const { user, system } = await worker.call('cpu', {}, RUN_LIMIT_MS);
  const transactions = Number((await database.query('SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()')).rows[0].xact_commit);
  const children = readdirSync('/proc').filter((name) => /^\d+$/.test(name)).map((name) => readStat(Number(name))).filter((stat) => stat?.parent === postmaster);
  const sum = (stats) => stats.reduce((ms, stat) => ms + stat.ms, 0);
  const isBackend = (stat) => stat.title.includes('bench_cpu');
  return {
    nodeMs: (user + system) / 1_000,
    userMs: user / 1_000,
    systemMs: system / 1_000,
    backendMs: sum(children.filter(isBackend)),
    // WAL writer, checkpointer, background writer.
    othersMs: sum(children.filter((stat) => !isBackend(stat))),
    walBytes: await database.walBytes(),
    transactions,
  };
}

/** Of a process on Linux: its parent and the CPU time that it has used; undefined: it is gone. */
function readStat(pid) {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\) /s, '').split(' ');
    return { parent: Number(fields[1]), ms: Number(readFileSync(`/proc/${pid}/schedstat`, 'utf8').split(' ')[0]) / 1e6, title: readFileSync(`/proc/${pid}/cmdline`, 'utf8') };
  } catch {
    return undefined;
  }
}
