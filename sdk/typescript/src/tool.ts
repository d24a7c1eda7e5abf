import type { LineageRef, Principal, ToolEffect, ToolSpec } from '@openeaap/kernel';
import { LIMITS } from '@openeaap/kernel';
import type { InferInput, InputSchema, ReadInput } from './input-schema.ts';
import { readInputSchema } from './input-schema.ts';

export interface ToolDefinition<S extends InputSchema> {
  /** Unique in the installation; letters, digits, `_` and `-`, at most 64. */
  readonly name: string;
  /** For the model: what the tool does and when to use it. */
  readonly description: string;
  readonly version?: string;
  /** JSON Schema, TypeBox, zod 4 or any Standard Schema of an object. Left out: the tool takes no arguments. */
  readonly input?: S;
  /** `read` changes nothing; `write` changes something of yours; `egress` sends data out; `destructive` is hard to undo. Default `write`. */
  readonly effect?: ToolEffect;
  /** A second call with the same `idempotencyKey` has no second effect. Only then (or when it reads) is a call of unknown outcome made again. */
  readonly idempotent?: boolean;
  /** Deadline of a call; default 30 s. */
  readonly timeoutMs?: number;
  /** Names of the secrets that a call needs; they arrive in `context.secrets` and nowhere else. */
  readonly secrets?: readonly string[];
  /** The results come from outside of the enterprise and may carry instructions. */
  readonly untrustedOutput?: boolean;
  /** Makes one call. What it returns must be JSON; `undefined` is null. Throw ToolError or ToolUnavailable to say what went wrong. */
  readonly run: (args: InferInput<S>, context: ToolCallContext) => unknown;
  /** Says what a call would do, without doing it. Without it a dry run of a tool with an effect is refused. */
  readonly dryRun?: (args: InferInput<S>, context: ToolCallContext) => unknown;
}

export interface ToolCallContext {
  /** Aborts when nobody waits for the answer any more: pass it on to everything that waits. */
  readonly signal: AbortSignal;
  /** On whose behalf. */
  readonly principal: Principal;
  /** The secrets that the tool names. Never return, keep or log them. */
  readonly secrets: Readonly<Record<string, string>>;
  /** The same for each try of one call: pass it on to the product that does the work. */
  readonly idempotencyKey: string;
  readonly runId: string;
  readonly stepId: string;
  readonly stepNo: number;
  readonly agentId: string;
  readonly dryRun: boolean;
  /** W3C headers to pass on. */
  readonly traceContext: Readonly<Record<string, string>>;
  /** Says what knowledge the result is made from. */
  readonly addLineage: (ref: LineageRef) => void;
}

/** A tool, ready to be served. */
export interface Tool {
  readonly spec: ToolSpec;
  readonly parse: ReadInput['parse'];
  readonly run: (args: unknown, context: ToolCallContext) => unknown;
  readonly dryRun: ((args: unknown, context: ToolCallContext) => unknown) | null;
}

const NO_ARGUMENTS = { type: 'object', properties: {}, additionalProperties: false } as const;

/** Errors: PlatformError `invalid_input` for a schema that cannot be used. Names and sizes are checked by `serve`. */
export function tool<const S extends InputSchema = typeof NO_ARGUMENTS>(definition: ToolDefinition<S>): Tool {
  const { name, description, version = '', input = NO_ARGUMENTS, effect = 'write', idempotent = false, timeoutMs = LIMITS.toolTimeoutMs, secrets, untrustedOutput, run, dryRun } = definition;
  const { jsonSchema, parse } = readInputSchema(name, input);
  return {
    spec: {
      name,
      version,
      description,
      inputSchema: jsonSchema,
      effect,
      idempotent,
      timeoutMs,
      ...(secrets === undefined ? {} : { secrets }),
      ...(untrustedOutput === undefined ? {} : { untrustedOutput }),
    },
    parse,
    // The schema is what makes the arguments so: here the type is taken at its word.
    run: run as Tool['run'],
    dryRun: (dryRun ?? null) as Tool['dryRun'],
  };
}
