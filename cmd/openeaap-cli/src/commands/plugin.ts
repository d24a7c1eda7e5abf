import { isJsonObject } from '@openeaap/kernel';
import type { JsonObject, JsonValue } from '@openeaap/kernel';
import type { Command } from 'commander';
import { YAMLParseError, parse as parseYaml } from 'yaml';
import type { ApiClient } from '../api-client.ts';
import { route } from '../api-client.ts';
import { CliError, usageError } from '../cli-error.ts';
import { EXIT } from '../exit-code.ts';
import { readFileOrStdin } from '../read-input.ts';
import type { Bind, Handler } from '../session.ts';
import { toFields, toTable } from '../table.ts';
import { fieldOf, listOf, textOf } from '../view.ts';

export function addPluginCommands(program: Command, bind: Bind): void {
  const plugin = program.command('plugin').description('where tools and agents come from');
  plugin.command('list').description('plugins, how they are, and why').action(bind(listPlugins));
  plugin.command('show <plugin>').description('one plugin: its copies, tools, agents and warnings').action(bind(showPlugin));
  plugin
    .command('add <file>')
    .description('declare a plugin, or declare it anew; every node connects to it')
    .addHelpText('after', '\nFILE is YAML in the words of configs/plugins.yaml: one declaration, or a list under "plugins"; - for stdin.')
    .action(bind(addPlugins));
  plugin.command('remove <plugin>').description('take a plugin out; its tools are gone at once, steps under way may finish').action(bind(removePlugin));
  plugin.command('restart <plugin>').description('replace its copies on every node, each when its successor is ready').action(bind(restartPlugin));
  plugin.command('accept <plugin> [tools...]').description('accept changed tools of an MCP server; without names all that are withheld as changed').action(bind(acceptTools));
}

const listPlugins: Handler<object, []> = async (session) => {
  const api = await session.connect();
  const { body } = await api.request({ path: route('plugins') });
  await session.out.result(body, (view) =>
    toTable(
      [{ title: 'PLUGIN' }, { title: 'STATUS' }, { title: 'COPIES' }, { title: 'SOURCE' }, { title: 'SDK', maxWidth: 20 }, { title: 'TOOLS', maxWidth: 32 }, { title: 'AGENTS', maxWidth: 24 }, { title: 'DETAIL', maxWidth: 120 }],
      listOf(view, 'items').map((row) => [textOf(row, 'name'), textOf(row, 'status'), copiesText(row), textOf(row, 'source'), textOf(row, 'sdk'), namesText(row, 'tools'), namesText(row, 'agents'), detailText(row)]),
    ),
  );
  return EXIT.ok;
};

const showPlugin: Handler<object, [string]> = async (session, _options, name) => {
  const api = await session.connect();
  const { body } = await api.request({ path: route('plugins', name) });
  await session.out.result(body, pluginFields);
  return EXIT.ok;
};

const addPlugins: Handler<object, [string]> = async (session, _options, file) => {
  const declarations = parsePluginFile(await readFileOrStdin(file, 'FILE', session.io), file === '-' ? 'stdin' : file);
  const items = await declareAll(await session.connect(), declarations);
  await session.out.result({ items }, (view) => listOf(view, 'items').map(declaredText).join('\n'));
  return EXIT.ok;
};

const removePlugin: Handler<object, [string]> = async (session, _options, name) => {
  const api = await session.connect();
  // 204: there is no body to read.
  await api.open({ method: 'DELETE', path: route('plugins', name) });
  await session.out.result({ name, removed: true }, (view) => `Plugin ${textOf(view, 'name')} is removed. Steps under way may finish.`);
  return EXIT.ok;
};

const restartPlugin: Handler<object, [string]> = async (session, _options, name) => {
  const api = await session.connect();
  const { body } = await api.request({ method: 'POST', path: route('plugins', name, 'restart'), body: {} });
  await session.out.result(body, (view) => `The copies of ${textOf(view, 'name')} are being replaced; the old ones serve until the new ones are ready.`);
  return EXIT.ok;
};

const acceptTools: Handler<object, [string, readonly string[]]> = async (session, _options, name, tools) => {
  const api = await session.connect();
  const { body } = await api.request({ method: 'POST', path: route('plugins', name, 'accept'), body: tools.length === 0 ? {} : { tools } });
  await session.out.result(body, (view) =>
    tools.length === 0 ? `Nothing of ${textOf(view, 'name')} is withheld as changed any more.` : `${tools.map((tool) => textOf(tool)).join(', ')} of ${textOf(view, 'name')} ${tools.length === 1 ? 'is' : 'are'} accepted; every node connects anew.`,
  );
  return EXIT.ok;
};

/** One after the other: what the server refuses says where it stood, and which were declared before it. */
async function declareAll(api: ApiClient, declarations: readonly Declaration[]): Promise<readonly JsonObject[]> {
  const done: JsonObject[] = [];
  for (const { at, body } of declarations) {
    try {
      const reply = await api.request({ method: 'POST', path: route('plugins'), body });
      done.push({ ...(isJsonObject(reply.body) ? reply.body : {}), declared: reply.status === 201 ? 'created' : 'changed' });
    } catch (thrown) {
      if (!(thrown instanceof CliError) || declarations.length === 1) throw thrown;
      const before = done.length === 0 ? 'Nothing was declared.' : `Declared before it: ${done.map((plugin) => textOf(plugin, 'name')).join(', ')}.`;
      throw new CliError(thrown.code, `${at}: ${thrown.message} ${before}`, { ...(thrown.cure === null ? {} : { cure: thrown.cure }), details: thrown.details, cause: thrown });
    }
  }
  return done;
}

interface Declaration {
  /** Where it stands in the file. */
  readonly at: string;
  readonly body: JsonObject;
}

/** The server checks the declarations; here only what YAML itself gets wrong, and what is none, is caught. */
function parsePluginFile(text: string, file: string): readonly Declaration[] {
  const parsed = parseText(text, file);
  if (!isJsonObject(parsed)) throw usageError(`${file} must hold one plugin, or a list of them under "plugins".`, 'Begin with name: and type:, or with plugins:.');
  if (parsed.without !== undefined) throw usageError(`${file}: "without" leaves out plugins of the platform itself.`, 'Write it into configs/plugins.yaml and start the server again.');
  if (parsed.plugins === undefined) return [{ at: file, body: parsed }];
  const unknown = Object.keys(parsed).find((key) => key !== 'plugins');
  if (unknown !== undefined) throw usageError(`${file}: unknown field "${unknown}" beside "plugins".`, 'What describes a plugin goes into its entry.');
  const list: readonly JsonValue[] = Array.isArray(parsed.plugins) ? (parsed.plugins as readonly JsonValue[]) : [];
  if (list.length === 0) throw usageError(`${file}: "plugins" must be a list with at least one entry.`);
  return list.map((body, index) => {
    if (!isJsonObject(body)) throw usageError(`${file}: plugins[${index}] must be a mapping with name and type.`);
    return { at: `${file}: plugins[${index}]`, body };
  });
}

function parseText(text: string, file: string): unknown {
  try {
    return parseYaml(text, { schema: 'core' });
  } catch (cause) {
    throw usageError(`${file} is not valid YAML: ${cause instanceof YAMLParseError ? cause.message : String(cause)}`);
  }
}

const declaredText = (view: JsonValue): string => {
  const name = textOf(view, 'name');
  const changed = fieldOf(view, 'declared') === 'changed';
  return `Plugin ${name} is declared${changed ? ' anew' : ''}; its status is ${textOf(view, 'status')}. "openeaap plugin show ${name}" says how it goes on.`;
};

const pluginFields = (view: JsonValue): string =>
  toFields([
    ['plugin', textOf(view, 'name')],
    ['status', textOf(view, 'status')],
    ['detail', textOf(view, 'detail')],
    ['copies', `${copiesText(view)} ready on this node; restarts: ${textOf(view, 'copies', 'restarts')}`],
    ['source', textOf(view, 'source')],
    ['version', textOf(view, 'version')],
    ['sdk', textOf(view, 'sdk')],
    ['tools', linesOf(view, 'tools')],
    ['agents', linesOf(view, 'agents')],
    ['warnings', linesOf(view, 'warnings')],
  ]);

const copiesText = (view: JsonValue): string => `${textOf(view, 'copies', 'ready')}/${textOf(view, 'copies', 'wanted')}`;

const namesText = (view: JsonValue, field: string): string => listOf(view, field).map((name) => textOf(name)).join(', ') || '-';

const linesOf = (view: JsonValue, field: string): string => listOf(view, field).map((line) => textOf(line)).join('\n') || '-';

/** The table has no room for warnings; that there are some it must say. */
function detailText(view: JsonValue): string {
  const warnings = listOf(view, 'warnings').length;
  return warnings === 0 ? textOf(view, 'detail') : `${warnings === 1 ? '1 warning' : `${warnings} warnings`}; ${textOf(view, 'detail')}`;
}
