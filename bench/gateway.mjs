// npm run bench -- gateway: what the model gateway adds, beside no gateway, a bare proxy and other gateways, in turns in front
// of the same double of a model server. Nothing here is a test. bench/README.md says what exactly is measured.
//   -- --quick                          a short look
//   -- --rounds 3                       how often everything is repeated
//   -- --only openeaap,bare,portkey     these (direct is always there)
//   -- --scenarios miss,streams         only these (miss, hit, streams, burst, big, slow, memory)
//   -- --memory-seconds 60              how long the long run is
//   -- --profile FOLDER                 ours alone under load, with a CPU profile (.cpuprofile) and its functions by their own time
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { ensureReady, root } from '../tools/bootstrap.mjs';
import { GATEWAYS } from './gateway/contenders.mjs';
import { reportGateways } from './gateway/report.mjs';
import { SCENARIOS, warmUp } from './gateway/scenarios.mjs';
import { killAll, startScript } from './peer-process.mjs';
import { installPeers, productVersions, versionOf } from './peers-install.mjs';
import { reportProfile } from './profile.mjs';
import { installPython, pythonVersionOf } from './python-install.mjs';

const PROFILED_FUNCTIONS = 25;
/** The last load, and not the start of the process and its compiler. */
const PROFILED_END_MS = 5_000;

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    rounds: { type: 'string' },
    only: { type: 'string' },
    scenarios: { type: 'string' },
    'memory-seconds': { type: 'string' },
    profile: { type: 'string' },
    // For whoever changes the bench while others build.
    'no-build': { type: 'boolean', default: false },
  },
});
const say = (line) => console.error(`  ${line}`);
const shape = toShape(values);
const chosen = choose(values.only === undefined ? GATEWAYS.filter(({ optional }) => optional !== true) : GATEWAYS, values.profile === undefined ? values.only : 'openeaap', 'key', (key) => key === 'direct');
const scenarios = choose(SCENARIOS, values.scenarios, 'name', () => false);

if (!values['no-build']) ensureReady();
const folder = mkdtempSync(path.join(os.tmpdir(), 'openeaap-gateways-'));
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(130));
process.on('exit', () => {
  killAll();
  rmSync(folder, { recursive: true, force: true });
});

const contenders = chosen.map((contender) => ({ contender, rounds: [], failure: problemOf(contender) }));
const upstream = startScript('gateway/upstream.mjs');
const load = startScript('gateway/load.mjs');
const tools = { upstream, load, upstreamPort: await upstream.ready, folder };
await load.ready;

if (values.profile === undefined) await measure();
else await profile(path.resolve(values.profile));
process.exit(0);

async function measure() {
  const result = { at: new Date().toISOString(), machine: describeMachine(), loadBefore: os.loadavg(), versions: describeVersions(), shape, contenders: [] };
  for (let round = 1; round <= shape.rounds; round += 1) {
    for (const each of contenders) {
      if (each.failure !== null) continue;
      say(`round ${String(round)} of ${String(shape.rounds)}: ${each.contender.label}`);
      const seen = await turn(each, round, []);
      if (Object.keys(seen).length > 0) each.rounds.push(seen);
    }
  }
  result.loadAfter = os.loadavg();
  result.contenders = contenders.map(({ contender, rounds, failure }) => ({ key: contender.key, label: contender.label, failure, rounds }));
  console.log(`\n${result.machine}\n${Object.entries(result.versions).map(([name, version]) => `${name} ${version ?? 'NOT INSTALLED'}`).join(', ')}`);
  reportGateways(result);
  const target = path.join(root, 'bench', 'results', 'gateway.json');
  mkdirSync(path.dirname(target), { recursive: true });
  writeFileSync(target, `${JSON.stringify(result, null, 2)}\n`);
  console.log(`\nLoad of the machine: ${result.loadBefore[0].toFixed(1)} before, ${result.loadAfter[0].toFixed(1)} after. Written to ${path.relative(root, target)}`);
}

/** A new process, warmed up, through all scenarios. What fails in one of them ends the turn and the contender; what was measured before it stands. */
async function turn(each, round, flags) {
  const seen = {};
  let started = null;
  try {
    started = await each.contender.start({ upstream: tools.upstreamPort, folder, flags });
    const stage = { contender: each.contender, upstream, load, ...started };
    await warmUp(stage, shape);
    for (const { name, run, once } of scenarios) {
      if (once && round > 1) continue;
      seen[name] = await run(stage, shape);
    }
  } catch (error) {
    each.failure = error.message;
    say(`FAILED ${each.contender.label}: ${error.message}`);
  } finally {
    await started?.stop().catch((error) => say(`could not be stopped: ${error.message}`));
  }
  return seen;
}

async function profile(target) {
  mkdirSync(target, { recursive: true });
  const ours = contenders.find(({ contender }) => contender.key === 'openeaap');
  const seen = await turn(ours, 1, ['--cpu-prof', '--cpu-prof-interval=200', `--cpu-prof-dir=${target}`]);
  console.log(JSON.stringify(seen, null, 2));
  if (ours.failure === null) reportProfile(target, PROFILED_FUNCTIONS, PROFILED_END_MS);
}

function problemOf({ npm, python }) {
  if (npm !== undefined) return installPeers();
  return python === undefined ? null : installPython(python);
}

function toShape({ quick, rounds, 'memory-seconds': memorySeconds, profile: profileFolder }) {
  const count = toCount('rounds', rounds ?? (quick ? '1' : '3'));
  const memoryMs = toCount('memory-seconds', memorySeconds ?? (quick ? '10' : '60')) * 1_000;
  const common = { rounds: count, connections: [1, 16, 64], streamConnections: [1, 16], paceMs: 4, slowStreams: 1_000, memoryMs };
  if (profileFolder !== undefined) return { ...common, warmMs: 2_000, loadMs: 5_000, streamMs: 2_000, slowMs: 3_000, connections: [16] };
  return quick ? { ...common, warmMs: 1_500, loadMs: 1_000, streamMs: 1_500, slowMs: 5_000 } : { ...common, warmMs: 4_000, loadMs: 2_500, streamMs: 5_000, slowMs: 10_000 };
}

/** `names` as they were asked for, with commas; not given: all. */
function choose(all, names, property, always) {
  if (names === undefined) return all;
  const wanted = names.split(',');
  const unknown = wanted.find((name) => !all.some((each) => each[property] === name));
  if (unknown !== undefined) fail(`There is no "${unknown}"; there are ${all.map((each) => each[property]).join(', ')}.`);
  return all.filter((each) => wanted.includes(each[property]) || always(each[property]));
}

function toCount(name, text) {
  const count = Number(text);
  if (Number.isInteger(count) && count > 0) return count;
  return fail(`--${name} takes a whole number above 0, not "${text}".`);
}

function fail(message) {
  console.error(message);
  process.exit(2);
}

function describeMachine() {
  const [cpu] = os.cpus();
  return `${os.cpus().length} cores (${cpu?.model.trim() ?? 'unknown'}), ${(os.totalmem() / 2 ** 30).toFixed(0)} GiB, ${os.type()} ${os.release()}, Node ${process.versions.node}`;
}

function describeVersions() {
  const npm = ['undici', ...chosen.flatMap((each) => each.npm ?? [])];
  const python = [...new Set(chosen.flatMap((each) => each.python ?? []))];
  return { openeaap: productVersions().openeaap, ...Object.fromEntries(npm.map((name) => [name, versionOf(name)])), ...Object.fromEntries(python.map((name) => [name, pythonVersionOf(name)])) };
}
