import { LIMITS, VERDICTS, isUuid } from '@openeaap/kernel';
import type { ApprovalVerdict, JsonObject, JsonValue } from '@openeaap/kernel';
import { Option } from 'commander';
import type { Command } from 'commander';
import { route } from '../api-client.ts';
import { CliError, usageError } from '../cli-error.ts';
import { collectPages } from '../collect-pages.ts';
import { EXIT } from '../exit-code.ts';
import type { ExitCode } from '../exit-code.ts';
import { parseWhole, readJsonObject } from '../read-input.ts';
import type { Bind, Handler, Session } from '../session.ts';
import { toFields, toTable } from '../table.ts';
import { blockOf, fieldOf, listOf, textOf } from '../view.ts';
import { LIST_CEILING, runId } from './run.ts';

const STATUSES = ['pending', 'approved', 'rejected', 'expired', 'cancelled', 'all'] as const;
const RESOLUTIONS = { retry: 'retry', 'mark-done': 'mark_done', fail: 'fail' } as const satisfies Record<string, ApprovalVerdict>;

export function addApprovalCommands(program: Command, bind: Bind): void {
  const approval = program.command('approval').description('decide on calls that wait for a person');
  approval
    .command('list')
    .description('approvals; those that wait unless --status says otherwise')
    .addOption(new Option('--status <status>').choices(STATUSES).default('pending'))
    .option('--run <id>', 'of one run')
    .option('--limit <n>', 'most rows', String(LIMITS.pageSize))
    .action(bind(listApprovals));
  approval.command('show <approval>').description('one approval: the exact call and what can be decided').action(bind(showApproval));
  const decision = (name: string, text: string): Command =>
    approval.command(`${name} <approval>`).description(text).option('--call-hash <hash>', 'decide only if this is still the call (see "approval show")');
  decision('approve', 'let the call be made as it is')
    .option('--comment <text>')
    .action(bind((session, options: DecideOptions, id: string) => decide(session, id, 'approve', options)));
  decision('edit', 'let the call be made with other arguments; the policy checks them again')
    .requiredOption('--args <json>', 'a JSON object, @FILE, or - for stdin')
    .option('--comment <text>')
    .action(bind(async (session, options: DecideOptions & { readonly args: string }, id: string) => decide(session, id, 'edit', options, await readJsonObject(options.args, '--args', session.io))));
  decision('reject', 'refuse the call; the run is told why')
    .requiredOption('--reason <text>', 'why; shown to the requester and the agent')
    .action(bind((session, options: DecideOptions & { readonly reason: string }, id: string) => decide(session, id, 'reject', { ...options, comment: options.reason })));
  decision('resolve', 'say what became of a call whose outcome is unknown')
    .addOption(new Option('--as <verdict>', 'retry: make it again; mark-done: it was made; fail: it was not').choices(Object.keys(RESOLUTIONS)).makeOptionMandatory())
    .option('--comment <text>')
    .action(bind((session, options: DecideOptions & { readonly as: keyof typeof RESOLUTIONS }, id: string) => decide(session, id, RESOLUTIONS[options.as], options)));
}

interface DecideOptions {
  readonly comment?: string;
  readonly callHash?: string;
}

const listApprovals: Handler<{ readonly status: string; readonly run?: string; readonly limit: string }, []> = async (session, options) => {
  const { items, nextCursor } = await collectPages(await session.connect(), {
    path: route('approvals'),
    query: { status: options.status === 'all' ? undefined : options.status, run_id: options.run === undefined ? undefined : runId(options.run) },
    limit: parseWhole(options.limit, '--limit', 1, LIST_CEILING),
  });
  await session.out.result({ items, next_cursor: nextCursor }, (view) =>
    toTable(
      [{ title: 'APPROVAL' }, { title: 'STATUS' }, { title: 'KIND' }, { title: 'CALL', maxWidth: 60 }, { title: 'REQUESTER', maxWidth: 24 }, { title: 'GIVEN' }, { title: 'APPROVERS', maxWidth: 40 }, { title: 'ESCALATES' }, { title: 'EXPIRES' }],
      listOf(view, 'items').map((row) => [textOf(row, 'approval_id'), textOf(row, 'status'), textOf(row, 'kind'), callText(row), textOf(row, 'requester'), countText(row), approversText(row), nextEscalation(row), textOf(row, 'expires_at')]),
    ),
  );
  return EXIT.ok;
};

const showApproval: Handler<object, [string]> = async (session, _options, id) => {
  const api = await session.connect();
  const { body } = await api.request({ path: route('approvals', approvalId(id)) });
  await session.out.result(body, approvalFields);
  return EXIT.ok;
};

/** Fetches the call, says what is decided about it, and binds the decision to its hash (R6). */
async function decide(session: Session, id: string, verdict: ApprovalVerdict, options: DecideOptions, args?: JsonObject): Promise<ExitCode> {
  const api = await session.connect();
  const { body: approval } = await api.request({ path: route('approvals', approvalId(id)) });
  checkOpen(approval, verdict);
  const hash = fieldOf(approval, 'call_hash');
  if (typeof hash !== 'string') throw new CliError('bad_response', 'The server does not say which call the approval is for.');
  if (options.callHash !== undefined && options.callHash !== hash) {
    throw new CliError('hash_mismatch', `The call that waits has the hash ${hash}, not ${options.callHash}. Nothing was decided.`, { cure: `Look at it again: openeaap approval show ${id}` });
  }
  if (options.callHash === undefined && isPendingEdit(approval) && verdict !== 'reject') {
    // Whoever looked before the edit would grant what they have never seen.
    throw usageError(`The call was edited and is now ${callText(approval)}. Nothing was decided.`, `Look at it, then name it: openeaap approval ${verdict} ${id} --call-hash ${hash}`);
  }
  session.out.note(`${verdict}: ${callText(approval)}${args === undefined ? '' : ` -> ${JSON.stringify(args)}`}\n  run ${textOf(approval, 'run_id')}, step ${textOf(approval, 'step_no')}, call hash ${hash}`);
  const { body } = await api.request({
    method: 'POST',
    path: route('approvals', id, 'decide'),
    body: { verdict, call_hash: hash, ...(args === undefined ? {} : { args }), ...(options.comment === undefined ? {} : { comment: options.comment }) },
  });
  await session.out.result(body, decidedText);
  return EXIT.ok;
}

function decidedText(view: JsonValue): string {
  const id = textOf(view, 'approval_id');
  if (fieldOf(view, 'status') !== 'pending') return `Approval ${id} is ${textOf(view, 'status')} (${textOf(view, 'verdict')} by ${textOf(view, 'decided_by')}).`;
  const missing = countOf(view, 'min_approvals') - countOf(view, 'approvals_given');
  return `Approval ${id} has ${countText(view)} approvals; ${missing} more ${missing === 1 ? 'person' : 'people'} of ${approversText(view)} must approve the call with hash ${textOf(view, 'call_hash')}.`;
}

function checkOpen(approval: JsonValue, verdict: ApprovalVerdict): void {
  const status = textOf(approval, 'status');
  if (status === 'expired' || status === 'cancelled') throw new CliError('conflict', `The approval is ${status}; nothing can be decided any more.`, { details: { status } });
  if (status !== 'pending') {
    const by = textOf(approval, 'decided_by');
    const at = textOf(approval, 'decided_at');
    throw new CliError('already_decided', `Somebody decided first: ${status} by ${by} at ${at}. Nothing was changed.`, { details: { decided_by: by, decided_at: at, approval_status: status } });
  }
  const kind = fieldOf(approval, 'kind') === 'uncertain' ? 'uncertain' : 'gate';
  if (VERDICTS[kind].includes(verdict)) return;
  throw usageError(
    kind === 'gate' ? 'This call waits for a permission; it has not been made.' : 'This call may have been made already; its outcome is unknown.',
    kind === 'gate' ? 'Use approval approve, edit or reject.' : 'Use approval resolve --as retry, mark-done or fail.',
  );
}

function approvalId(text: string): string {
  if (isUuid(text)) return text;
  throw usageError(`"${text}" is not the id of an approval.`, 'Ids are UUIDs; see "openeaap approval list".');
}

function approvalFields(view: JsonValue): string {
  const id = textOf(view, 'approval_id');
  const named = isPendingEdit(view) ? ` --call-hash ${textOf(view, 'call_hash')}` : '';
  const choices =
    fieldOf(view, 'kind') === 'uncertain' ? ['resolve ID --as retry', 'resolve ID --as mark-done', 'resolve ID --as fail'] : [`approve ID${named}`, `edit ID --args '{…}'${named}`, 'reject ID --reason "…"'];
  const votes = listOf(view, 'votes').map(voteText);
  const stages = listOf(view, 'escalation').map((stage) => `${listOf(stage, 'approvers').map((name) => textOf(name)).join(', ')} from ${textOf(stage, 'at')}${fieldOf(stage, 'escalated') === true ? ' (escalated)' : ''}`);
  return toFields([
    ['approval', id],
    ['status', textOf(view, 'status')],
    ['kind', fieldOf(view, 'kind') === 'uncertain' ? 'uncertain: the call may already have been made' : textOf(view, 'kind')],
    ['tool', textOf(view, 'tool')],
    ['args', blockOf(view, 'args')],
    [isPendingEdit(view) ? 'edited args (these wait)' : 'edited args', blockOf(view, 'edited_args')],
    ['call hash', textOf(view, 'call_hash')],
    ['run', `${textOf(view, 'run_id')}, step ${textOf(view, 'step_no')}`],
    ['requester', textOf(view, 'requester')],
    ['rule', textOf(view, 'rule')],
    ['reason', textOf(view, 'reason')],
    ['approvers', approversText(view)],
    ['approvals', countText(view)],
    ...(votes.length === 0 ? [] : [['votes', votes.join('\n')] as const]),
    ...(stages.length === 0 ? [] : [['escalation', stages.join('\n')] as const]),
    ['created', textOf(view, 'created_at')],
    ['expires', textOf(view, 'expires_at')],
    ['decided', fieldOf(view, 'decided_by') === null ? '-' : `${textOf(view, 'verdict')} by ${textOf(view, 'decided_by')} at ${textOf(view, 'decided_at')}`],
    ['comment', textOf(view, 'comment')],
    ...(fieldOf(view, 'status') === 'pending' ? [['decide', choices.map((choice) => `openeaap approval ${choice.replace('ID', id)}`).join('\n')] as const] : []),
  ]);
}

/** The call that is decided about: of an edit that others must still approve, the edited one. */
const callText = (approval: JsonValue): string => `${textOf(approval, 'tool')} ${textOf(approval, isPendingEdit(approval) ? 'edited_args' : 'args')}`;
const isPendingEdit = (approval: JsonValue): boolean => fieldOf(approval, 'status') === 'pending' && textOf(approval, 'edited_args') !== '-';

/** Who may decide now, with those of each escalation whose time has come. */
function approversText(approval: JsonValue): string {
  const now = listOf(approval, 'approvers_now');
  return (now.length > 0 ? now : listOf(approval, 'approvers')).map((name) => textOf(name)).join(', ') || '-';
}

const countText = (approval: JsonValue): string => (textOf(approval, 'min_approvals') === '-' ? '-' : `${textOf(approval, 'approvals_given')} of ${textOf(approval, 'min_approvals')}`);

function countOf(approval: JsonValue, name: string): number {
  const value = fieldOf(approval, name);
  return typeof value === 'number' ? value : 0;
}

/** When the next group may decide as well; `-`: there is none to come. */
function nextEscalation(approval: JsonValue): string {
  const next = fieldOf(approval, 'status') === 'pending' ? listOf(approval, 'escalation').find((stage) => fieldOf(stage, 'escalated') !== true) : undefined;
  return textOf(next, 'at');
}

function voteText(vote: JsonValue): string {
  const comment = textOf(vote, 'comment');
  return `${textOf(vote, 'voter')}  ${textOf(vote, 'verdict')}  ${textOf(vote, 'at')}${comment === '-' ? '' : `  ${comment}`}${fieldOf(vote, 'counts') === false ? '  (about the call before an edit; counts no more)' : ''}`;
}
