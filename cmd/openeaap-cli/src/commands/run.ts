import { LIMITS, RUN_STATUSES, isUuid } from '@openeaap/kernel';
import type { JsonValue } from '@openeaap/kernel';
import { Option } from 'commander';
import type { Command } from 'commander';
import type { ApiClient } from '../api-client.ts';
import { route } from '../api-client.ts';
import { CliError, toCliError, usageError } from '../cli-error.ts';
import { collectPages } from '../collect-pages.ts';
import { EXIT } from '../exit-code.ts';
import type { ExitCode } from '../exit-code.ts';
import { parseWhole, readRunInput } from '../read-input.ts';
import { isOfAgent, parseAgentName } from '../resolve-agent.ts';
import type { Bind, Handler, Session } from '../session.ts';
import { toFields, toTable } from '../table.ts';
import { blockOf, fieldOf, listOf, textOf } from '../view.ts';
import { followRun } from './follow-run.ts';

/** Most rows that `--limit` may ask a list for. */
export const LIST_CEILING = 10_000;
const MAX_DELAY_DAYS = LIMITS.startDelayMs / 86_400_000;

export function addRunCommands(program: Command, bind: Bind): void {
  const run = program.command('run').description('start, watch and stop runs');
  run
    .command('create <agent>')
    .description('start a run of an agent: its id, NAME (the current version) or NAME@VERSION')
    .requiredOption('--input <text>', 'TEXT, @FILE, or - for stdin; what begins with { is a JSON object')
    .option('--user <id>', 'on whose behalf (needs the scope act_for_others)')
    .option('--priority <level>', 'low, normal, high or urgent: which of the runs that wait goes first')
    .option('--idempotency-key <key>', 'the same key and the same input are the same run')
    .option('--delay <duration>', `begin so much later: seconds, or like 90s, 15m, 2h, 3d; at most ${MAX_DELAY_DAYS} days`)
    .option('--at <time>', 'begin at this time: RFC 3339, e.g. 2026-12-01T09:00:00+08:00')
    .option('--watch', 'follow the run to its end')
    .option('--deltas', 'with --watch: also the text as the model writes it')
    .action(bind(createRun));
  run.command('get <run>').description('one run').action(bind(getRun));
  run
    .command('list')
    .description('runs, newest first')
    .addOption(new Option('--status <status>').choices(RUN_STATUSES))
    .option('--agent <agent>', 'id of a version, NAME, or NAME@VERSION')
    .option('--limit <n>', 'most rows', String(LIMITS.pageSize))
    .action(bind(listRuns));
  run
    .command('watch <run>')
    .description('show the events of a run, from the first or from --after, until it ends')
    .option('--after <n>', 'only events after this number', '0')
    .option('--deltas', 'also the text as the model writes it')
    .action(bind(watch));
  run.command('cancel <run>').description('stop a run; what was already done stays done').option('--reason <text>').action(bind(cancelRun));
  run
    .command('retry <run>')
    .description('start a new run with the same input')
    .option('--watch', 'follow the new run to its end')
    .option('--deltas', 'with --watch: also the text as the model writes it')
    .action(bind(retryRun));
  run.command('steps <run>').description('what a run thought and did, and who decided it').action(bind(listSteps));
}

interface StartOptions {
  readonly delay?: string;
  readonly at?: string;
}

export interface FollowOptions {
  readonly watch?: boolean;
  readonly deltas?: boolean;
}

const createRun: Handler<FollowOptions & StartOptions & { readonly input: string; readonly user?: string; readonly priority?: string; readonly idempotencyKey?: string }, [string]> = async (session, options, agent) => {
  const start = toStart(options);
  const input = await readRunInput(options.input, session.io);
  const key = options.idempotencyKey ?? session.io.newId();
  const api = await session.connect();
  const body = { input, idempotency_key: key, ...start, ...(options.user === undefined ? {} : { user_id: options.user }), ...(options.priority === undefined ? {} : { priority: options.priority }) };
  try {
    const reply = await api.request({ method: 'POST', path: route('agents', agent, 'runs'), body });
    return await accepted(session, api, reply.body, options);
  } catch (thrown) {
    const error = toCliError(thrown);
    if (error.code !== 'unreachable' || options.idempotencyKey !== undefined) throw thrown;
    // The request may have arrived: only the key makes a second try safe.
    throw new CliError('unreachable', error.message, { cure: `${error.cure ?? ''} To try again without starting a second run, add --idempotency-key ${key}`.trim(), cause: thrown });
  }
};

const UNIT_S: Readonly<Record<string, number>> = { '': 1, s: 1, m: 60, h: 3_600, d: 86_400 };

function toStart({ delay, at }: StartOptions): { readonly delay_s?: number; readonly start_at?: string } {
  if (delay !== undefined && at !== undefined) throw usageError('--delay and --at both say when to begin.', 'Give one of the two.');
  if (at !== undefined) return { start_at: at };
  if (delay === undefined) return {};
  const [, digits, unit] = /^(\d{1,9})([smhd]?)$/.exec(delay) ?? [];
  if (digits === undefined) throw usageError(`--delay must be like 90, 90s, 15m, 2h or 3d, not "${delay}".`);
  const seconds = Number(digits) * (UNIT_S[unit ?? ''] ?? 1);
  if (seconds * 1_000 > LIMITS.startDelayMs) throw usageError(`--delay can be ${MAX_DELAY_DAYS} days at most.`, 'For later or repeated runs make a schedule: openeaap schedule create.');
  return { delay_s: seconds };
}

const getRun: Handler<object, [string]> = async (session, _options, run) => {
  const api = await session.connect();
  const { body } = await api.request({ path: route('runs', runId(run)) });
  await session.out.result(body, runFields);
  return EXIT.ok;
};

const listRuns: Handler<{ readonly status?: string; readonly agent?: string; readonly limit: string }, []> = async (session, options) => {
  const limit = parseWhole(options.limit, '--limit', 1, LIST_CEILING);
  const byId = options.agent !== undefined && isUuid(options.agent);
  const wanted = options.agent === undefined || byId ? null : parseAgentName(options.agent);
  const { items, nextCursor } = await collectPages(await session.connect(), {
    path: route('runs'),
    query: { status: options.status, agent_id: byId ? options.agent : undefined },
    limit,
    ...(wanted === null ? {} : { keep: (item) => isOfAgent(item, wanted) }),
  });
  await session.out.result({ items, next_cursor: nextCursor }, (view) =>
    toTable(
      [{ title: 'RUN' }, { title: 'STATUS' }, { title: 'AGENT', maxWidth: 32 }, { title: 'USER', maxWidth: 24 }, { title: 'CREATED' }, { title: 'INPUT', maxWidth: 48 }],
      listOf(view, 'items').map((row) => [textOf(row, 'run_id'), statusText(row), agentText(row), textOf(row, 'user_id'), textOf(row, 'created_at'), textOf(row, 'input')]),
    ),
  );
  return EXIT.ok;
};

const watch: Handler<{ readonly after: string; readonly deltas?: boolean }, [string]> = async (session, options, run) => {
  const after = parseWhole(options.after, '--after', 0, Number.MAX_SAFE_INTEGER);
  const id = runId(run);
  return followRun(session, await session.connect(), { runId: id, after, deltas: options.deltas === true });
};

const cancelRun: Handler<{ readonly reason?: string }, [string]> = async (session, options, run) => {
  const api = await session.connect();
  const reply = await api.request({ method: 'POST', path: route('runs', runId(run), 'cancel'), body: options.reason === undefined ? {} : { reason: options.reason } });
  await session.out.result(reply.body, (view) =>
    textOf(view, 'status') === 'cancelled' ? `Run ${textOf(view, 'run_id')} is cancelled.` : `Cancellation of run ${textOf(view, 'run_id')} is requested; it is ${textOf(view, 'status')}.`,
  );
  return EXIT.ok;
};

const retryRun: Handler<FollowOptions, [string]> = async (session, options, run) => {
  const api = await session.connect();
  const reply = await api.request({ method: 'POST', path: route('runs', runId(run), 'retry'), body: {} });
  return accepted(session, api, reply.body, options);
};

const listSteps: Handler<object, [string]> = async (session, _options, run) => {
  const api = await session.connect();
  const { body } = await api.request({ path: route('runs', runId(run), 'steps') });
  await session.out.result(body, (view) =>
    toTable(
      [{ title: 'NO' }, { title: 'KIND' }, { title: 'STATUS' }, { title: 'WHAT', maxWidth: 72 }, { title: 'DECISION' }, { title: 'RULE' }, { title: 'OUTCOME', maxWidth: 72 }],
      listOf(view, 'items').map((step) => [
        textOf(step, 'no'),
        textOf(step, 'kind'),
        textOf(step, 'status'),
        fieldOf(step, 'kind') === 'act' ? `${textOf(step, 'tool')} ${textOf(step, 'args')}` : textOf(step, 'thought'),
        textOf(step, 'decision', 'effect'),
        textOf(step, 'decision', 'rule'),
        [textOf(step, 'error', 'message'), textOf(step, 'result'), textOf(step, 'output')].find((text) => text !== '-') ?? '-',
      ]),
    ),
  );
  return EXIT.ok;
};

/** Says that a run was accepted and, if wished, follows it. */
export async function accepted(session: Session, api: ApiClient, created: JsonValue, options: FollowOptions): Promise<ExitCode> {
  const id = textOf(created, 'run_id');
  const said = `Run ${id} of ${agentText(created)} is ${textOf(created, 'status')}${textOf(created, 'start_at') === '-' ? '' : ` and starts at ${textOf(created, 'start_at')}`}${fieldOf(created, 'replayed') === true ? ' (it had been started before with this idempotency key)' : ''}.`;
  if (options.watch === true) {
    session.out.note(said);
    return followRun(session, api, { runId: id, after: 0, deltas: options.deltas === true });
  }
  await session.out.result(created, (view) => textOf(view, 'run_id'));
  if (!session.out.json) session.out.note(`${said} Follow it with: openeaap run watch ${id}`);
  return EXIT.ok;
}

export function runId(text: string): string {
  if (isUuid(text)) return text;
  throw usageError(`"${text}" is not the id of a run.`, 'Ids are UUIDs; see "openeaap run list".');
}

function runFields(view: JsonValue): string {
  const error = fieldOf(view, 'error');
  const waits = listOf(view, 'pending_approvals').map((id) => `openeaap approval show ${textOf(id)}`);
  return toFields([
    ['run', textOf(view, 'run_id')],
    ['status', statusText(view)],
    ['agent', agentText(view)],
    ['user', textOf(view, 'user_id')],
    ['source', textOf(view, 'source')],
    ['priority', textOf(view, 'priority')],
    ['policy', textOf(view, 'policy_version')],
    ['trace', textOf(view, 'trace_id')],
    ['created', textOf(view, 'created_at')],
    ...(textOf(view, 'start_at') === '-' ? [] : [['starts', `${textOf(view, 'start_at')}, no earlier`] as const]),
    ['started', textOf(view, 'started_at')],
    ['finished', textOf(view, 'finished_at')],
    ['steps', textOf(view, 'step_count')],
    ['tokens', `${textOf(view, 'usage', 'prompt_tokens')} in, ${textOf(view, 'usage', 'completion_tokens')} out, ${textOf(view, 'usage', 'cost_usd')} USD`],
    ['input', blockOf(view, 'input')],
    ['output', blockOf(view, 'output')],
    ...(error === null || error === undefined ? [] : [['error', `${textOf(error, 'code')}: ${textOf(error, 'message')}`] as const]),
    ...(waits.length === 0 ? [] : [['waits for', waits.join('\n')] as const]),
  ]);
}

function statusText(view: JsonValue): string {
  const reason = textOf(view, 'pause_reason');
  if (fieldOf(view, 'status') === 'pending' && textOf(view, 'start_at') !== '-') return `pending (until ${textOf(view, 'start_at')})`;
  return fieldOf(view, 'status') === 'paused' && reason !== '-' ? `paused (${reason})` : textOf(view, 'status');
}

function agentText(view: JsonValue): string {
  const name = textOf(view, 'agent_name');
  return name === '-' ? textOf(view, 'agent_id') : `${name}@${textOf(view, 'agent_version')}`;
}
