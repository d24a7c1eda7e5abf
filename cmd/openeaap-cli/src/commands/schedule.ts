import { CATCH_UPS, LIMITS, OVERLAPS, PRIORITIES } from '@openeaap/kernel';
import type { JsonObject, JsonValue } from '@openeaap/kernel';
import { Option } from 'commander';
import type { Command } from 'commander';
import { route } from '../api-client.ts';
import { usageError } from '../cli-error.ts';
import { collectPages } from '../collect-pages.ts';
import { EXIT } from '../exit-code.ts';
import type { ExitCode } from '../exit-code.ts';
import { parseWhole, readRunInput } from '../read-input.ts';
import type { Bind, Handler, Session } from '../session.ts';
import { toFields, toTable } from '../table.ts';
import { blockOf, fieldOf, listOf, textOf } from '../view.ts';
import type { FollowOptions } from './run.ts';
import { LIST_CEILING, accepted } from './run.ts';

const CRON_HELP = 'minute hour day-of-month month day-of-week, e.g. "0 9 * * 1-5"; or @hourly, @daily, …';
const INPUT_HELP = 'TEXT, @FILE, or - for stdin; what begins with { is a JSON object';
const AGENT_HELP = 'NAME (the version that is current at each fire) or NAME@VERSION';

export function addScheduleCommands(program: Command, bind: Bind): void {
  const schedule = program.command('schedule').description('runs that start by the clock');
  schedule
    .command('list')
    .description('schedules, newest first')
    .addOption(new Option('--paused <yes|no>', 'only those that are, or are not').choices(['yes', 'no']))
    .option('--limit <n>', 'most rows', String(LIMITS.pageSize))
    .action(bind(listSchedules));
  withOptions(
    schedule
      .command('create <name>')
      .description('make a schedule; look at the fires that it shows')
      .requiredOption('--cron <expression>', CRON_HELP)
      .requiredOption('--agent <agent>', AGENT_HELP)
      .requiredOption('--input <text>', INPUT_HELP)
      .option('--time-zone <zone>', 'IANA name in which cron is read, e.g. Asia/Shanghai; default UTC')
      .option('--user <id>', 'on whose behalf (needs the scope act_for_others)')
      .option('--paused', 'begin paused'),
  ).action(bind(createSchedule));
  withOptions(
    schedule
      .command('update <schedule>')
      .description('change a schedule; what is left out stays')
      .option('--name <name>')
      .option('--cron <expression>', CRON_HELP)
      .option('--time-zone <zone>', 'IANA name')
      .option('--agent <agent>', AGENT_HELP)
      .option('--input <text>', INPUT_HELP),
  ).action(bind(updateSchedule));
  schedule.command('show <schedule>').description('one schedule, by id or name: its next fires, and what came of the last').action(bind(showSchedule));
  schedule.command('pause <schedule>').description('fire no more until it is resumed; its runs go on').action(bind((session, _options: object, ref: string) => control(session, ref, 'pause')));
  schedule.command('resume <schedule>').description('go on with the next fire after now').action(bind((session, _options: object, ref: string) => control(session, ref, 'resume')));
  schedule
    .command('run <schedule>')
    .description('start a run of it now, besides its fires')
    .option('--watch', 'follow the run to its end')
    .option('--deltas', 'with --watch: also the text as the model writes it')
    .action(bind(runSchedule));
  schedule.command('delete <schedule>').description('delete a schedule; its runs stay').action(bind(deleteSchedule));
}

const withOptions = (command: Command): Command =>
  command
    .addOption(new Option('--priority <priority>', 'of its runs').choices(PRIORITIES))
    .addOption(new Option('--overlap <overlap>', 'skip: start nothing while the run before has not ended').choices(OVERLAPS))
    .addOption(new Option('--catch-up <which>', 'of the fires that came while no node was there').choices(CATCH_UPS));

interface SpecOptions {
  readonly name?: string;
  readonly cron?: string;
  readonly timeZone?: string;
  readonly agent?: string;
  readonly input?: string;
  readonly user?: string;
  readonly priority?: string;
  readonly overlap?: string;
  readonly catchUp?: string;
  readonly paused?: boolean;
}

async function toBody(session: Session, options: SpecOptions): Promise<JsonObject> {
  const { name, cron, timeZone, agent, input, user, priority, overlap, catchUp, paused } = options;
  const given = {
    name,
    cron,
    time_zone: timeZone,
    agent,
    input: input === undefined ? undefined : await readRunInput(input, session.io),
    user_id: user,
    priority,
    overlap,
    catch_up: catchUp,
    paused,
  };
  return Object.fromEntries(Object.entries(given).flatMap(([field, value]) => (value === undefined ? [] : [[field, value]])));
}

const listSchedules: Handler<{ readonly paused?: string; readonly limit: string }, []> = async (session, options) => {
  const { items, nextCursor } = await collectPages(await session.connect(), {
    path: route('schedules'),
    query: { paused: options.paused === undefined ? undefined : String(options.paused === 'yes') },
    limit: parseWhole(options.limit, '--limit', 1, LIST_CEILING),
  });
  await session.out.result({ items, next_cursor: nextCursor }, (view) =>
    toTable(
      [{ title: 'SCHEDULE', maxWidth: 32 }, { title: 'CRON', maxWidth: 24 }, { title: 'TIME ZONE' }, { title: 'AGENT', maxWidth: 32 }, { title: 'USER', maxWidth: 20 }, { title: 'NEXT FIRE' }, { title: 'LAST' }, { title: 'FAILED' }],
      listOf(view, 'items').map((row) => [textOf(row, 'name'), textOf(row, 'cron'), textOf(row, 'time_zone'), textOf(row, 'agent'), textOf(row, 'user_id'), nextText(row), lastText(row), failuresText(row)]),
    ),
  );
  return EXIT.ok;
};

const createSchedule: Handler<SpecOptions, [string]> = async (session, options, name) => {
  const body = await toBody(session, { ...options, name });
  const api = await session.connect();
  const reply = await api.request({ method: 'POST', path: route('schedules'), body });
  await session.out.result(reply.body, scheduleFields);
  return EXIT.ok;
};

const updateSchedule: Handler<SpecOptions, [string]> = async (session, options, ref) => {
  const body = await toBody(session, options);
  if (Object.keys(body).length === 0) throw usageError('There is nothing to change.', 'Give at least one of the options; see --help.');
  const api = await session.connect();
  const reply = await api.request({ method: 'PATCH', path: route('schedules', ref), body });
  await session.out.result(reply.body, scheduleFields);
  return EXIT.ok;
};

const showSchedule: Handler<object, [string]> = async (session, _options, ref) => {
  const api = await session.connect();
  const { body } = await api.request({ path: route('schedules', ref) });
  await session.out.result(body, scheduleFields);
  return EXIT.ok;
};

async function control(session: Session, ref: string, verb: 'pause' | 'resume'): Promise<ExitCode> {
  const api = await session.connect();
  const { body } = await api.request({ method: 'POST', path: route('schedules', ref, verb), body: {} });
  await session.out.result(body, (view) => (fieldOf(view, 'paused') === true ? `Schedule ${textOf(view, 'name')} is paused.` : `Schedule ${textOf(view, 'name')} goes on; its next fire is ${nextText(view)}, ${textOf(view, 'time_zone')}.`));
  return EXIT.ok;
}

const runSchedule: Handler<FollowOptions, [string]> = async (session, options, ref) => {
  const api = await session.connect();
  const { body } = await api.request({ method: 'POST', path: route('schedules', ref, 'run'), body: { idempotency_key: session.io.newId() } });
  return accepted(session, api, body, options);
};

const deleteSchedule: Handler<object, [string]> = async (session, _options, ref) => {
  const api = await session.connect();
  const { body } = await api.request({ method: 'DELETE', path: route('schedules', ref) });
  await session.out.result(body, (view) => `Schedule ${textOf(view, 'name')} is deleted. Runs that it has started go on.`);
  return EXIT.ok;
};

function scheduleFields(view: JsonValue): string {
  const error = fieldOf(view, 'last_error');
  const fires = listOf(view, 'next_fires').map((at) => fireText(textOf(at)));
  const run = textOf(view, 'last_run_id');
  return toFields([
    ['schedule', textOf(view, 'name')],
    ['id', textOf(view, 'schedule_id')],
    ['cron', textOf(view, 'cron')],
    ['time zone', textOf(view, 'time_zone')],
    ['next fires', fires.length > 0 ? fires.join('\n') : nextText(view)],
    ['agent', textOf(view, 'agent')],
    ['user', textOf(view, 'user_id')],
    ['priority', textOf(view, 'priority')],
    ['overlap', textOf(view, 'overlap')],
    ['catch-up', textOf(view, 'catch_up')],
    ['last', lastText(view)],
    ...(run === '-' ? [] : [['last run', `${run} (${textOf(view, 'last_run_status')})`] as const]),
    ...(error === null || error === undefined ? [] : [['last error', `${textOf(error, 'code')}: ${textOf(error, 'message')}`] as const]),
    ['failed', `${textOf(view, 'failures_in_a_row')} in a row`],
    ['created', `${textOf(view, 'created_at')} by ${textOf(view, 'created_by')}`],
    ['updated', textOf(view, 'updated_at')],
    ['input', blockOf(view, 'input')],
  ]);
}

const nextText = (view: JsonValue): string => {
  if (fieldOf(view, 'paused') === true) return 'paused';
  const [next] = listOf(view, 'next_fires');
  return next === undefined ? 'never' : fireText(textOf(next));
};

const WEEKDAYS = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'] as const;

/** `2026-12-01T09:00:00+08:00` as people write it: `Tue 2026-12-01 09:00 +08:00`. */
function fireText(at: string): string {
  const [, date, time, seconds, offset] = /^(\d{4}-\d\d-\d\d)T(\d\d:\d\d):(\d\d)(.+)$/.exec(at) ?? [];
  if (date === undefined) return at;
  return `${WEEKDAYS[new Date(`${date}T00:00:00Z`).getUTCDay()] ?? ''} ${date} ${time ?? ''}${seconds === '00' ? '' : `:${seconds ?? ''}`} ${offset ?? ''}`;
}

const lastText = (view: JsonValue): string => (fieldOf(view, 'last_at') === null ? textOf(view, 'last_outcome') : `${textOf(view, 'last_outcome')} ${textOf(view, 'last_at')}`);

const failuresText = (view: JsonValue): string => (fieldOf(view, 'failures_in_a_row') === 0 ? '-' : `${textOf(view, 'failures_in_a_row')} in a row`);
