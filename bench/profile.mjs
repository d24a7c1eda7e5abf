// What `node --cpu-prof` wrote, as a list that can be read.
import { readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';

/** The functions with the most time of their own in the newest profile of a folder, in per cent of what was not idle. */
export function reportProfile(profileFolder, count) {
  const newest = readdirSync(profileFolder).filter((name) => name.endsWith('.cpuprofile')).sort().at(-1);
  const { nodes, samples, timeDeltas } = JSON.parse(readFileSync(path.join(profileFolder, newest), 'utf8'));
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const own = new Map();
  let total = 0;
  samples.forEach((id, index) => {
    const { functionName, url, lineNumber } = byId.get(id).callFrame;
    if (functionName === '(idle)') return;
    const name = `${functionName || '(anonymous)'} ${url.split('/').slice(-3).join('/')}:${lineNumber + 1}`;
    own.set(name, (own.get(name) ?? 0) + timeDeltas[index]);
    total += timeDeltas[index];
  });
  for (const [name, time] of [...own].sort(([, a], [, b]) => b - a).slice(0, count)) console.log(`${((100 * time) / total).toFixed(2).padStart(6)} %  ${name}`);
}
