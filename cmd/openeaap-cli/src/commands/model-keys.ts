import { LIMITS, MODEL_LIMIT_BOUNDS, MODEL_LIMIT_FIELDS } from '@openeaap/kernel';
import type { JsonObject, JsonValue, ModelLimitField, ModelLimits } from '@openeaap/kernel';
import { Option } from 'commander';
import type { Command } from 'commander';
import { route } from '../api-client.ts';
import { usageError } from '../cli-error.ts';
import { collectPages } from '../collect-pages.ts';
import { EXIT } from '../exit-code.ts';
import { parseWhole } from '../read-input.ts';
import type { Bind, Handler } from '../session.ts';
import { toFields, toTable } from '../table.ts';
import { fieldOf, listOf, objectOf, textOf } from '../view.ts';
import { LIST_CEILING } from './run.ts';

const DAYS_MAX = 3_650;
const DAY_S = 86_400;

/** What is typed often is short. */
const SHORT = { requestsPerMinute: 'rpm', tokensPerMinute: 'tpm' } as const;
type LimitOption = (typeof SHORT)[keyof typeof SHORT] | Exclude<keyof ModelLimits, keyof typeof SHORT>;

const toOption = (of: keyof ModelLimits): LimitOption => (of === 'requestsPerMinute' || of === 'tokensPerMinute' ? SHORT[of] : of);
const toFlag = ({ of, name }: ModelLimitField): string => `--${of in SHORT ? toOption(of) : name.replaceAll('_', '-')}`;

interface KeyOptions extends Readonly<Partial<Record<LimitOption, string>>> {
  readonly models?: string;
  readonly sensitivity?: string;
  readonly labels?: string;
  readonly priority?: string;
}

interface UpdateOptions extends KeyOptions {
  readonly name?: string;
  readonly expiresAt?: string;
}

interface CreateOptions extends KeyOptions {
  readonly user?: string;
  readonly service?: string;
  readonly expiresAt?: string;
  readonly expiresInDays?: string;
}

export function addModelKeyCommands(program: Command, bind: Bind): void {
  const key = program.command('model-key').description('virtual keys: who may ask models at the OpenAI-compatible door, and for how much');
  withLimits(key.command('create <name>').description('make a key; it is shown this once'))
    .addOption(new Option('--user <id>', 'bill this user; default: you').conflicts('service'))
    .option('--service <name>', 'bill a service')
    .addOption(new Option('--expires-at <time>', 'RFC 3339').conflicts('expiresInDays'))
    .option('--expires-in-days <n>')
    .action(bind(createKey));
  withLimits(key.command('update <key>').description('change what is named; "none" lifts a limit'))
    .option('--name <name>', 'another name')
    .option('--expires-at <time>', 'RFC 3339; none: never')
    .action(bind(updateKey));
  key
    .command('list')
    .description('keys, newest first')
    .option('--owner <owner>', 'a user id, or service:NAME')
    .option('--revoked', 'revoked ones too')
    .option('--limit <n>', 'most rows', String(LIMITS.pageSize))
    .action(bind(listKeys));
  key.command('show <key>').description('one key by its id or name, without the key itself').action(bind(showKey));
  key.command('revoke <key>').description('end a key for good, on all nodes within five seconds').action(bind(revokeKey));
}

function withLimits(command: Command): Command {
  command
    .option('--models <names>', 'backends, models and capabilities that may be asked for, with commas; all: all of them')
    .addOption(new Option('--sensitivity <level>', '1 Public, 2 Internal, 3 Confidential').choices(['1', '2', '3']))
    .option('--labels <groups>', 'access labels of what the holder reads, with commas')
    .option('--priority <n>', 'lower is sooner');
  return MODEL_LIMIT_FIELDS.reduce((to, field) => to.option(`${toFlag(field)} <${field.unit === 'usd' ? 'usd' : 'n'}>`, field.about.toLowerCase().replace('utc', 'UTC')), command);
}

const createKey: Handler<CreateOptions, [string]> = async (session, options, name) => {
  const expiry = { ...(options.expiresAt === undefined ? {} : { expires_at: options.expiresAt }), ...(options.expiresInDays === undefined ? {} : { expires_in_s: parseWhole(options.expiresInDays, '--expires-in-days', 1, DAYS_MAX) * DAY_S }) };
  const owner = { ...(options.user === undefined ? {} : { user_id: options.user }), ...(options.service === undefined ? {} : { service: options.service }) };
  const body = { name, ...owner, ...toFieldsBody(options), ...expiry };
  const api = await session.connect();
  const reply = await api.request({ method: 'POST', path: route('model-keys'), body });
  await session.out.result(reply.body, (view) => textOf(view, 'key'));
  session.out.note(`The key "${name}" is shown this once. Keep it like a password; clients send it as their OpenAI API key.`);
  return EXIT.ok;
};

const updateKey: Handler<UpdateOptions, [string]> = async (session, options, ref) => {
  const body = { ...(options.name === undefined ? {} : { name: options.name }), ...toFieldsBody(options), ...(options.expiresAt === undefined ? {} : { expires_at: options.expiresAt === 'none' ? null : options.expiresAt }) };
  if (Object.keys(body).length === 0) throw usageError('There is nothing to change.', 'See "openeaap model-key update --help" for what can be.');
  const api = await session.connect();
  const reply = await api.request({ method: 'PATCH', path: route('model-keys', ref), body });
  await session.out.result(reply.body, keyFields);
  return EXIT.ok;
};

const listKeys: Handler<{ readonly owner?: string; readonly revoked?: boolean; readonly limit: string }, []> = async (session, options) => {
  const { items, nextCursor } = await collectPages(await session.connect(), {
    path: route('model-keys'),
    query: { owner: options.owner, revoked: options.revoked === true ? 'true' : undefined },
    limit: parseWhole(options.limit, '--limit', 1, LIST_CEILING),
  });
  await session.out.result({ items, next_cursor: nextCursor }, (view) =>
    toTable(
      [{ title: 'KEY', maxWidth: 40 }, { title: 'STATUS' }, { title: 'BEGINS WITH' }, { title: 'OWNER', maxWidth: 32 }, { title: 'MODELS', maxWidth: 32 }, { title: 'LIMITS', maxWidth: 64 }, { title: 'EXPIRES' }, { title: 'LAST USED' }],
      listOf(view, 'items').map((row) => [textOf(row, 'name'), textOf(row, 'status'), textOf(row, 'prefix'), textOf(row, 'owner'), modelsText(row), limitsText(row, ', '), textOf(row, 'expires_at'), textOf(row, 'last_used_at')]),
    ),
  );
  return EXIT.ok;
};

const showKey: Handler<object, [string]> = async (session, _options, ref) => {
  const api = await session.connect();
  const { body } = await api.request({ path: route('model-keys', ref) });
  await session.out.result(body, keyFields);
  return EXIT.ok;
};

const revokeKey: Handler<object, [string]> = async (session, _options, ref) => {
  const api = await session.connect();
  const { body } = await api.request({ method: 'DELETE', path: route('model-keys', ref) });
  await session.out.result(body, (view) => `The key ${textOf(view, 'name')} is revoked; all nodes refuse it within five seconds.`);
  return EXIT.ok;
};

function toFieldsBody(options: KeyOptions): JsonObject {
  const limits: JsonObject = Object.fromEntries(
    MODEL_LIMIT_FIELDS.flatMap((field) => {
      const text = options[toOption(field.of)];
      // null lifts a limit.
      return text === undefined ? [] : [[field.name, text === 'none' ? null : parseAmount(text, field)]];
    }),
  );
  return {
    ...(options.models === undefined ? {} : { models: options.models === 'all' ? null : toNames(options.models, '--models') }),
    ...(options.sensitivity === undefined ? {} : { sensitivity: Number(options.sensitivity) }),
    ...(options.labels === undefined ? {} : { labels: options.labels === '' ? [] : toNames(options.labels, '--labels') }),
    ...(options.priority === undefined ? {} : { priority: parseWhole(options.priority, '--priority', -1_000, 1_000) }),
    ...(Object.keys(limits).length === 0 ? {} : { limits }),
  };
}

function parseAmount(text: string, field: ModelLimitField): number {
  const [flag, { min, max }] = [toFlag(field), MODEL_LIMIT_BOUNDS[field.unit]];
  if (field.unit !== 'usd') return parseWhole(text, flag, min, max);
  const value = /^\d+(?:\.\d+)?$/.test(text) ? Number(text) : Number.NaN;
  if (value >= min && value <= max) return value;
  throw usageError(`${flag} must be an amount of dollars from ${min} to ${max}, e.g. 12.50, not "${text}".`);
}

function toNames(text: string, flag: string): JsonValue {
  const names = text.split(',').map((name) => name.trim());
  if (names.includes('')) throw usageError(`${flag} must be names with commas between them, not "${text}".`);
  return names;
}

const keyFields = (view: JsonValue): string =>
  toFields([
    ['key', textOf(view, 'name')],
    ['id', textOf(view, 'model_key_id')],
    ['status', textOf(view, 'status')],
    ['begins with', textOf(view, 'prefix')],
    ['owner', textOf(view, 'owner')],
    ['models', modelsText(view)],
    ['limits', limitsText(view, '\n')],
    ['sensitivity', textOf(view, 'sensitivity')],
    ['labels', listOf(view, 'labels').map((label) => textOf(label)).join(', ') || '-'],
    ['priority', textOf(view, 'priority')],
    ['expires', textOf(view, 'expires_at')],
    ['last used', textOf(view, 'last_used_at')],
    ['created', `${textOf(view, 'created_at')} by ${textOf(view, 'created_by')}`],
    ['revoked', textOf(view, 'revoked_at')],
  ]);

const modelsText = (view: JsonValue): string => (fieldOf(view, 'models') === null ? 'all' : listOf(view, 'models').map((name) => textOf(name)).join(', ') || '-');

/** Only what is limited. */
function limitsText(view: JsonValue, between: string): string {
  const limits = objectOf(fieldOf(view, 'limits'));
  return Object.keys(limits).filter((field) => limits[field] !== null).map((field) => `${textOf(field)} ${textOf(limits, field)}`).join(between) || '-';
}
