import type { ApprovalDemand, EscalationStage } from '@openeaap/kernel';
import { LIMITS } from '@openeaap/kernel';
import { parseDurationMs } from './duration.ts';
import { POLICY_LIMITS } from './limits.ts';
import type { Fields, Node, YamlReader } from './yaml-reader.ts';

/** Keys of an entry that says who must agree, how many, and until when. */
export const DEMAND_KEYS = ['approvers', 'min_approvals', 'timeout', 'forbid_requester', 'escalation'] as const;

export interface DemandDefaults {
  readonly timeoutMs: number;
  /** May `*` stand for whoever may decide approvals at all? */
  readonly everyone: boolean;
}

/** What an approval wants: who, how many, until when, and who else if nobody does. null: something is wrong and was reported. */
export function readDemand(reader: YamlReader, parent: Node, fields: Fields, defaults: DemandDefaults): ApprovalDemand | null {
  const at = (key: (typeof DEMAND_KEYS)[number]): Node => fields.get(key) ?? null;
  const approvers = fields.has('approvers') ? readSubjects(reader, at('approvers'), 'approvers', defaults.everyone) : reader.report(parent, "'approvers' is missing here");
  const minApprovals = fields.has('min_approvals') ? readMinApprovals(reader, at('min_approvals')) : 1;
  const timeoutMs = fields.has('timeout') ? readTimeoutMs(reader, at('timeout')) : defaults.timeoutMs;
  const forbidRequester = fields.has('forbid_requester') ? reader.flag(at('forbid_requester'), 'forbid_requester') : false;
  const escalation = !fields.has('escalation') ? [] : timeoutMs === null ? null : readEscalation(reader, at('escalation'), timeoutMs);
  if (approvers === null || minApprovals === null || timeoutMs === null || forbidRequester === null || escalation === null) return null;
  const people = countPeople([...approvers, ...escalation.flatMap((stage) => stage.approvers)]);
  if (people > 0 && people < minApprovals) {
    return reader.report(at('min_approvals'), `min_approvals is ${minApprovals}, but approvers and escalation name ${people} ${people === 1 ? 'person' : 'people'}; name a group, or more people`);
  }
  return { approvers, minApprovals, timeoutMs, forbidRequester, escalation };
}

export function readSubjects(reader: YamlReader, node: Node, what: string, everyone: boolean): readonly string[] | null {
  const items = reader.list(node, what);
  if (items.length === 0) return reader.report(node, `${what} needs at least one entry, such as "group:security-ops"`);
  return items.flatMap((item) => {
    const text = reader.text(item, `an entry of ${what}`, POLICY_LIMITS.nameChars);
    if (text === null) return [];
    if (/^(?:group|user):\S/.test(text) || (everyone && text === '*')) return [text];
    return reader.report(item, `'${text}' is nobody; write "group:NAME"${everyone ? ', "user:ID" or "*"' : ' or "user:ID"'}`) ?? [];
  });
}

function readMinApprovals(reader: YamlReader, node: Node): number | null {
  const count = reader.count(node, 'min_approvals');
  if (count === null || count <= POLICY_LIMITS.minApprovals) return count;
  return reader.report(node, `min_approvals is ${count}; at most ${POLICY_LIMITS.minApprovals} people can be asked for`);
}

function readTimeoutMs(reader: YamlReader, node: Node): number | null {
  const text = reader.text(node, 'timeout', 32);
  if (text === null) return null;
  const timeoutMs = parseDurationMs(text);
  if (timeoutMs === null) return reader.report(node, `'${text}' is no duration; write for example 90s, 30m, 1h or 2d`);
  return timeoutMs <= LIMITS.approvalTimeoutCeilingMs ? timeoutMs : reader.report(node, `'${text}' is too long; at most ${LIMITS.approvalTimeoutCeilingMs / 86_400_000}d is allowed`);
}

/** One stage, or a list of stages in order of time. */
function readEscalation(reader: YamlReader, node: Node, timeoutMs: number): readonly EscalationStage[] | null {
  const nodes = reader.isList(node) ? reader.list(node, 'escalation') : [node];
  if (nodes.length > POLICY_LIMITS.escalationStages) return reader.report(node, `escalation has ${nodes.length} stages; at most ${POLICY_LIMITS.escalationStages} are allowed`);
  const stages: EscalationStage[] = [];
  for (const entry of nodes) {
    const stage = readStage(reader, entry, { timeoutMs, earlierMs: stages.at(-1)?.afterMs ?? 0 });
    if (stage === null) return null;
    stages.push(stage);
  }
  return stages;
}

function readStage(reader: YamlReader, node: Node, bounds: StageBounds): EscalationStage | null {
  const fields = reader.map(node, 'an escalation', ['after', 'approvers']);
  if (fields === null) return null;
  const afterMs = fields.has('after') ? readAfterMs(reader, fields.get('after') ?? null, bounds) : reader.report(node, "'after' is missing here");
  const approvers = fields.has('approvers') ? readSubjects(reader, fields.get('approvers') ?? null, 'approvers', false) : reader.report(node, "'approvers' is missing here");
  return afterMs === null || approvers === null ? null : { afterMs, approvers };
}

interface StageBounds {
  readonly timeoutMs: number;
  /** When the stage before it comes; 0: it is the first. */
  readonly earlierMs: number;
}

/** A duration, or a part of the timeout in percent. */
function readAfterMs(reader: YamlReader, node: Node, { timeoutMs, earlierMs }: StageBounds): number | null {
  const text = reader.text(node, 'after', 32);
  if (text === null) return null;
  const afterMs = /^[1-9]\d?%$/.test(text) ? Math.ceil((timeoutMs * Number.parseInt(text, 10)) / 100) : parseDurationMs(text);
  if (afterMs === null) return reader.report(node, `'${text}' is neither a duration nor a part of the timeout; write for example 30m or 50%`);
  if (afterMs >= timeoutMs) return reader.report(node, `'${text}' is not before the timeout of ${timeoutMs / 1_000} s; nobody could decide any more`);
  return afterMs > earlierMs ? afterMs : reader.report(node, `'${text}' is not after the stage before it; write the stages in order of time`);
}

/** How many people these can be; a group may have any number. */
function countPeople(subjects: readonly string[]): number {
  return subjects.every((subject) => subject.startsWith('user:')) ? new Set(subjects).size : Infinity;
}
