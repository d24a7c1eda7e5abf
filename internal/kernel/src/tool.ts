import type { JsonObject, JsonValue } from './json.ts';
import { hashJson } from './json.ts';

/**
 * What a tool does to the world. `read` changes nothing; `write` changes something of ours;
 * `egress` sends data out; `destructive` is hard to undo (a block, a delete, a shutdown).
 */
export type ToolEffect = 'read' | 'write' | 'egress' | 'destructive';

export interface ToolSpec {
  readonly name: string;
  readonly version: string;
  readonly description: string;
  /** JSON Schema 2020-12 of the arguments; arguments are validated before the PDP sees them. */
  readonly inputSchema: JsonObject;
  readonly outputSchema?: JsonObject;
  readonly effect: ToolEffect;
  /** May be called again with the same idempotency key without a second effect. */
  readonly idempotent: boolean;
  readonly timeoutMs: number;
  /** Names of the secrets that a call needs; values are injected per call, never stored. */
  readonly secrets?: readonly string[];
  /** Its answers come from outside the enterprise and may carry instructions: they taint the run. */
  readonly untrustedOutput?: boolean;
}

/** R4: may a call whose outcome is unknown be made again unasked? */
export function isRepeatable(spec: Pick<ToolSpec, 'effect' | 'idempotent'>): boolean {
  return spec.effect === 'read' || spec.idempotent;
}

/** A tool call as a runtime proposes it. */
export interface ProposedCall {
  /** The runtime's own id for the call; unique within one think. */
  readonly id: string;
  readonly tool: string;
  readonly args: JsonValue;
  /** Set when the arguments were not JSON: the text as the model wrote it, cut to a few hundred characters. */
  readonly malformed?: string;
}

/** R6: what an approval is bound to. Any other call has another hash. */
export function hashCall(call: {
  readonly tool: string;
  readonly args: JsonValue;
  readonly runId: string;
  readonly stepNo: number;
  readonly policyVersion: string;
}): string {
  return hashJson({ tool: call.tool, args: call.args, run_id: call.runId, step: call.stepNo, policy_version: call.policyVersion });
}

/** The key that a tool sees: the same for every try of the same step, so that a repeat is no second effect. */
export function callIdempotencyKey(runId: string, stepNo: number): string {
  return `${runId}:${stepNo}`;
}
