// What a process, with the processes that it started, has used: from /proc, so that it holds for programs of every language.
import { readFileSync, readdirSync } from 'node:fs';

/** Linux counts in hundredths of a second. */
const TICK_MS = 10;
const PAGE_BYTES = 4_096;

/** `{ cpuMs, rssBytes, ownRssBytes }` of `pid` and everything below it, and the memory of `pid` alone; null where there is no /proc. */
export function usageOf(pid) {
  try {
    const all = readdirSync('/proc').filter((name) => /^\d+$/.test(name)).map(readStat).filter((stat) => stat !== null);
    const family = new Set([pid]);
    // Parents have lower ids than their children nearly always; a second pass finds the rest.
    for (let pass = 0; pass < 2; pass += 1) for (const { id, parent } of all) if (family.has(parent)) family.add(id);
    const members = all.filter(({ id }) => family.has(id));
    return { cpuMs: sum(members, 'cpuMs'), rssBytes: sum(members, 'rssBytes'), ownRssBytes: all.find(({ id }) => id === pid)?.rssBytes ?? 0 };
  } catch {
    return null;
  }
}

const sum = (stats, name) => stats.reduce((total, stat) => total + stat[name], 0);

function readStat(id) {
  try {
    // The name stands in brackets and may hold anything.
    const text = readFileSync(`/proc/${id}/stat`, 'latin1');
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    return { id: Number(id), parent: Number(fields[1]), cpuMs: (Number(fields[11]) + Number(fields[12])) * TICK_MS, rssBytes: Number(fields[21]) * PAGE_BYTES };
  } catch {
    return null;
  }
}
