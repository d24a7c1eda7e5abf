import type { Command } from 'commander';
import { Option } from 'commander';
import { route } from '../api-client.ts';
import { EXIT } from '../exit-code.ts';
import { parseWhole } from '../read-input.ts';
import type { Bind, Handler } from '../session.ts';
import { toTable } from '../table.ts';
import { listOf, textOf } from '../view.ts';

const GROUPS = ['agent', 'user', 'model', 'day'] as const;
const MODEL_GROUPS = ['key', 'user', 'agent', 'run', 'model', 'backend', 'kind', 'cache', 'day'] as const;
const MODEL_ROWS_MAX = 1_000;

export function addUsageCommands(program: Command, bind: Bind): void {
  program
    .command('usage')
    .description('tokens and cost')
    .option('--from <time>', 'RFC 3339, e.g. 2026-11-01T00:00:00Z')
    .option('--to <time>')
    .addOption(new Option('--group-by <what>').choices(GROUPS).default('agent'))
    .action(bind(showUsage));
  program
    .command('model-usage')
    .description('every call to a model, of agents and of virtual keys, and what it cost')
    .option('--from <time>', 'RFC 3339; whole hours')
    .option('--to <time>')
    .addOption(new Option('--group-by <what>').choices(MODEL_GROUPS).default('backend'))
    .option('--limit <n>', 'most rows', '100')
    .action(bind(showModelUsage));
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

const showModelUsage: Handler<{ readonly from?: string; readonly to?: string; readonly groupBy: (typeof MODEL_GROUPS)[number]; readonly limit: string }, []> = async (session, options) => {
  const query = { from: options.from, to: options.to, group_by: options.groupBy, limit: parseWhole(options.limit, '--limit', 1, MODEL_ROWS_MAX) };
  const api = await session.connect();
  const { body } = await api.request({ path: route('model-usage'), query });
  await session.out.result(body, (view) =>
    toTable(
      [{ title: options.groupBy.toUpperCase(), maxWidth: 48 }, { title: 'CALLS' }, { title: 'FAILED' }, { title: 'TOKENS IN' }, { title: 'CACHED' }, { title: 'TOKENS OUT' }, { title: 'THOUGHTS' }, { title: 'COST USD' }, { title: 'ESTIMATED' }, { title: 'MEAN MS' }],
      listOf(view, 'items').map((row) => ['key', 'calls', 'failed', 'prompt_tokens', 'cached_tokens', 'completion_tokens', 'reasoning_tokens', 'cost_usd', 'estimated_calls', 'latency_ms'].map((name) => textOf(row, name))),
    ),
  );
  return EXIT.ok;
};
