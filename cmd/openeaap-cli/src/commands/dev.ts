import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { access } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type { Command } from 'commander';
import { CliError } from '../cli-error.ts';
import { EXIT } from '../exit-code.ts';
import type { Bind, Handler, Session } from '../session.ts';

/** Seen from this program's folder: the built server beside it, then the checkout's own starter. */
const ENTRIES = ['../../openeaap-server/dist/main.js', '../../../tools/serve.mjs'];

export function addDevCommand(program: Command, bind: Bind): void {
  program
    .command('dev [flags...]')
    .description('start the platform on this machine, in the foreground; Ctrl-C stops it')
    .addHelpText('after', '\nFlags after -- go to the server, e.g. openeaap dev -- --help')
    .action(bind(startServer));
}

/** Cmd packages do not import each other, so the server is a child process. */
const startServer: Handler<object, [readonly string[]]> = async (session, _options, flags) => {
  const entry = await findEntry(session);
  const dataDir = session.flags.dataDir;
  const child = spawn(process.execPath, [entry, ...(dataDir === undefined ? [] : ['--data-dir', dataDir]), ...flags], {
    cwd: session.io.cwd,
    // With --json stdout holds JSON only; what the server prints goes to stderr.
    stdio: ['inherit', session.out.json ? 2 : 'inherit', 'inherit'],
  });
  const ended = once(child, 'exit') as Promise<[number | null, NodeJS.Signals | null]>;
  const stop = (): void => {
    const signal = String(session.io.signal.reason) === 'SIGINT' ? 'SIGINT' : 'SIGTERM';
    // A terminal sends Ctrl-C to both; the server needs to hear it once.
    if (signal === 'SIGTERM' || !session.io.stdinIsTty) child.kill(signal);
  };
  session.io.signal.addEventListener('abort', stop, { once: true });
  if (session.out.json) await session.out.item({ event: 'started', pid: child.pid ?? null, entry }, () => '');
  const [code, signal] = await ended.finally(() => session.io.signal.removeEventListener('abort', stop));
  if (session.out.json) await session.out.item({ event: 'exited', exit_code: code, signal }, () => '');
  if (code === 0 || (session.io.signal.aborted && code === null)) return EXIT.ok;
  session.out.note(`The server ended with ${code === null ? `signal ${String(signal)}` : `exit code ${code}`}; see its messages above. "openeaap doctor" checks this machine.`);
  return EXIT.failed;
};

async function findEntry({ io }: Session): Promise<string> {
  const tried = ENTRIES.map((entry) => fileURLToPath(new URL(entry, io.programFolder)));
  for (const file of tried) {
    const found = await access(file).then(
      () => true,
      () => false,
    );
    if (found) return file;
  }
  throw new CliError('unsupported', `This installation has no server: neither ${tried.join(' nor ')} exists.`, { cure: 'In a checkout, run "npm run build" first.' });
}
