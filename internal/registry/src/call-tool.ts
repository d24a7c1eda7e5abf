import type { ToolContext, ToolInvocation, ToolOutcome } from '@openeaap/adapter';
import type { JsonValue, LineageRef, ToolSpec } from '@openeaap/kernel';
import { LIMITS, PlatformError, linkSignals, toPlatformError, unlessAborted } from '@openeaap/kernel';
import { limitOutput } from './limit-output.ts';
import { scrubSecrets, scrubText } from './scrub-secrets.ts';
import type { ArgumentCheck } from './validate-arguments.ts';

/** A tool as the registry has it: whose it is, and how it is called. */
export interface ToolEntry {
  readonly spec: ToolSpec;
  readonly plugin: string;
  readonly check: ArgumentCheck;
  readonly secrets: readonly string[];
  /** How long a call may wait for a copy before it is sent; its own time begins then. */
  readonly waitMs: number;
  readonly call: (invocation: ToolInvocation, context: ToolContext) => Promise<ToolOutcome>;
}

/**
 * One call, with the tool's own time, a bounded result, and none of its secrets in what comes back. Errors: those of
 * `Registry.call`.
 */
export async function callTool(entry: ToolEntry, invocation: ToolInvocation, context: ToolContext): Promise<ToolOutcome> {
  const timeoutMs = timeoutOf(entry.spec);
  const { signal, timedOut, release } = linkSignals([context.signal], timeoutMs + entry.waitMs);
  try {
    const outcome = await unlessAborted(signal, entry.call(invocation, { ...context, signal }), stopped);
    // Cleaned before it is cut: half a secret would not be found.
    const output = limitOutput(scrubSecrets(outcome.output, context.secrets), LIMITS.toolResultBytes);
    return outcome.lineage === undefined ? { output } : { output, lineage: scrubSecrets(outcome.lineage as unknown as JsonValue, context.secrets) as unknown as readonly LineageRef[] };
  } catch (thrown) {
    if (thrown instanceof PlatformError && thrown.details['sent'] === false) throw scrubbed(thrown, context.secrets);
    if (context.signal.aborted) throw new PlatformError('cancelled', `The call of ${entry.spec.name} was stopped.`, { cause: thrown });
    if (timedOut()) throw new PlatformError('tool_timeout', `The tool ${entry.spec.name} did not answer within ${timeoutMs} ms.`, { cause: thrown });
    if (thrown instanceof PlatformError) throw scrubbed(thrown, context.secrets);
    // A tool that breaks in the middle has not said whether it had its effect: only a read has certainly failed.
    throw entry.spec.effect === 'read' ? toPlatformError(thrown, 'tool_failed') : new PlatformError('internal', `The tool ${entry.spec.name} broke off.`, { cause: thrown });
  } finally {
    release();
  }
}

/** A tool may put what it was given into its complaint. */
const scrubbed = (error: PlatformError, secrets: Readonly<Record<string, string>>): PlatformError =>
  Object.keys(secrets).length === 0 ? error : new PlatformError(error.code, scrubText(error.message, secrets), { details: error.details, cause: error.cause });

/** A tool that ignores its signal must not hold the run. */
const stopped = (): PlatformError => new PlatformError('cancelled', 'The call was stopped.');

export const timeoutOf = (spec: ToolSpec): number => Math.min(spec.timeoutMs, LIMITS.toolTimeoutCeilingMs);
