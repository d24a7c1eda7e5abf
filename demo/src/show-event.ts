import type picocolors from 'picocolors';
import type { JsonObject, JsonValue } from '@openeaap/kernel';
import { isJsonObject } from '@openeaap/kernel';
import type { ShownEvent } from './platform-client.ts';
import { textOf as text } from './platform-client.ts';

/** What `createColors()` of picocolors makes. */
export type Colors = ReturnType<typeof picocolors.createColors>;

const KIND_COLUMNS = 11;
const TEXT_COLUMNS = 160;

/** One line of the terminal per event; null for those that would only repeat another. */
export function showEvent({ type, data }: ShownEvent, colors: Colors): readonly string[] {
  const line = (kind: string, text: string): readonly string[] => [`${colors.bold(kind.padEnd(KIND_COLUMNS))} ${text}`];
  switch (type) {
    case 'run_created':
      return line('accepted', `run ${text(data['run_id'])}  agent ${text(data['agent'])}@${text(data['agent_version'])}  for ${text(data['user_id'])}  from ${text(data['source'])}`);
    case 'run_started':
      return line('started', `trace ${text(data['trace_id'])}  policy ${text(data['policy_version'])}`);
    case 'run_resumed':
      return line('resumed', '');
    case 'step_thought':
      return line('plan', colors.dim(text(data['content'])));
    case 'policy_decision':
      return line('pdp', `${data['granted'] === true ? colors.green('allow, approved') : paintEffect(text(data['effect']), colors)}  ${data['kind'] === 'think' ? '(think)' : text(data['tool'])}  ${colors.dim(`rule ${text(data['rule'])}`)}`);
    case 'model_call':
      return line('model', `${text(data['model'])}  ${text(data['prompt_tokens'])} in / ${text(data['completion_tokens'])} out tokens  ${text(data['latency_ms'])} ms`);
    case 'tool_call':
      return line('tool', `${colors.cyan(text(data['tool']))} ${cut(JSON.stringify(data['input']))}`);
    case 'knowledge_retrieved':
      return chunks(data).flatMap((chunk, index) => line(index === 0 ? 'retrieved' : '', `chunk ${text(chunk['chunk_id'])}  ${text(chunk['title'])}  ${colors.dim(`(${text(chunk['source'])}, score ${Number(chunk['score']).toFixed(2)})`)}`));
    case 'tool_result':
      return line('result', data['error'] === undefined ? cut(summarise(data['output'])) : colors.yellow(`${text((data['error'] as JsonObject)['code'])}: ${text((data['error'] as JsonObject)['message'])}`));
    case 'governance_intervention':
      return line('HOLD', colors.yellow(`${text(data['reason'])}  approval ${text(data['approval_id'])}  approvers ${approvers(data['approvers'])}`));
    case 'run_paused':
      return line('paused', `${text(data['reason'])}, until ${text(data['wake_at'])}`);
    case 'approval_decided':
      return line('approval', colors.green(`${text(data['status']).toUpperCase()} by ${text(data['decided_by'])}${data['comment'] === undefined ? '' : `: ${text(data['comment'])}`}`));
    case 'approval_voted':
      return line('vote', `${text(data['verdict'])} by ${text(data['voted_by'])}, ${text(data['approvals_given'])} of ${text(data['approvals_needed'])}`);
    case 'approval_escalated':
      return line('escalated', colors.yellow(`${approvers(data['approvers'])} may decide as well`));
    case 'run_completed':
      return ['', ...text(data['output']).split('\n').map((row) => `  ${row}`), ''];
    case 'run_failed':
    case 'run_cancelled':
      return line(type.slice(4), colors.red(JSON.stringify(data)));
    case 'feedback_received':
      return line('feedback', `score ${text(data['score'])}`);
    default:
      return [];
  }
}

function paintEffect(effect: string, colors: Colors): string {
  if (effect === 'allow') return colors.green('allow');
  return effect === 'deny' ? colors.red('DENY') : colors.yellow('HOLD');
}

/** The search result is shown chunk by chunk already. */
function summarise(output: JsonValue | undefined): string {
  if (isJsonObject(output) && Array.isArray(output['chunks'])) return `${output['chunks'].length} passages`;
  return JSON.stringify(output ?? null);
}

const chunks = (data: JsonObject): readonly JsonObject[] => (Array.isArray(data['chunks']) ? (data['chunks'] as readonly JsonValue[]).filter(isJsonObject) : []);
const approvers = (value: JsonValue | undefined): string => (Array.isArray(value) ? value.join(', ') : '');
const cut = (value: string): string => (value.length > TEXT_COLUMNS ? `${value.slice(0, TEXT_COLUMNS)}…` : value);
