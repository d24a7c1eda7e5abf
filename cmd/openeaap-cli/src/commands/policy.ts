import { Option } from 'commander';
import type { Command } from 'commander';
import { route } from '../api-client.ts';
import { usageError } from '../cli-error.ts';
import { EXIT } from '../exit-code.ts';
import { readJsonObject } from '../read-input.ts';
import type { Bind, Handler } from '../session.ts';
import { toFields } from '../table.ts';
import { fieldOf, listOf, textOf } from '../view.ts';

export function addPolicyCommands(program: Command, bind: Bind): void {
  const policy = program.command('policy').description('the rules that decide on every call');
  policy
    .command('test')
    .description('ask what the policy would decide; nothing is done')
    .option('--tool <name>', 'the tool that would be called')
    .option('--input <json>', 'its arguments: a JSON object, @FILE, or - for stdin')
    .option('--user <id>', 'on whose behalf')
    .option('--groups <names>', 'groups of the user, with commas between')
    .option('--agent <name>')
    .addOption(new Option('--kind <kind>', 'act: may the tool be called? think: may the model be asked?').choices(['act', 'think']).default('act'))
    .option('--untrusted', 'as if the run had read untrusted text')
    .option('--injection', 'as if the run had read an attempt to give it instructions')
    .addOption(new Option('--expect <effect>', 'exit with 8 unless this is decided').choices(['allow', 'deny', 'require_approval']))
    .action(bind(testPolicy));
  policy.command('show').description('the version and the files that are in force').action(bind(showPolicy));
  policy.command('reload').description('read the policy files again; a file with an error changes nothing').action(bind(reloadPolicy));
}

interface TestOptions {
  readonly kind: 'act' | 'think';
  readonly tool?: string;
  readonly input?: string;
  readonly user?: string;
  readonly groups?: string;
  readonly agent?: string;
  readonly untrusted?: boolean;
  readonly injection?: boolean;
  readonly expect?: string;
}

const testPolicy: Handler<TestOptions, []> = async (session, options) => {
  if (options.kind === 'act' && options.tool === undefined) throw usageError('--tool is missing.', 'Name the tool, or ask about thinking with --kind think.');
  const tainted = options.untrusted === true || options.injection === true;
  const body = {
    kind: options.kind,
    ...(options.tool === undefined ? {} : { tool: options.tool }),
    ...(options.input === undefined ? {} : { input: await readJsonObject(options.input, '--input', session.io) }),
    ...(options.user === undefined ? {} : { user_id: options.user }),
    ...(options.groups === undefined ? {} : { groups: options.groups.split(',').map((name) => name.trim()).filter((name) => name !== '') }),
    ...(options.agent === undefined ? {} : { agent: options.agent }),
    ...(tainted ? { taint: { untrusted: options.untrusted === true, injection: options.injection === true } } : {}),
  };
  const api = await session.connect();
  const { body: decision } = await api.request({ method: 'POST', path: route('policies', 'test'), body });
  await session.out.result(decision, (view) =>
    toFields([
      ['effect', textOf(view, 'effect')],
      ['rule', textOf(view, 'rule')],
      ['reason', textOf(view, 'reason')],
      ['policy', textOf(view, 'policy_version')],
      ...(['approval', 'constraints'] as const).flatMap((name) => (textOf(view, name) === '-' ? [] : [[name, textOf(view, name)] as const])),
    ]),
  );
  const effect = fieldOf(decision, 'effect');
  if (options.expect === undefined || effect === options.expect) return EXIT.ok;
  session.out.note(`Expected ${options.expect}, but the policy decides ${textOf(decision, 'effect')}.`);
  return EXIT.verificationFailed;
};

const showPolicy: Handler<object, []> = async (session) => {
  const api = await session.connect();
  const { body } = await api.request({ path: route('policies') });
  await session.out.result(body, (view) =>
    toFields([
      ['version', textOf(view, 'version')],
      ['loaded', textOf(view, 'loaded_at')],
      ['files', listOf(view, 'files').map((file) => `${textOf(file, 'name')}  sha256:${textOf(file, 'sha256')}`).join('\n') || '-'],
    ]),
  );
  return EXIT.ok;
};

const reloadPolicy: Handler<object, []> = async (session) => {
  const api = await session.connect();
  const { body } = await api.request({ method: 'POST', path: route('policies', 'reload'), body: {} });
  await session.out.result(body, (view) => (fieldOf(view, 'changed') === true ? `Policy ${textOf(view, 'version')} is in force.` : `Nothing changed; policy ${textOf(view, 'version')} stays in force.`));
  return EXIT.ok;
};
