import { readFileSync } from 'node:fs';
import path from 'node:path';
import { ALL_CHECKS } from './checks/all-checks.ts';
import { ConformanceError } from './conformance-error.ts';
import type { Target } from './connect-peer.ts';
import type { PluginArguments, TlsFiles, TokenSource } from './parse-arguments.ts';
import { HELP, parseArguments } from './parse-arguments.ts';
import { exitCodeOf, toJson, toTable } from './report.ts';
import { runConformance } from './run-conformance.ts';
import type { ConformanceOptions } from './run-conformance.ts';
import type { Timing } from './timing.ts';

/** Everything that the program may touch. */
export interface CliIo {
  readonly stdout: (text: string) => void;
  readonly stderr: (text: string) => void;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  readonly version: string;
  readonly signal: AbortSignal;
  readonly timing?: Partial<Timing>;
}

/** 0: all promises are kept. 1: some are broken. 2: nothing could be tested. */
export type ExitCode = 0 | 1 | 2;

/** Runs one command line, without the program's name. Never throws and never ends the process. */
export async function runCli(argv: readonly string[], io: CliIo): Promise<ExitCode> {
  try {
    return await run(argv, io);
  } catch (thrown) {
    const message = thrown instanceof ConformanceError ? thrown.message : `This is a mistake of the kit: ${thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown)}`;
    const code = thrown instanceof ConformanceError ? thrown.code : 'internal';
    io.stderr(argv.includes('--json') ? `${JSON.stringify({ error: { code, message } })}\n` : `error: ${message}\n`);
    return 2;
  }
}

async function run(argv: readonly string[], io: CliIo): Promise<ExitCode> {
  const args = parseArguments(argv);
  switch (args.kind) {
    case 'help':
      io.stdout(HELP);
      return 0;
    case 'version':
      io.stdout(`${io.version}\n`);
      return 0;
    case 'list':
      io.stdout(args.json ? `${JSON.stringify(ALL_CHECKS.map(({ name, promise, section, needs }) => ({ name, promise, section, needs })), null, 2)}\n` : listText());
      return 0;
    case 'run': {
      const { agent, only, strict } = args;
      const report = await runConformance({ plugin: toPlugin(args.plugin, io), agent, only, signal: io.signal, timing: io.timing ?? {} });
      io.stdout(args.json ? toJson(report, strict) : toTable(report, strict));
      return exitCodeOf(report, strict);
    }
  }
}

function listText(): string {
  const width = Math.max(...ALL_CHECKS.map(({ name }) => name.length));
  return ALL_CHECKS.map(({ name, promise, needs }) => `${name.padEnd(width)}  ${promise}${needs.length === 0 ? '' : ` [${needs.join(', ')}]`}\n`).join('');
}

function toPlugin(plugin: PluginArguments, io: CliIo): ConformanceOptions['plugin'] {
  if (plugin.kind === 'launched') return { kind: 'launched', command: plugin.command, cwd: io.cwd, environment: io.environment };
  return { kind: 'running', target: { address: plugin.address, token: toToken(plugin.token, io), tls: toTls(plugin.tls, io) } };
}

function toToken(source: TokenSource | null, { environment }: CliIo): string | null {
  if (source === null) return null;
  if (source.kind === 'value') return source.value;
  const value = environment[source.name];
  if (value === undefined || value === '') throw new ConformanceError('usage', `--token-env names ${source.name}, which is not set.`);
  return value;
}

function toTls(files: TlsFiles | null, { cwd }: CliIo): Target['tls'] {
  if (files === null) return null;
  const read = (option: string, file: string | null): Buffer | null => {
    if (file === null) return null;
    try {
      return readFileSync(path.resolve(cwd, file));
    } catch (thrown) {
      throw new ConformanceError('usage', `--${option} ${file} cannot be read: ${thrown instanceof Error ? thrown.message : 'unknown'}.`);
    }
  };
  return { ca: read('ca', files.ca), cert: read('cert', files.cert), key: read('key', files.key), serverName: files.serverName };
}
