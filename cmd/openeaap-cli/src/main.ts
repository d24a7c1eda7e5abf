#!/usr/bin/env node
import { readFileSync } from 'node:fs';
import { randomIds, systemClock } from '@openeaap/kernel';
import { readEnvironment } from './config.ts';
import { EXIT } from './exit-code.ts';
import { runCli } from './run-cli.ts';

const stop = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  // The first one ends the command in order, the second one at once.
  process.on(signal, () => (stop.signal.aborted ? process.exit(EXIT.interrupted) : stop.abort(signal)));
}
for (const stream of [process.stdout, process.stderr]) {
  // The reader of a pipe has gone, as with `| head`: nothing is wrong and nobody is left to tell.
  stream.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? EXIT.ok : EXIT.failed));
}

const exitCode = await runCli(process.argv.slice(2), {
  stdout: process.stdout,
  stderr: process.stderr,
  stdin: process.stdin,
  // Node leaves it undefined on a pipe, against its own types.
  stdoutIsTty: process.stdout.isTTY ?? false,
  stdinIsTty: process.stdin.isTTY ?? false,
  columns: process.stdout.isTTY ? process.stdout.columns : null,
  cwd: process.cwd(),
  environment: readEnvironment(),
  fetch,
  clock: systemClock,
  newId: randomIds.newId,
  signal: stop.signal,
  version: ownVersion(),
  nodeVersion: process.versions.node,
  programFolder: new URL('.', import.meta.url),
});
// Pipes may still hold output; exit only when it is out.
await Promise.all([process.stdout, process.stderr].map((stream) => new Promise((resolve) => void stream.write('', resolve))));
process.exit(exitCode);

function ownVersion(): string {
  const text = readFileSync(new URL('../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { readonly version: string }).version;
}
