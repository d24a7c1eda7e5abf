#!/usr/bin/env node
// The installed command. It is a file of its own because package managers link it before anything is built.
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const built = new URL('../dist/index.js', import.meta.url);
if (!existsSync(fileURLToPath(built))) {
  process.stderr.write('openeaap-conformance is not built yet. Run "npm start" or "npm run build" in the project first.\n');
  process.exit(2);
}
const { runCli } = await import(built.href);

const stop = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  // The first one ends the plugins that were started, the second one ends at once.
  process.on(signal, () => (stop.signal.aborted ? process.exit(2) : stop.abort(signal)));
}
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error) => process.exit(error.code === 'EPIPE' ? 0 : 2));
}
const exitCode = await runCli(process.argv.slice(2), {
  stdout: (text) => void process.stdout.write(text),
  stderr: (text) => void process.stderr.write(text),
  environment: process.env,
  cwd: process.cwd(),
  version: JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')).version,
  signal: stop.signal,
});
// Pipes may still hold output; exit only when it is out.
await Promise.all([process.stdout, process.stderr].map((stream) => new Promise((resolve) => stream.write('', resolve))));
process.exit(exitCode);
