import type { JsonValue } from '@openeaap/kernel';
import { fieldOf, listOf, textOf } from './view.ts';

/** One event of a run in words, for a person who follows it. */
export function toEventText(type: string, data: JsonValue): string {
  switch (type) {
    case 'run_created':
      return join([textOf(data, 'run_id'), textOf(data, 'status'), textOf(data, 'start_at') === '-' ? '-' : `starts at ${textOf(data, 'start_at')}`]);
    case 'run_started':
      return join([textOf(data, 'run_id'), textOf(data, 'status')]);
    case 'step_thought':
    case 'step_delta':
      return firstOf(data, ['content', 'text', 'thought']);
    case 'tool_call':
      return join([textOf(data, 'tool'), firstOf(data, ['input', 'args'])]);
    case 'tool_result':
      return fieldOf(data, 'error') === undefined || fieldOf(data, 'error') === null ? firstOf(data, ['output']) : `error: ${errorText(fieldOf(data, 'error'))}`;
    case 'governance_intervention':
      return interventionText(data);
    case 'policy_decision':
      return join([firstOf(data, ['effect', 'decision']), textOf(data, 'tool'), textOf(data, 'rule'), textOf(data, 'reason')]);
    case 'model_call':
      return join([textOf(data, 'model'), `${textOf(data, 'prompt_tokens')} in / ${textOf(data, 'completion_tokens')} out tokens`, `${textOf(data, 'latency_ms')} ms`]);
    case 'run_paused':
      return join([textOf(data, 'reason'), `until ${textOf(data, 'wake_at')}`]);
    case 'run_resumed':
      return textOf(data, 'reason') === '-' ? textOf(data, 'status') : textOf(data, 'reason');
    case 'feedback_received':
      return join([`score ${textOf(data, 'score')}`, textOf(data, 'category')]);
    case 'knowledge_retrieved':
      return listOf(data, 'chunks').map((chunk) => firstOf(chunk, ['title', 'chunk_id'])).join(', ') || firstOf(data, []);
    case 'approval_decided':
      return join([firstOf(data, ['verdict', 'status']), `by ${textOf(data, 'decided_by')}`, textOf(data, 'comment')]);
    case 'approval_voted':
      return join([textOf(data, 'verdict'), `by ${textOf(data, 'voted_by')}`, `${textOf(data, 'approvals_given')} of ${textOf(data, 'approvals_needed')}`, textOf(data, 'comment')]);
    case 'approval_escalated':
      return `${listOf(data, 'approvers').map((name) => textOf(name)).join(', ')} may decide as well -> openeaap approval show ${textOf(data, 'approval_id')}`;
    case 'run_completed':
      return firstOf(data, ['output']);
    case 'run_failed':
    case 'run_cancelled':
      return errorText(fieldOf(data, 'error') ?? data);
    default:
      return firstOf(data, ['reason']);
  }
}

function interventionText(data: JsonValue): string {
  const approvalId = textOf(data, 'approval_id');
  const reason = textOf(data, 'reason');
  return approvalId === '-' ? reason : `${reason} -> openeaap approval show ${approvalId}`;
}

/** The first field that is there; without any, all of it as JSON. */
function firstOf(data: JsonValue, names: readonly string[]): string {
  const found = names.map((name) => textOf(data, name)).find((text) => text !== '-');
  return found ?? textOf(data);
}

function errorText(error: JsonValue | undefined): string {
  const message = firstOf(error ?? null, ['message', 'detail', 'reason']);
  const code = textOf(error, 'code');
  return code === '-' ? message : `${code}: ${message}`;
}

function join(parts: readonly string[]): string {
  return parts.filter((part) => part !== '-').join('  ');
}
