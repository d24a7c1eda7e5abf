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
  const own = new Map();
  const ofFile = new Map();
  const add = (map, name, time) => map.set(name, (map.get(name) ?? 0) + time);
  let total = 0;
  samples.forEach((id, index) => {
    const { functionName, url, lineNumber } = byId.get(id).callFrame;
    atUs += timeDeltas[index];
    if (functionName === '(idle)' || endTime - atUs > lastMs * 1_000) return;
    const name = `${functionName || '(anonymous)'} ${url.split('/').slice(-3).join('/')}:${lineNumber + 1}`;
    add(own, name, timeDeltas[index]);
    add(ofFile, packageOf(url), timeDeltas[index]);
    total += timeDeltas[index];
  });
  const show = (times, most) => {
    for (const [name, time] of [...times].sort(([, a], [, b]) => b - a).slice(0, most)) console.log(`${((100 * time) / total).toFixed(2).padStart(6)} %  ${name}`);
  };
  show(own, count);
  console.log('\n  By package:');
  show(ofFile, PACKAGES_NAMED);
}

const PACKAGES_NAMED = 15;

/** A package below node_modules, a room of ours, or Node's own module. */
function packageOf(url) {
  const [, installed] = /.*node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(url) ?? [];
  return installed ?? /(?:internal|cmd|pkg)\/[^/]+/.exec(url)?.[0] ?? (url === '' ? '(native, garbage collector, program)' : url.split('/').slice(0, 2).join('/'));
}
