import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { LIMITS } from '@openeaap/kernel';
import type { JsonObject, JsonValue } from '@openeaap/kernel';
import type { Command } from 'commander';
import type { ApiClient } from '../api-client.ts';
import { REQUEST_LIMITS, asCliError, route } from '../api-client.ts';
import type { ArchivedPage, ArchivedRun } from '../archive-file.ts';
import { readPage, toArchiveFile } from '../archive-file.ts';
import { CliError, usageError } from '../cli-error.ts';
import { EXIT } from '../exit-code.ts';
import type { Bind, Handler, Session } from '../session.ts';
import { fieldOf, listOf, textOf } from '../view.ts';

export function addArchiveCommand(program: Command, bind: Bind): void {
  program
    .command('archive')
    .description('take old runs that have ended out of the database, into files')
    .requiredOption('--older-than <age>', 'how long ago they ended, in days: 90d; at least 7d')
    .option('--to <folder>', 'where the files go: gzipped JSON lines that only you can read')
    .option('--delete-only', 'keep no file: the runs are gone')
    .option('--dry-run', 'only say how many there are')
    .action(bind(archive));
}

interface Options {
  readonly olderThan: string;
  readonly to?: string;
  readonly deleteOnly?: boolean;
  readonly dryRun?: boolean;
}

interface Plan {
  readonly api: ApiClient;
  readonly finishedBefore: string;
  /** null: --delete-only. */
  readonly folder: string | null;
}

/**
 * A page at a time: written into a file, flushed to the disk, read back, and only then deleted. What
 * stops it at any point leaves each run in the database or in a whole file, or in both; the next call
 * goes on with what is still in the database.
 */
const archive: Handler<Options, []> = async (session, options) => {
  const plan = await toPlan(session, options);
  const { body: found } = await plan.api.request({ path: route('archive', 'summary'), query: { finished_before: plan.finishedBefore }, timeoutMs: REQUEST_LIMITS.longTimeoutMs });
  if (options.dryRun === true) {
    await session.out.result(found, (view) => `${textOf(view, 'runs')} runs with ${textOf(view, 'steps')} steps ended before ${plan.finishedBefore}; the oldest at ${textOf(view, 'oldest')}. Nothing was done.`);
    return EXIT.ok;
  }
  if (plan.folder !== null) await makeFolder(plan.folder);
  const total = { deleted: 0, kept: 0, files: [] as string[] };
  for (let after: string | null = null, page = 1; ; page += 1) {
    session.io.signal.throwIfAborted();
    const taken: ArchivedPage = await takePage(session, plan, after, page);
    if (taken.file !== null) total.files.push(taken.file);
    const { deleted, kept } = await deletePage(session, plan, taken.runs);
    total.deleted += deleted;
    total.kept += kept;
    if (taken.runs.length > 0) session.out.note(`${total.deleted} of ${textOf(found, 'runs')} runs ${plan.folder === null ? 'deleted' : 'archived'}${taken.file === null ? '' : `, ${taken.file}`}`);
    if (taken.next === null) break;
    after = taken.next;
  }
  const result: JsonObject = { finished_before: plan.finishedBefore, deleted: total.deleted, kept: total.kept, files: total.files };
  await session.out.result(result, (view) => toText(view, plan));
  return EXIT.ok;
};

async function toPlan(session: Session, options: Options): Promise<Plan> {
  const days = Number(/^(\d{1,5})d$/.exec(options.olderThan)?.[1] ?? Number.NaN);
  const least = LIMITS.archiveMinimumAgeMs / 86_400_000;
  if (Number.isNaN(days) || days < least) throw usageError(`--older-than takes whole days, ${least}d or more, not "${options.olderThan}".`, 'An idempotency key is remembered as long as its run: younger runs stay.');
  if (options.dryRun !== true && (options.to === undefined) === (options.deleteOnly !== true)) {
    throw usageError(options.to === undefined ? 'Where should the runs go?' : '--to and --delete-only exclude each other.', 'Give --to FOLDER to keep them in files, or --delete-only to keep none.');
  }
  return {
    api: await session.connect(),
    finishedBefore: new Date(session.io.clock.now().getTime() - days * 86_400_000).toISOString(),
    folder: options.deleteOnly === true || options.to === undefined ? null : path.resolve(session.io.cwd, options.to),
  };
}

async function makeFolder(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 }).catch((cause: unknown) => {
    throw new CliError('usage', `--to: ${folder} cannot be made (${cause instanceof Error && 'code' in cause ? String(cause.code) : String(cause)}).`, { cause });
  });
}

async function takePage(session: Session, plan: Plan, after: string | null, page: number): Promise<ArchivedPage> {
  const query = { finished_before: plan.finishedBefore, limit: LIMITS.archivePageRuns, content: plan.folder === null ? 'none' : 'all', ...(after === null ? {} : { after }) };
  const response = await plan.api.open({ path: route('archive', 'runs'), query, headers: { accept: 'application/x-ndjson' }, timeoutMs: REQUEST_LIMITS.longTimeoutMs });
  const body = response.body;
  if (body === null) throw new CliError('bad_response', 'The server sent no runs.');
  return asCliError(plan.api.connection, session.io.signal, () => {
    const chunks = body as AsyncIterable<Uint8Array>;
    if (plan.folder === null) return readPage(chunks, session.io.signal);
    const stamp = session.io.clock.now().toISOString().replaceAll(/[-:]|\.\d+/g, '');
    return toArchiveFile(chunks, path.join(plan.folder, `runs-${stamp}-${session.io.newId().slice(-8)}-${String(page).padStart(4, '0')}.jsonl.gz`), session.io.signal);
  });
}

async function deletePage(session: Session, plan: Plan, runs: readonly ArchivedRun[]): Promise<{ readonly deleted: number; readonly kept: number }> {
  const total = { deleted: 0, kept: 0 };
  for (let from = 0; from < runs.length; from += LIMITS.archiveDeleteRuns) {
    session.io.signal.throwIfAborted();
    const part = runs.slice(from, from + LIMITS.archiveDeleteRuns).map(({ runId, lastSeq }): JsonValue => ({ run_id: runId, last_seq: lastSeq }));
    const { body } = await plan.api.request({ method: 'POST', path: route('archive', 'delete'), body: { finished_before: plan.finishedBefore, runs: part, outcome: plan.folder === null ? 'deleted' : 'archived' }, timeoutMs: REQUEST_LIMITS.longTimeoutMs });
    total.deleted += listOf(body, 'deleted').length;
    total.kept += listOf(body, 'kept').length;
  }
  return total;
}

function toText(view: JsonValue, plan: Plan): string {
  const kept = fieldOf(view, 'kept') === 0 ? '' : ` ${textOf(view, 'kept')} changed meanwhile and stay; they are taken the next time.`;
  if (plan.folder === null) return `${textOf(view, 'deleted')} runs that ended before ${plan.finishedBefore} were deleted.${kept}`;
  return `${textOf(view, 'deleted')} runs that ended before ${plan.finishedBefore} are in ${listOf(view, 'files').length} files in ${plan.folder}.${kept}`;
}
