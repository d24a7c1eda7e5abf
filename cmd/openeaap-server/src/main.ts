#!/usr/bin/env node
import path from 'node:path';
import { pino } from 'pino';
import { toPlatformError } from '@openeaap/kernel';
import type { ServerConfig } from './config.ts';
import { USAGE, parseConfig } from './config.ts';
import { runBackup } from './run-backup.ts';
import { runDoctor } from './run-doctor.ts';
import type { JobResult, Served } from './serve.ts';
import { runJob, serve } from './serve.ts';

const VERSION = '0.1.0';

/** Exit codes: 0 ended as asked; 1 could not start or go on, or the job had a surprise; 2 wrong usage. */
async function main(): Promise<number> {
  if (process.argv.includes('--help')) {
    process.stdout.write(`${USAGE}\n`);
    return 0;
  }
  const config = parseConfig(process.argv.slice(2), process.cwd());
  const log = createLog(config);
  if (config.command === 'doctor') return runDoctor(config, (text) => void process.stdout.write(`${text}\n`));
  if (config.command === 'backup') return runBackup(config, VERSION, (text) => void process.stdout.write(`${text}\n`));
  const stop = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, () => stop.abort());
  // A terminal that was closed, or a pipe whose reader has gone, must not cut the stop short.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => stop.abort());
  const served = await serve(config, log, VERSION);
  try {
    return await (config.job === 'none' ? runAsServer(served, config, stop.signal) : runAsDemo(served, config, stop.signal));
  } finally {
    await served.close();
  }
}

/** The log goes to standard error; standard output is for results. In the demo only trouble is shown. */
function createLog(config: ServerConfig): pino.Logger {
  const level = config.job === 'none' ? config.logLevel : config.logLevel === 'info' ? 'error' : config.logLevel;
  return pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      redact: { paths: ['req.headers.authorization', 'req.headers["x-api-key"]', 'req.headers.cookie', '*.api_key', '*.password'], censor: '[redacted]' },
      serializers: { err: toSafeError },
    },
    pino.destination({ dest: 2, sync: true }),
  );
}

/** What an error may say in the log: its code and where, never the values that a database or a peer put into its text. */
function toSafeError(thrown: unknown): object {
  const error = toPlatformError(thrown);
  const cause = error.cause instanceof Error ? { name: error.cause.name, code: 'code' in error.cause ? error.cause.code : undefined, at: error.cause.stack?.split('\n').slice(1, 6).map((row) => row.trim()) } : undefined;
  return { code: error.code, message: error.message, cause };
}

async function runAsServer(served: Served, config: ServerConfig, signal: AbortSignal): Promise<number> {
  if (config.json) process.stdout.write(`${JSON.stringify({ url: served.url, api_key: served.apiKey })}\n`);
  else {
    process.stdout.write(`OpenEAAP ${VERSION}  ${served.url}  store: ${served.store}  model: ${describeModel(served)}\n`);
    if (served.keyIsNew) process.stdout.write(`API key of the administrator (shown once, kept in ${config.dataDir}/connection.json): ${served.apiKey}\n`);
  }
  const lost = await Promise.race([served.died, aborted(signal)]);
  return lost === null ? 0 : reportLoss(lost);
}

async function runAsDemo(served: Served, config: ServerConfig, signal: AbortSignal): Promise<number> {
  const print = (line: string): void => void process.stdout.write(`${line}\n`);
  const colors = process.stdout.isTTY && config.environment['NO_COLOR'] === undefined;
  const stay = config.job === 'stay' && process.stdout.isTTY;
  print(`OpenEAAP ${VERSION}   node ${process.versions.node}   store: ${served.store}   model: ${describeModel(served)}   [simulated: ${describeSimulated(config)}]`);
  print('');
  const result = await runJob(served, { print, colors, signal, stay });
  print('');
  if (result.surprises.length > 0) {
    print('Not as expected:');
    for (const surprise of result.surprises) print(`  - ${surprise}`);
    if (!stay) return 1;
  } else {
    print(`All as expected: run ${result.runId} in ${result.seconds.toFixed(2)} s; the firewall acted once, after the approval.`);
  }
  if (!stay) return 0;
  printNext(served, result, config, print);
  const lost = await Promise.race([served.died, aborted(signal)]);
  return lost === null ? 0 : reportLoss(lost);
}

function printNext(served: Served, result: JobResult, config: ServerConfig, print: (line: string) => void): void {
  const waiting = result.waiting?.runId ?? result.runId;
  const isDefaultFolder = config.dataDir === path.resolve('.openeaap');
  const openeaap = `npx openeaap${isDefaultFolder ? '' : ` --data-dir ${config.dataDir}`}`;
  print('');
  print(`API       ${served.url}/api/v1        OpenAPI 3.1: ${served.url}/openapi.json        metrics: ${served.url}/metrics`);
  if (result.waiting?.isHeld === true) print(`Waiting   run ${waiting} is held for YOUR approval: block the source of "Brute force against bastion-01"`);
  else print(`Second    run ${waiting} needed no approval; see what it did`);
  print(`Try       ${openeaap} approval list`);
  print(`          ${openeaap} approval approve <approval id>        (or: approval reject <approval id> --reason "...")`);
  print(`          ${openeaap} run watch ${waiting}`);
  print(`Ctrl-C stops; the state stays in ${isDefaultFolder ? './.openeaap' : config.dataDir} (npm start -- --fresh wipes it)`);
}

function describeSimulated(config: ServerConfig): string {
  const { threatIntelUrl, cmdbUrl, firewallUrl } = config.products;
  const products = [['ThreatIntel', threatIntelUrl], ['CMDB', cmdbUrl], ['Firewall', firewallUrl]] as const;
  return ['SIEM', ...products.flatMap(([name, url]) => (url === undefined ? [name] : []))].join(', ');
}

function describeModel(served: Served): string {
  const [model] = served.models;
  if (model === undefined) return 'none';
  return model.labels['simulated'] === 'true' ? `${model.name} (simulated, no key)` : model.name;
}

function reportLoss(error: Error): number {
  process.stderr.write(`OpenEAAP cannot go on: ${error.message}\n`);
  return 1;
}

const aborted = (signal: AbortSignal): Promise<null> => new Promise((resolve) => (signal.aborted ? resolve(null) : signal.addEventListener('abort', () => resolve(null), { once: true })));

main().then(
  (code) => process.exit(code),
  (thrown: unknown) => {
    const error = toPlatformError(thrown);
    process.stderr.write(`OpenEAAP: ${error.message}\n`);
    if (error.code === 'internal') process.stderr.write(`${error.cause instanceof Error ? (error.cause.stack ?? '') : ''}\n`);
    process.exit(error.code === 'invalid_input' ? 2 : 1);
  },
);
