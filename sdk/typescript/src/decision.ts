import type { JsonValue } from '@openeaap/kernel';

/** What a think leads to: made by `finish`, `call`, `calls` or `reflect`. */
export interface Decision {
  readonly thought: string;
  readonly calls: readonly CallProposal[];
  /** null: the run goes on. */
  readonly output: JsonValue | null;
  /** What the agent wants to find again as `request.state`; small. */
  readonly state: unknown;
}

export interface CallProposal {
  readonly tool: string;
  readonly args?: unknown;
  /** Unique within the think; made when left out. */
  readonly id?: string;
}

export interface DecisionOptions {
  /** Why, for people. */
  readonly thought?: string;
  readonly state?: unknown;
}

/** Ends the run. The output may be any JSON but null, which would not end it. */
export function finish(output: unknown, options: DecisionOptions = {}): Decision {
  return { thought: options.thought ?? '', calls: [], output: output as JsonValue, state: options.state ?? null };
}

/** Proposes one call. Its observation is in the journal of the next think. */
export function call(tool: string, args: unknown = {}, options: DecisionOptions & { readonly id?: string } = {}): Decision {
  const { id, ...rest } = options;
  return calls([id === undefined ? { tool, args } : { tool, args, id }], rest);
}

/** Proposes several calls, which are made together. */
export function calls(proposed: readonly CallProposal[], options: DecisionOptions = {}): Decision {
  return { thought: options.thought ?? '', calls: proposed, output: null, state: options.state ?? null };
}

/** Neither calls nor ends: writes a thought down and is asked again. */
export function reflect(thought: string, options: Pick<DecisionOptions, 'state'> = {}): Decision {
  return { thought, calls: [], output: null, state: options.state ?? null };
}
