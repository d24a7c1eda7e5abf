import { LIMITS, isJsonObject } from '@openeaap/kernel';
import type { JsonObject, JsonValue } from '@openeaap/kernel';
import { Option } from 'commander';
import type { Command } from 'commander';
import { YAMLParseError, parse as parseYaml } from 'yaml';
import type { ApiClient } from '../api-client.ts';
import { route } from '../api-client.ts';
import { usageError } from '../cli-error.ts';
import { collectPages } from '../collect-pages.ts';
import { EXIT } from '../exit-code.ts';
import { parseWhole, readFileOrStdin } from '../read-input.ts';
import { resolveAgent } from '../resolve-agent.ts';
import type { Bind, Handler, Session } from '../session.ts';
import { toFields, toTable } from '../table.ts';
import { blockOf, fieldOf, listOf, objectOf, textOf } from '../view.ts';
import { LIST_CEILING } from './run.ts';

const FILE_FIELDS = ['name', 'version', 'configuration'];

export function addAgentCommands(program: Command, bind: Bind): void {
  const agent = program.command('agent').description('versions of agents');
  agent
    .command('apply')
    .description('make the version of an agent that a YAML file describes; applying it again changes nothing')
    .requiredOption('-f, --file <file>', 'YAML with name, version and configuration; - for stdin')
    .option('--publish', 'make it the current version')
    .action(bind(applyAgent));
  agent
    .command('list')
    .description('agents and their versions')
    .option('--name <name>')
    .addOption(new Option('--status <status>').choices(['draft', 'published', 'deprecated']))
    .option('--limit <n>', 'most rows', String(LIMITS.pageSize))
    .action(bind(listAgents));
  agent.command('get <agent>').description('one version: its id, NAME (the current one) or NAME@VERSION').action(bind(getAgent));
  agent
    .command('publish <agent>')
    .description('make a version the current one (id or NAME@VERSION); an older one again is the rollback')
    .action(bind((session, _options: object, name: string) => changeAgent(session, name, 'publish')));
  agent
    .command('deprecate <agent>')
    .description('take a version out of use (id or NAME@VERSION); its runs go on')
    .action(bind((session, _options: object, name: string) => changeAgent(session, name, 'deprecate')));
}

const applyAgent: Handler<{ readonly file: string; readonly publish?: boolean }, []> = async (session, options) => {
  const body = parseAgentFile(await readFileOrStdin(options.file, '--file', session.io), options.file);
  const api = await session.connect();
  const reply = await api.request({ method: 'POST', path: route('agents'), body });
  const isCurrent = fieldOf(reply.body, 'current') === true && fieldOf(reply.body, 'status') === 'published';
  const publishes = options.publish === true && !isCurrent;
  const agent = publishes ? await post(api, reply.body, 'publish') : reply.body;
  const done = [reply.status === 201 ? 'created' : 'unchanged', ...(publishes ? ['published'] : [])];
  await session.out.result({ ...objectOf(agent), applied: done }, (view) => `${nameText(view)} ${done.join(' and ')} (${textOf(view, 'agent_id')})`);
  return EXIT.ok;
};

const listAgents: Handler<{ readonly name?: string; readonly status?: string; readonly limit: string }, []> = async (session, options) => {
  const { items, nextCursor } = await collectPages(await session.connect(), {
    path: route('agents'),
    query: { name: options.name, status: options.status },
    limit: parseWhole(options.limit, '--limit', 1, LIST_CEILING),
  });
  await session.out.result({ items, next_cursor: nextCursor }, (view) =>
    toTable(
      [{ title: 'AGENT', maxWidth: 48 }, { title: 'STATUS' }, { title: 'CURRENT' }, { title: 'ID' }, { title: 'CREATED' }, { title: 'DESCRIPTION', maxWidth: 48 }],
      listOf(view, 'items').map((row) => [
        nameText(row),
        textOf(row, 'status'),
        fieldOf(row, 'current') === true ? 'yes' : '',
        textOf(row, 'agent_id'),
        textOf(row, 'created_at'),
        textOf(row, 'configuration', 'description'),
      ]),
    ),
  );
  return EXIT.ok;
};

const getAgent: Handler<object, [string]> = async (session, _options, name) => {
  const agent = await resolveAgent(await session.connect(), name);
  await session.out.result(agent, (view) =>
    toFields([
      ['agent', nameText(view)],
      ['id', textOf(view, 'agent_id')],
      ['status', `${textOf(view, 'status')}${fieldOf(view, 'current') === true ? ' (current)' : ''}`],
      ['created', textOf(view, 'created_at')],
      ['updated', textOf(view, 'updated_at')],
      ...Object.entries(objectOf(fieldOf(view, 'configuration'))).map(([field, value]) => [textOf(field), blockOf(value)] as const),
    ]),
  );
  return EXIT.ok;
};

async function changeAgent(session: Session, name: string, verb: 'publish' | 'deprecate'): Promise<typeof EXIT.ok> {
  const api = await session.connect();
  const agent = await post(api, await resolveAgent(api, name), verb);
  await session.out.result(agent, (view) => `${nameText(view)} is ${textOf(view, 'status')}${fieldOf(view, 'current') === true ? ' and current' : ''}.`);
  return EXIT.ok;
}

async function post(api: ApiClient, agent: JsonValue, verb: 'publish' | 'deprecate'): Promise<JsonValue> {
  const reply = await api.request({ method: 'POST', path: route('agents', textOf(agent, 'agent_id'), verb), body: {} });
  return reply.body;
}

/** The server checks the configuration; here only what YAML itself gets wrong is caught. */
function parseAgentFile(text: string, file: string): JsonObject {
  let parsed: unknown;
  try {
    parsed = parseYaml(text, { schema: 'core' });
  } catch (cause) {
    const message = cause instanceof YAMLParseError ? cause.message : String(cause);
    throw usageError(`${file} is not valid YAML: ${message}`);
  }
  if (!isJsonObject(parsed)) throw usageError(`${file} must hold name, version and configuration.`);
  const unknown = Object.keys(parsed).find((name) => !FILE_FIELDS.includes(name));
  if (unknown !== undefined) throw usageError(`${file}: unknown field "${unknown}".`, `The fields are ${FILE_FIELDS.join(', ')}; what describes the agent goes under configuration.`);
  for (const name of ['name', 'version'] as const) {
    const value = parsed[name];
    if (typeof value === 'string' && value !== '') continue;
    // YAML reads 1.10 as the number 1.1: guessing would make another version than the one meant.
    throw usageError(`${file}: ${name} must be text.`, `Put it in quotes: ${name}: "${value === undefined || value === null ? '…' : textOf(value)}"`);
  }
  return { ...parsed, configuration: parsed.configuration ?? {} };
}

const nameText = (agent: JsonValue): string => `${textOf(agent, 'name')}@${textOf(agent, 'version')}`;
