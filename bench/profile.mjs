// What `node --cpu-prof` wrote, as a list that can be read.
import { readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';

/**
 * The functions with the most time of their own in the newest profile of a folder, in per cent of what was not idle. `lastMs`:
 * only of the end of it, without the start of the program.
 */
export function reportProfile(profileFolder, count, lastMs = Number.POSITIVE_INFINITY) {
  const newest = readdirSync(profileFolder).filter((name) => name.endsWith('.cpuprofile')).sort().at(-1);
  const { nodes, samples, timeDeltas, endTime } = JSON.parse(readFileSync(path.join(profileFolder, newest), 'utf8'));
  let atUs = endTime - timeDeltas.reduce((sum, delta) => sum + delta, 0);
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const parents = new Map(nodes.flatMap((node) => (node.children ?? []).map((child) => [child, node.id])));
  const namesAbove = new Map();
  const own = new Map();
  const withCalls = new Map();
  const ofFile = new Map();
  const add = (map, name, time) => map.set(name, (map.get(name) ?? 0) + time);
  let total = 0;
  samples.forEach((id, index) => {
    const { callFrame } = byId.get(id);
    atUs += timeDeltas[index];
    if (callFrame.functionName === '(idle)' || endTime - atUs > lastMs * 1_000) return;
    add(own, nameOf(callFrame), timeDeltas[index]);
    add(ofFile, packageOf(callFrame.url), timeDeltas[index]);
    if (!namesAbove.has(id)) namesAbove.set(id, stackOf(id, byId, parents));
    for (const name of namesAbove.get(id)) add(withCalls, name, timeDeltas[index]);
    total += timeDeltas[index];
  });
  const show = (times, most) => {
    for (const [name, time] of [...times].sort(([, a], [, b]) => b - a).slice(0, most)) console.log(`${((100 * time) / total).toFixed(2).padStart(6)} %  ${name}`);
  };
  console.log('\n  Of their own:');
  show(own, count);
  console.log('\n  By package:');
  show(ofFile, PACKAGES_NAMED);
  console.log('\n  With everything that they call:');
  show(withCalls, 2 * count);
}

const nameOf = ({ functionName, url, lineNumber }) => `${functionName || '(anonymous)'} ${url.split('/').slice(-3).join('/')}:${lineNumber + 1}`;

/** Names of a node and of all above it, each once: a function that calls itself has its time once. */
function stackOf(id, byId, parents) {
  const names = new Set();
  for (let at = id; at !== undefined; at = parents.get(at)) names.add(nameOf(byId.get(at).callFrame));
  return names;
}

const PACKAGES_NAMED = 15;

/** A package below node_modules, a room of ours, or Node's own module. */
function packageOf(url) {
  const [, installed] = /.*node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(url) ?? [];
  return installed ?? /(?:internal|cmd|pkg)\/[^/]+/.exec(url)?.[0] ?? (url === '' ? '(native, garbage collector, program)' : url.split('/').slice(0, 2).join('/'));
}
