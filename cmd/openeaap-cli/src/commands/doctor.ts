import type { Command } from 'commander';
import { createApiClient } from '../api-client.ts';
import type { ApiClient } from '../api-client.ts';
import { toCliError } from '../cli-error.ts';
import { loadConnection, stateFolder } from '../config.ts';
import type { Check } from '../doctor-check.ts';
import { checkBinaries, checkConnectionFile, checkDisk, checkNode, checkStateFolder } from '../doctor-machine.ts';
import { checkServer } from '../doctor-server.ts';
import { EXIT } from '../exit-code.ts';
import type { Bind, Handler, Session } from '../session.ts';
import { padToWidth } from '../display-width.ts';
import { fieldOf, listOf, textOf } from '../view.ts';

export function addDoctorCommand(program: Command, bind: Bind): void {
  program.command('doctor').description('check this machine, the server, its database and its runs; exit code 1 if something is a problem').action(bind(runDoctor));
}

const runDoctor: Handler<object, []> = async (session) => {
  const folder = stateFolder(session.flags, session.io.environment, session.io.cwd);
  const server = await serverChecks(session);
  const serves = server.some((check) => check.name === 'readyz' && check.status === 'ok');
  const checks = [
    checkNode(session.io.nodeVersion),
    await checkStateFolder(folder),
    await checkDisk(folder),
    await checkConnectionFile(folder),
    await checkBinaries({ platform: process.platform, arch: process.arch, programFolder: session.io.programFolder, serverIsReady: serves }),
    ...server,
  ];
  const ok = checks.every((check) => check.status !== 'problem');
  await session.out.result({ ok, checks: checks.map((check) => ({ ...check })) }, (view) =>
    listOf(view, 'checks')
      .map((check) => {
        const cure = fieldOf(check, 'cure');
        return `${statusMark(session, textOf(check, 'status'))} ${padToWidth(textOf(check, 'name'), 18)} ${textOf(check, 'detail')}${cure === null ? '' : `\n        cure: ${textOf(cure)}`}`;
      })
      .join('\n'),
  );
  return ok ? EXIT.ok : EXIT.failed;
};

async function serverChecks(session: Session): Promise<readonly Check[]> {
  let api: ApiClient;
  try {
    api = createApiClient(await loadConnection(session.flags, session.io.environment, session.io.cwd), session.io);
  } catch (thrown) {
    const error = toCliError(thrown);
    return [{ name: 'server', status: 'problem', detail: error.message, cure: error.cure }];
  }
  return checkServer(api, session.io.version);
}

function statusMark({ out }: Session, status: string): string {
  const text = padToWidth(status, 7);
  if (status === 'ok') return out.colors.green(text);
  return status === 'warning' ? out.colors.yellow(text) : out.colors.red(text);
}
