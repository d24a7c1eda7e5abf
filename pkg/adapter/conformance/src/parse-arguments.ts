import { parseArgs } from 'node:util';
import { ConformanceError } from './conformance-error.ts';

/** A command line, understood. */
export type Arguments =
  | { readonly kind: 'help' }
  | { readonly kind: 'version' }
  | { readonly kind: 'list'; readonly json: boolean }
  | { readonly kind: 'run'; readonly plugin: PluginArguments; readonly agent: string | null; readonly only: readonly string[]; readonly strict: boolean; readonly json: boolean };

export type PluginArguments =
  | { readonly kind: 'launched'; readonly command: readonly string[] }
  | { readonly kind: 'running'; readonly address: string; readonly token: TokenSource | null; readonly tls: TlsFiles | null };

export type TokenSource = { readonly kind: 'value'; readonly value: string } | { readonly kind: 'variable'; readonly name: string };

export interface TlsFiles {
  readonly ca: string | null;
  readonly cert: string | null;
  readonly key: string | null;
  readonly serverName: string | null;
}

export const HELP = `openeaap-conformance: says which promises of the plugin protocol a plugin keeps.

  openeaap-conformance --address ADDRESS [options]      test a plugin that runs
  openeaap-conformance [options] -- COMMAND ARGS...     start the plugin and test that, too: launch, token, TLS, crash, drain

  --address ADDRESS     HOST:PORT, unix:/path or dns:///name:port. TLS unless it is loopback or a Unix socket.
  --token-env NAME      environment variable with the plugin's token
  --token TOKEN         the token itself; others can see it in the list of processes
  --ca FILE             authority of the plugin's certificate (default: those of the system)
  --cert FILE --key FILE  client certificate
  --server-name NAME    name in the plugin's certificate, if it is not that of the address
  --agent NAME          the agent to test (default: "conformance", else the only one)
  --strict              a check that is skipped for lack of conformance tools or an agent counts as broken
  --only NAME           one check, or one group such as "stream"; may be repeated
  --json                one JSON document on standard output
  --list                show the checks and what they promise
  --help, --version

Exit codes: 0 all promises are kept, 1 some are broken, 2 nothing could be tested.
`;

/** Errors: ConformanceError usage, with the cure. */
export function parseArguments(argv: readonly string[]): Arguments {
  const dashes = argv.indexOf('--');
  const command = dashes < 0 ? null : argv.slice(dashes + 1);
  const values = parseOptions(dashes < 0 ? argv : argv.slice(0, dashes));
  if (values.help) return { kind: 'help' };
  if (values.version) return { kind: 'version' };
  if (values.list) return { kind: 'list', json: values.json };
  return { kind: 'run', plugin: toPlugin(values, command), agent: values.agent ?? null, only: values.only, strict: values.strict, json: values.json };
}

function parseOptions(args: readonly string[]) {
  try {
    const { values } = parseArgs({
      args: [...args],
      strict: true,
      allowPositionals: false,
      options: {
        address: { type: 'string' }, token: { type: 'string' }, 'token-env': { type: 'string' },
        ca: { type: 'string' }, cert: { type: 'string' }, key: { type: 'string' }, 'server-name': { type: 'string' },
        agent: { type: 'string' }, only: { type: 'string', multiple: true, default: [] },
        strict: { type: 'boolean', default: false }, json: { type: 'boolean', default: false }, list: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false }, version: { type: 'boolean', default: false },
      },
    });
    return values;
  } catch (thrown) {
    throw new ConformanceError('usage', `${thrown instanceof Error ? thrown.message : 'The command line is wrong.'} See --help.`);
  }
}

function toPlugin(values: ReturnType<typeof parseOptions>, command: readonly string[] | null): PluginArguments {
  const wrong = (message: string): ConformanceError => new ConformanceError('usage', `${message} See --help.`);
  const { address, token, ca, cert, key } = values;
  const variable = values['token-env'];
  const serverName = values['server-name'];
  if (command !== null) {
    if (command.length === 0) throw wrong('After -- comes the command that starts the plugin.');
    const surplus = Object.entries({ address, token, 'token-env': variable, ca, cert, key, 'server-name': serverName }).find(([, value]) => value !== undefined);
    if (surplus !== undefined) throw wrong(`--${surplus[0]} is for a plugin that runs already; one that is started after -- gets its address and token from here.`);
    return { kind: 'launched', command };
  }
  if (address === undefined || address === '') throw wrong('Say where the plugin is with --address, or how it is started after --.');
  if (token !== undefined && variable !== undefined) throw wrong('--token and --token-env exclude each other.');
  if ((cert === undefined) !== (key === undefined)) throw wrong('--cert and --key belong together.');
  const isLocal = /^(unix:|127\.\d+\.\d+\.\d+:|localhost:|\[::1\]:)/.test(address);
  const wantsTls = [ca, cert, serverName].some((value) => value !== undefined);
  return {
    kind: 'running',
    address,
    token: token !== undefined ? { kind: 'value', value: token } : variable !== undefined ? { kind: 'variable', name: variable } : null,
    tls: isLocal && !wantsTls ? null : { ca: ca ?? null, cert: cert ?? null, key: key ?? null, serverName: serverName ?? null },
  };
}
