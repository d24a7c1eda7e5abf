import type { Command } from 'commander';
import { Option } from 'commander';
import { route } from '../api-client.ts';
import { EXIT } from '../exit-code.ts';
import { readArgument } from '../read-input.ts';
import type { Bind, Handler } from '../session.ts';
import { textOf } from '../view.ts';
import { runId } from './run.ts';

export function addFeedbackCommands(program: Command, bind: Bind): void {
  const feedback = program.command('feedback').description('tell the platform how good an answer was');
  feedback
    .command('submit <run>')
    .description('rate the answer of a run; a correction becomes training data')
    .addOption(new Option('--score <score>', '1: good, -1: bad').choices(['1', '-1']).makeOptionMandatory())
    .option('--correction <text>', 'what the answer should have been: TEXT, @FILE, or -')
    .option('--category <name>')
    .action(bind(submitFeedback));
}

const submitFeedback: Handler<{ readonly score: '1' | '-1'; readonly correction?: string; readonly category?: string }, [string]> = async (session, options, run) => {
  const body = {
    score: Number(options.score),
    ...(options.correction === undefined ? {} : { correction: await readArgument(options.correction, '--correction', session.io) }),
    ...(options.category === undefined ? {} : { category: options.category }),
  };
  const path = route('runs', runId(run), 'feedback');
  const api = await session.connect();
  const reply = await api.request({ method: 'POST', path, body });
  await session.out.result(reply.body, (view) => {
    const pair = textOf(view, 'preference_pair_id');
    return `Feedback ${textOf(view, 'feedback_id')} is stored${pair === '-' ? '' : ` with preference pair ${pair}`}.`;
  });
  return EXIT.ok;
};
