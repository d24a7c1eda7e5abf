import { mkdtempSync, rmSync, readFileSync, readdirSync } from 'node:fs';
import pg from 'pg';
import * as sql from '@openeaap/store';
import { benchWorld } from './tmp-world.mjs';
const dir = mkdtempSync('/tmp/ob-');
const server = await sql.openEmbeddedServer({ dataDir: dir });
const pool = new pg.Pool({ ...server.connection, max: 20 });
pool.on('error', () => undefined);
function pgCpu() { // all processes whose cmdline starts with postgres and whose parent tree is our postmaster
  const pm = Number(readFileSync(dir + '/postgres/data/postmaster.pid', 'utf8').split('\n')[0]);
  const out = {};
  for (const p of readdirSync('/proc')) { if (!/^\d+$/.test(p)) continue; try { const s = readFileSync(`/proc/${p}/stat`, 'utf8'); const rest = s.slice(s.lastIndexOf(')') + 2).split(' '); if (Number(rest[1]) !== pm && Number(p) !== pm) continue; const cmd = readFileSync(`/proc/${p}/cmdline`, 'utf8').replace(/\0/g, ' ').trim(); out[p] = { cmd, ms: (Number(rest[11]) + Number(rest[12])) * 10 }; } catch {} }
  return out;
}
const find = (d) => { for (const n of ['postgres','pg','database','pgdata','']) { try { readFileSync(`${d}/${n}/postmaster.pid`); return n; } catch {} } return readdirSync(d); };

const w = await benchWorld(pool, 20);
await w.runMany(256); await w.runMany(64);
for (const [c, rep] of [[1, 10], [16, 4], [256, 3]]) {
  const a = pgCpu(), n0 = process.cpuUsage(), t0 = performance.now();
  for (let i = 0; i < rep; i++) await w.runMany(c);
  const wall = performance.now() - t0, n = process.cpuUsage(n0), b = pgCpu();
  const commits = c * rep * 41;
  const groups = {};
  for (const p in b) { const k = b[p].cmd.replace(/\d+/g, '').replace(/\[.*/, '').slice(0, 40); groups[k] = (groups[k] ?? 0) + b[p].ms - (a[p]?.ms ?? 0); }
  console.log('conc', c, 'steps/s', (c * rep * 20 / wall * 1000).toFixed(0), 'us/commit: wall', (wall / commits * 1000).toFixed(0), 'node', ((n.user + n.system) / commits).toFixed(0), Object.entries(groups).filter(([, v]) => v > 20).map(([k, v]) => `${k}: ${(v / commits * 1000).toFixed(0)}`).join(' | '));
}
await w.close(); await pool.end(); await server.close(); rmSync(dir, { recursive: true });
process.exit(0);
