import type { ActStatus, ActStep, ErrorCode, JsonObject, JsonValue, ProposedCall, Proposal, Step, StepError, ThinkStep } from '@openeaap/kernel';
import { NO_CONSTRAINTS, NO_USAGE, PlatformError, isJsonObject, toObservation } from '@openeaap/kernel';
import type { JournalStep, JournalStep_Act, JournalStep_Think, ProposedCall as WireCall, Proposal as WireProposal } from '@openeaap/proto';
import { stepErrorFromWire, stepErrorToWire } from './error-wire.ts';
import { jsonFromWire, parseJson, textFromWire, toUint32 } from './json-wire.ts';
import { WIRE_LIMITS } from './wire-limits.ts';

/** The journal as a plugin is told it: what was thought, what was run, what came of it. Who decided, and why, stays here. */
export function journalToWire(journal: readonly Step[]): readonly JournalStep[] {
  return journal.map((step) => ({
    no: toUint32(step.no),
    stepId: step.id,
    step: step.kind === 'think' ? { $case: 'think', value: thinkStepToWire(step) } : { $case: 'act', value: actStepToWire(step) },
  }));
}

function thinkStepToWire(step: ThinkStep): JournalStep_Think {
  return {
    proposal: step.proposal === null ? undefined : proposalToWire(step.proposal),
    error: step.error === null ? undefined : stepErrorToWire(step.error),
    strategyState: stateToWire(step.strategyState),
  };
}

function actStepToWire(act: ActStep): JournalStep_Act {
  return { callId: act.callId, tool: act.tool, args: JSON.stringify(act.args), status: act.status, observation: JSON.stringify(toObservation(act)), thinkNo: toUint32(act.thinkNo) };
}

/**
 * The journal on the plugin's side. What is not on the wire (the policy's decisions, costs, times) has neutral
 * values; all that a strategy reads is as it was: proposals, errors, states, and the observation of each act.
 */
export function journalFromWire(journal: readonly JournalStep[], agentVersion: string): readonly Step[] {
  return journal.flatMap((entry): readonly Step[] => {
    const base = { no: entry.no, id: entry.stepId, policyVersion: '', agentVersion, startedAt: new Date(0), finishedAt: new Date(0) };
    // A kind of step that came later than this program says nothing that it could understand.
    if (entry.step === undefined) return [];
    return [entry.step.$case === 'think' ? { ...base, ...thinkStepFromWire(entry.step.value, entry.no) } : { ...base, ...actStepFromWire(entry.step.value, entry.no) }];
  });
}

type Content<S extends Step> = Omit<S, 'no' | 'id' | 'policyVersion' | 'agentVersion' | 'startedAt' | 'finishedAt'>;

function thinkStepFromWire(think: JournalStep_Think, no: number): Content<ThinkStep> {
  return {
    kind: 'think',
    status: think.proposal === undefined ? 'failed' : 'done',
    proposal: think.proposal === undefined ? null : proposalFromWire(think.proposal, { at: `journal[${no}].think.proposal`, code: 'invalid_input' }),
    error: think.error === undefined ? null : stepErrorFromWire(think.error),
    strategyState: stateFromWire(think.strategyState, { field: `journal[${no}].think.strategy_state`, code: 'invalid_input' }),
    decision: { effect: 'allow', constraints: NO_CONSTRAINTS, reservations: [], rule: '', reason: '', policyVersion: '' },
    usage: NO_USAGE,
    model: '',
    reportedByRuntime: [],
  };
}

function actStepFromWire(act: JournalStep_Act, no: number): Content<ActStep> {
  const observation = journalJson(act.observation, `journal[${no}].act.observation`);
  if (!isJsonObject(observation)) throw new PlatformError('invalid_input', `journal[${no}].act.observation must be a JSON object.`, { details: { field: 'journal' } });
  const error = errorOf(observation);
  return {
    kind: 'act',
    thinkNo: act.thinkNo,
    callId: act.callId,
    tool: act.tool,
    args: journalJson(act.args, `journal[${no}].act.args`),
    status: statusOf(act.status, error),
    result: observation['output'] ?? null,
    error,
    decision: null,
    approvalId: null,
    attempts: 1,
    lineage: [],
    suspicious: false,
  };
}

const STATUSES: ReadonlySet<string> = new Set<ActStatus>(['invalid', 'denied', 'done', 'failed', 'rejected', 'expired', 'dry_run']);

/** A status that came later than this program: the observation still says how it went. */
function statusOf(status: string, error: StepError | null): ActStatus {
  if (STATUSES.has(status)) return status as ActStatus;
  return error === null ? 'done' : 'failed';
}

function errorOf(observation: JsonObject): StepError | null {
  const error = observation['error'];
  if (!isJsonObject(error)) return null;
  const { code, message } = error;
  // A code that came later than this program is told on as it is: the agent may read it, nothing here branches on it.
  return { code: typeof code === 'string' ? (code as ErrorCode) : 'internal', message: typeof message === 'string' ? message : '' };
}

const journalJson = (text: string, field: string): JsonValue => jsonFromWire(text, { field, maxBytes: WIRE_LIMITS.messageBytes, code: 'invalid_input', maxDepth: Infinity });

export function proposalToWire(proposal: Proposal): WireProposal {
  return { thought: proposal.thought, calls: proposal.calls.map(callToWire), output: proposal.output === null ? undefined : JSON.stringify(proposal.output) };
}

function callToWire(call: ProposedCall): WireCall {
  return { id: call.id, tool: call.tool, args: call.malformed === undefined ? JSON.stringify(call.args) : brokenText(call.malformed) };
}

/** What was cut may have become JSON by it; it must not be taken for arguments on the other side. */
const brokenText = (text: string): string => (text.trim() === '' || parseJson(text).ok ? `${text} …` : text);

export interface ProposalPlace {
  /** For messages. */
  readonly at: string;
  readonly code: ErrorCode;
  /** Bytes of the output; of a peer that is not trusted. */
  readonly maxBytes?: number;
}

export function proposalFromWire(proposal: WireProposal, { at, code, maxBytes = WIRE_LIMITS.messageBytes }: ProposalPlace): Proposal {
  const output = proposal.output === undefined ? null : jsonFromWire(proposal.output, { field: `${at}.output`, maxBytes, code });
  if (proposal.output !== undefined && output === null) {
    throw new PlatformError(code, `${at}.output is null, which would not end the run. Leave it unset to go on, or end with another value.`, { details: { field: `${at}.output` } });
  }
  return { thought: proposal.thought, calls: proposal.calls.map(callFromWire), output };
}

/** Models write arguments: what is no JSON is no error of the protocol, but told to the agent. */
function callFromWire(call: WireCall): ProposedCall {
  const { id, tool } = call;
  if (call.args.trim() === '') return { id, tool, args: {} };
  try {
    return { id, tool, args: jsonFromWire(call.args, { field: 'args', maxBytes: WIRE_LIMITS.messageBytes, code: 'invalid_input' }) };
  } catch {
    return { id, tool, args: null, malformed: textFromWire(call.args, WIRE_LIMITS.malformedChars) };
  }
}

/** The state null is the empty text: nothing was kept. */
export const stateToWire = (state: JsonValue): string => (state === null ? '' : JSON.stringify(state));

export function stateFromWire(text: string, place: { readonly field: string; readonly code: ErrorCode; readonly maxBytes?: number }): JsonValue {
  return text === '' ? null : jsonFromWire(text, { maxBytes: WIRE_LIMITS.messageBytes, ...place });
}
