#!/usr/bin/env node
import { readFileSync } from 'node:fs';
import { createLineLog } from '@openeaap/adapter';
import { toPlatformError } from '@openeaap/kernel';
import { USAGE, readSettings } from './config.ts';
import { runWorker } from './run-worker.ts';

const log = createLineLog((line) => void process.stderr.write(line));

async function main(args: readonly string[]): Promise<number> {
  const [first, ...more] = args;
  if (first === '--help' || first === '-h') {
    process.stdout.write(`${USAGE}\n`);
    return 0;
  }
  if (first === '--version') {
    process.stdout.write(`${ownVersion()}\n`);
    return 0;
  }
  if (first !== undefined) {
    process.stderr.write(`There is no argument ${[first, ...more].join(' ')}. Everything is set by the environment: see --help.\n`);
    return 2;
  }
  const stop = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, () => stop.abort());
  // Who started us has gone, or its pipe has: nobody would read what is said from here on.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => stop.abort());
  await runWorker({ settings: readSettings(), version: ownVersion(), log, announce: (line) => void process.stdout.write(line) }, stop.signal);
  return 0;
}

function ownVersion(): string {
  const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { readonly version: string };
  return version;
}

main(process.argv.slice(2)).then(
  (code) => process.exit(code),
  (thrown: unknown) => {
    const error = toPlatformError(thrown);
    log({ level: 'error', message: error.message, code: error.code });
    process.exit(1);
  },
);
