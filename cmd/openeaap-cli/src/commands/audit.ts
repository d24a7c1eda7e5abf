import { createWriteStream } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { LIMITS } from '@openeaap/kernel';
import type { Command } from 'commander';
import { REQUEST_LIMITS, asCliError, route } from '../api-client.ts';
import { CliError } from '../cli-error.ts';
import { collectPages } from '../collect-pages.ts';
import { EXIT } from '../exit-code.ts';
import { parseWhole } from '../read-input.ts';
import type { Bind, Handler, Session } from '../session.ts';
import { toTable } from '../table.ts';
import { fieldOf, listOf, textOf } from '../view.ts';
import { LIST_CEILING, runId } from './run.ts';

export function addAuditCommands(program: Command, bind: Bind): void {
  const audit = program.command('audit').description('the record of what was decided and done');
  audit
    .command('list')
    .description('audit rows, newest first')
    .option('--run <id>', 'of one run')
    .option('--action <type>', 'e.g. tool_call, approval_grant')
    .option('--limit <n>', 'most rows', String(LIMITS.pageSize))
    .action(bind(listAudit));
  audit.command('verify').description('check that no row was changed, removed or inserted; exit code 8 if one was').action(bind(verifyAudit));
  audit
    .command('export')
    .description('all rows as NDJSON, as the server stores them')
    .option('--from <time>', 'RFC 3339, e.g. 2026-11-01T00:00:00Z')
    .option('--to <time>')
    .option('--out <file>', 'into a file that only you can read, complete or not at all')
    .action(bind(exportAudit));
}

const listAudit: Handler<{ readonly run?: string; readonly action?: string; readonly limit: string }, []> = async (session, options) => {
  const { items, nextCursor } = await collectPages(await session.connect(), {
    path: route('audit'),
    query: { run_id: options.run === undefined ? undefined : runId(options.run), action_type: options.action },
    limit: parseWhole(options.limit, '--limit', 1, LIST_CEILING),
  });
  await session.out.result({ items, next_cursor: nextCursor }, (view) =>
    toTable(
      [{ title: 'TIME' }, { title: 'ACTOR', maxWidth: 28 }, { title: 'ACTION' }, { title: 'PHASE' }, { title: 'DECISION' }, { title: 'OUTCOME' }, { title: 'RULE', maxWidth: 32 }, { title: 'RUN' }, { title: 'INPUT', maxWidth: 48 }],
      listOf(view, 'items').map((row) => ['created_at', 'actor', 'action_type', 'phase', 'decision', 'outcome', 'rule', 'run_id', 'sanitized_input'].map((name) => textOf(row, name))),
    ),
  );
  return EXIT.ok;
};

const verifyAudit: Handler<object, []> = async (session) => {
  const api = await session.connect();
  const { body } = await api.request({ method: 'POST', path: route('audit', 'verify'), body: {}, timeoutMs: REQUEST_LIMITS.longTimeoutMs });
  // Anything but a clear yes is a no.
  const intact = fieldOf(body, 'ok') === true && listOf(body, 'problems').length === 0;
  await session.out.result(body, (view) => {
    const counted = `${textOf(view, 'rows')} rows in ${textOf(view, 'chains')} chain(s)`;
    if (intact) return session.out.colors.green(`The audit record is intact: ${counted}.`);
    const problems = listOf(view, 'problems').map((problem) => `  ${textOf(problem, 'kind')}: chain ${textOf(problem, 'chain_id')}, row ${textOf(problem, 'chain_seq')} (${textOf(problem, 'row_id')}): ${textOf(problem, 'detail')}`);
    return [session.out.colors.red(`The audit record is NOT intact: ${problems.length} problems in ${counted}.`), ...problems].join('\n');
  });
  return intact ? EXIT.ok : EXIT.verificationFailed;
};

const exportAudit: Handler<{ readonly from?: string; readonly to?: string; readonly out?: string }, []> = async (session, options) => {
  const api = await session.connect();
  const response = await api.open({ path: route('audit', 'export'), query: { from: options.from, to: options.to }, headers: { accept: 'application/x-ndjson' } });
  const body = response.body;
  if (body === null) throw new CliError('bad_response', 'The server sent no export.');
  await asCliError(api.connection, session.io.signal, async () => {
    const chunks = withSignal(body as AsyncIterable<Uint8Array>, session.io.signal);
    if (options.out === undefined) for await (const chunk of chunks) await session.out.raw(chunk);
    else await writeWhole(session, chunks, path.resolve(session.io.cwd, options.out));
  });
  return EXIT.ok;
};

/** A half-written export must not look like a whole one. */
async function writeWhole(session: Session, chunks: AsyncIterable<Uint8Array>, file: string): Promise<void> {
  const partial = `${file}.partial`;
  try {
    await pipeline(Readable.from(chunks), createWriteStream(partial, { mode: 0o600 }));
    await rename(partial, file);
  } catch (cause) {
    await rm(partial, { force: true });
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
    if (/^(EACCES|ENOENT|EISDIR|ENOSPC|EROFS)$/.test(code)) throw new CliError('usage', `--out: ${file} cannot be written (${code}).`, { cause });
    throw cause;
  }
  session.out.note(`Written to ${file}.`);
}

async function* withSignal(chunks: AsyncIterable<Uint8Array>, signal: AbortSignal): AsyncGenerator<Uint8Array, void> {
  for await (const chunk of chunks) {
    signal.throwIfAborted();
    yield chunk;
  }
}
