import type { JsonObject } from '@openeaap/kernel';
import { Command, CommanderError } from 'commander';
import { createApiClient } from './api-client.ts';
import { CliError, toCliError } from './cli-error.ts';
import type { CliIo } from './cli-io.ts';
import { addAgentCommands } from './commands/agent.ts';
import { addApprovalCommands } from './commands/approval.ts';
import { addArchiveCommand } from './commands/archive.ts';
import { addAuditCommands } from './commands/audit.ts';
import { addDevCommand } from './commands/dev.ts';
import { addDoctorCommand } from './commands/doctor.ts';
import { addFeedbackCommands } from './commands/feedback.ts';
import { addKnowledgeCommands } from './commands/knowledge.ts';
import { addModelCommands } from './commands/model.ts';
import { addModelKeyCommands } from './commands/model-keys.ts';
import { addPluginCommands } from './commands/plugin.ts';
import { addPolicyCommands } from './commands/policy.ts';
import { addRunCommands } from './commands/run.ts';
import { addScheduleCommands } from './commands/schedule.ts';
import { addToolCommands } from './commands/tool.ts';
import { addTriggerCommands } from './commands/trigger.ts';
import { addUsageCommands } from './commands/usage.ts';
import { loadConnection } from './config.ts';
import type { ConnectionFlags } from './config.ts';
import { EXIT, EXIT_HELP, exitCodeOf } from './exit-code.ts';
import type { ExitCode } from './exit-code.ts';
import { createOutput } from './output.ts';
import { toJsonText, toPrintable } from './printable.ts';
import type { Bind, Handler, Session } from './session.ts';

const HELP = `
Examples:
  openeaap dev                                         start the platform on this machine
  openeaap run create security-triage --input @alert.json --watch
  openeaap schedule create nightly --cron "30 2 * * *" --time-zone Asia/Shanghai --agent security-triage --input @task.txt
  openeaap approval list
  openeaap approval approve ID --comment "known bad"
  openeaap agent apply -f agent.yaml --publish
  openeaap policy test --tool firewall_block_ip --input '{"ip":"1.2.3.4"}'
  openeaap plugin list
  openeaap model-key create ci --service ci --models local-llm --usd-per-month 50
  openeaap audit verify

The server and the key come from the flags, else from OPENEAAP_URL and OPENEAAP_API_KEY, else
from connection.json in the state folder, which a running server writes.
With --json, stdout holds one JSON document (NDJSON for run watch, --watch, dev and audit export)
and an error is one line of JSON, the last one on stderr. Colours only on a terminal and without NO_COLOR.

${EXIT_HELP}`;

/**
 * Runs one command line, without the program's name, and says with which code to exit.
 * Never throws and never ends the process: errors are printed to `io.stderr`.
 */
export async function runCli(argv: readonly string[], io: CliIo): Promise<ExitCode> {
  const complaint = { text: '' };
  const result: { exitCode: ExitCode } = { exitCode: EXIT.ok };
  const program = createProgram(io, result, complaint);
  try {
    await program.parseAsync([...argv], { from: 'user' });
    return result.exitCode;
  } catch (thrown) {
    const error = thrown instanceof CommanderError ? fromCommander(thrown, complaint.text) : toCliError(thrown);
    if (error === null) return EXIT.ok;
    printError(io, error, argv.includes('--json'));
    return exitCodeOf(error.code);
  }
}

function createProgram(io: CliIo, result: { exitCode: ExitCode }, complaint: { text: string }): Command {
  const program = new Command('openeaap')
    .description('The command line of OpenEAAP: run agents, decide on their calls, prove what they did.')
    .version(io.version, '-V, --version')
    .option('--json', 'print JSON')
    .option('--url <url>', 'address of the server (OPENEAAP_URL)')
    .option('--api-key <key>', 'API key (OPENEAAP_API_KEY); others can see it in the list of processes')
    .option('--api-key-file <file>', 'file that holds the API key')
    .option('--data-dir <folder>', 'state folder (OPENEAAP_DATA_DIR), default ./.openeaap')
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({
      writeOut: (text) => void io.stdout.write(text),
      writeErr: (text) => void io.stderr.write(text),
      outputError: (text) => void (complaint.text += text),
    })
    .exitOverride()
    .addHelpText('after', HELP);
  // Commander's types end here: it passes the arguments as declared, then the options, then the command.
  const bind: Bind = (handler) => async (...received) => {
    const command = received.at(-1) as Command;
    const untyped = handler as Handler<unknown, readonly unknown[]>;
    result.exitCode = await untyped(createSession(io, command.optsWithGlobals()), command.opts(), ...received.slice(0, -2));
  };
  const groups = [addRunCommands, addApprovalCommands, addAgentCommands, addPolicyCommands, addAuditCommands, addToolCommands, addPluginCommands];
  const others = [addFeedbackCommands, addKnowledgeCommands, addUsageCommands, addModelCommands, addModelKeyCommands, addTriggerCommands, addScheduleCommands, addArchiveCommand, addDevCommand, addDoctorCommand];
  for (const add of [...groups, ...others]) add(program, bind);
  return program;
}

function createSession(io: CliIo, options: ConnectionFlags & { readonly json?: boolean }): Session {
  return {
    io,
    flags: options,
    out: createOutput(io, options.json === true),
    connect: async () => createApiClient(await loadConnection(options, io.environment, io.cwd), io),
  };
}

/** null: help or the version was asked for and printed. */
function fromCommander(thrown: CommanderError, complaint: string): CliError | null {
  if (thrown.exitCode === 0) return null;
  const said = complaint.replace(/^error: /, '').trim();
  // A group without a verb: commander printed its help to stderr.
  return new CliError('usage', said === '' ? 'A command is missing.' : said, { cure: 'See --help.' });
}

function printError(io: CliIo, error: CliError, json: boolean): void {
  const details: JsonObject = error.details;
  if (json) {
    const document = { error: { code: error.code, message: error.message, cure: error.cure, exit_code: exitCodeOf(error.code), ...details } };
    io.stderr.write(`${toJsonText(document)}\n`);
    return;
  }
  const extras = Object.entries(details).map(([name, value]) => `  ${name}: ${typeof value === 'string' ? value : JSON.stringify(value)}`);
  const lines = [`error: ${error.message}`, ...(error.cure === null ? [] : [`  cure: ${error.cure}`]), `  code: ${error.code}`, ...extras];
  io.stderr.write(`${toPrintable(lines.join('\n'))}\n`);
}
