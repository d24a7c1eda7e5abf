import type { Command } from 'commander';
import { route } from '../api-client.ts';
import { EXIT } from '../exit-code.ts';
import type { Bind, Handler } from '../session.ts';
import { toTable } from '../table.ts';
import { fieldOf, listOf, textOf } from '../view.ts';

export function addModelCommands(program: Command, bind: Bind): void {
  const model = program.command('model').description('what agents and clients can ask');
  model.command('list').description('model backends, the default one first, with what they can do').action(bind(listModels));
}

const listModels: Handler<object, []> = async (session) => {
  const api = await session.connect();
  const { body } = await api.request({ path: route('models') });
  await session.out.result(body, (view) =>
    toTable(
      [{ title: 'MODEL' }, { title: 'TYPE' }, { title: 'CAPABILITIES', maxWidth: 64 }, { title: 'LABELS' }],
      listOf(view, 'items').map((row) => [textOf(row, 'name'), textOf(row, 'type'), textsOf(fieldOf(row, 'capabilities')), labelsOf(fieldOf(row, 'labels'))]),
    ),
  );
  return EXIT.ok;
};

const textsOf = (value: unknown): string => (Array.isArray(value) ? value.join(', ') : '');
const labelsOf = (value: unknown): string => (typeof value === 'object' && value !== null ? Object.entries(value).map(([name, text]) => `${name}=${String(text)}`).join(', ') : '');
