import type { Command } from 'commander';
import { route } from '../api-client.ts';
import { EXIT } from '../exit-code.ts';
import { parseWhole } from '../read-input.ts';
import type { Bind, Handler } from '../session.ts';
import { listOf, textOf } from '../view.ts';

export function addKnowledgeCommands(program: Command, bind: Bind): void {
  const knowledge = program.command('knowledge').description('the documents that agents read');
  knowledge
    .command('search <query>')
    .description('the passages nearest to a query, as far as you may read them')
    .option('--top-k <n>', 'most passages', '5')
    .action(bind(searchKnowledge));
}

const searchKnowledge: Handler<{ readonly topK: string }, [string]> = async (session, options, query) => {
  const topK = parseWhole(options.topK, '--top-k', 1, 100);
  const api = await session.connect();
  const { body } = await api.request({ method: 'POST', path: route('knowledge', 'search'), body: { query, top_k: topK } });
  await session.out.result(body, (view) => {
    const chunks = listOf(view, 'chunks').map((chunk, i) => {
      const heading = `${i + 1}. ${textOf(chunk, 'title')} (score ${textOf(chunk, 'score')}, sensitivity ${textOf(chunk, 'sensitivity')})`;
      return `${session.out.colors.bold(heading)}\n   ${textOf(chunk, 'source')}  ${textOf(chunk, 'chunk_id')}\n   ${textOf(chunk, 'content').replaceAll('\n', '\n   ')}`;
    });
    return chunks.join('\n\n') || 'Nothing found that you may read.';
  });
  return EXIT.ok;
};
