// The Restate server of the npm package, on this machine alone, with the settings that it comes with. Its store is not
// PostgreSQL: what it costs is the growth of its folder.
import { createServer } from 'node:net';
import { readdirSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { startProgram } from './peer-process.mjs';

const START_LIMIT_MS = 60_000;
const STOP_LIMIT_MS = 20_000;
const POLL_MS = 50;

/** The ports stay, so that a service that comes back is found again; the folder keeps the state over restarts. */
export async function createRestate(folder) {
  const [ingress, admin, node, service] = await Promise.all(Array.from({ length: 4 }, freePort));
  const addresses = { ingressUrl: `http://127.0.0.1:${ingress}`, adminUrl: `http://127.0.0.1:${admin}`, servicePort: service };
  let program = null;
  const query = async (text) => {
    const response = await fetch(`${addresses.adminUrl}/query`, { method: 'POST', headers: { 'content-type': 'application/json', accept: 'application/json' }, body: JSON.stringify({ query: text }) });
    if (!response.ok) throw new Error(`Restate refused a query: ${response.status} ${await response.text()}`);
    return (await response.json()).rows;
  };
  return {
    addresses,
    start: async () => {
      program = startProgram(binary(), ['--no-logo', '--listen-mode', 'tcp', '--bind-ip', '127.0.0.1', '--bind-port', String(node), '--base-dir', folder, '--log-filter', 'error'], {
        RESTATE_INGRESS__BIND_PORT: String(ingress),
        RESTATE_ADMIN__BIND_PORT: String(admin),
        RESTATE_DISABLE_TELEMETRY: 'true',
      });
      await waitUntilReady({ ...addresses, query }, program);
    },
    stop: async () => {
      if (program === null) return;
      const { child, ended } = program;
      program = null;
      child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), STOP_LIMIT_MS);
      await ended;
      clearTimeout(timer);
    },
    storedBytes: () => folderBytes(folder),
    query,
  };
}

/** The launcher of the package only starts this file; without it there is one process less to end. */
function binary() {
  const launcher = createRequire(import.meta.url).resolve('@restatedev/restate-server/package.json');
  return createRequire(launcher).resolve(`@restatedev/restate-server-${process.platform}-${process.arch}/bin/restate-server`);
}

/** Healthy is not enough: its partitions are led by nobody yet in the first moments. */
async function waitUntilReady({ ingressUrl, adminUrl, query }, { isGone, tail }) {
  const isLed = () => query('SELECT count(*) AS n FROM sys_journal').then(
    () => true,
    () => false,
  );
  const isHealthy = async (url) => (await fetch(url).catch(() => null))?.ok === true;
  for (const until = performance.now() + START_LIMIT_MS; performance.now() < until; ) {
    if (isGone()) throw new Error(`The Restate server ended. ${tail()}`);
    if ((await isHealthy(`${adminUrl}/health`)) && (await isHealthy(`${ingressUrl}/restate/health`)) && (await isLed())) return;
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  throw new Error(`The Restate server did not start within ${START_LIMIT_MS / 1_000} s. ${tail()}`);
}

function folderBytes(folder) {
  return readdirSync(folder, { withFileTypes: true, recursive: true }).reduce((sum, entry) => {
    if (!entry.isFile()) return sum;
    // A file may be compacted away between the listing and the look.
    return sum + (statSync(path.join(entry.parentPath ?? entry.path, entry.name), { throwIfNoEntry: false })?.size ?? 0);
  }, 0);
}

function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}
