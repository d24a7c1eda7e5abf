import type { Command } from 'commander';
import { Option } from 'commander';
import { route } from '../api-client.ts';
import { EXIT } from '../exit-code.ts';
import type { Bind, Handler } from '../session.ts';
import { toTable } from '../table.ts';
import { listOf, textOf } from '../view.ts';

const GROUPS = ['agent', 'user', 'model', 'day'] as const;

export function addUsageCommands(program: Command, bind: Bind): void {
  program
    .command('usage')
    .description('tokens and cost')
    .option('--from <time>', 'RFC 3339, e.g. 2026-11-01T00:00:00Z')
    .option('--to <time>')
    .addOption(new Option('--group-by <what>').choices(GROUPS).default('agent'))
    .action(bind(showUsage));
}

const showUsage: Handler<{ readonly from?: string; readonly to?: string; readonly groupBy: (typeof GROUPS)[number] }, []> = async (session, options) => {
  const api = await session.connect();
  const { body } = await api.request({ path: route('usage'), query: { from: options.from, to: options.to, group_by: options.groupBy } });
  await session.out.result(body, (view) =>
    toTable(
      [{ title: options.groupBy.toUpperCase(), maxWidth: 48 }, { title: 'RUNS' }, { title: 'TOKENS IN' }, { title: 'TOKENS OUT' }, { title: 'COST USD' }],
      listOf(view, 'items').map((row) => ['key', 'runs', 'prompt_tokens', 'completion_tokens', 'cost_usd'].map((name) => textOf(row, name))),
    ),
  );
  return EXIT.ok;
};
