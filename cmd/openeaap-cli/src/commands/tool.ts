import type { Command } from 'commander';
import { route } from '../api-client.ts';
import { EXIT } from '../exit-code.ts';
import type { Bind, Handler } from '../session.ts';
import { toTable } from '../table.ts';
import { fieldOf, listOf, textOf } from '../view.ts';

export function addToolCommands(program: Command, bind: Bind): void {
  const tool = program.command('tool').description('what agents can call');
  tool.command('list').description('tools, what they do to the world, and which plugin has them').action(bind(listTools));
}

const listTools: Handler<object, []> = async (session) => {
  const api = await session.connect();
  const { body } = await api.request({ path: route('tools') });
  await session.out.result(body, (view) =>
    toTable(
      [{ title: 'TOOL' }, { title: 'VERSION' }, { title: 'EFFECT' }, { title: 'IDEMPOTENT' }, { title: 'UNTRUSTED' }, { title: 'PLUGIN' }, { title: 'DESCRIPTION', maxWidth: 64 }],
      listOf(view, 'items').map((row) => [
        textOf(row, 'name'),
        textOf(row, 'version'),
        textOf(row, 'effect'),
        fieldOf(row, 'idempotent') === true ? 'yes' : 'no',
        fieldOf(row, 'untrusted_output') === true ? 'yes' : 'no',
        textOf(row, 'plugin'),
        textOf(row, 'description'),
      ]),
    ),
  );
  return EXIT.ok;
};
