import type { Command } from 'commander';
import { route } from '../api-client.ts';
import { EXIT } from '../exit-code.ts';
import { readJsonObject } from '../read-input.ts';
import type { Bind, Handler } from '../session.ts';
import { fieldOf, textOf } from '../view.ts';

export function addTriggerCommands(program: Command, bind: Bind): void {
  const trigger = program.command('trigger').description('hand an outside event to the platform');
  trigger
    .command('fire <name>')
    .description('send an event, such as a SIEM alert, to a trigger; it becomes a run')
    .requiredOption('--input <json>', 'the event: a JSON object, @FILE, or - for stdin')
    .action(bind(fireTrigger));
}

const fireTrigger: Handler<{ readonly input: string }, [string]> = async (session, options, name) => {
  const body = await readJsonObject(options.input, '--input', session.io);
  const api = await session.connect();
  const reply = await api.request({ method: 'POST', path: route('triggers', name), body });
  await session.out.result(reply.body, (view) => textOf(view, 'run_id'));
  if (!session.out.json) {
    const id = textOf(reply.body, 'run_id');
    session.out.note(fieldOf(reply.body, 'deduplicated') === true ? `Run ${id} has the same event already; no new run was started.` : `Run ${id} is ${textOf(reply.body, 'status')}. Follow it with: openeaap run watch ${id}`);
  }
  return EXIT.ok;
};
