import type { ActStep, ErrorCode, PlatformError } from '@openeaap/kernel';
import type { ToolPort } from './port.ts';

/** Codes after which nobody can say whether the world has changed. */
const UNKNOWN: ReadonlySet<ErrorCode> = new Set(['tool_timeout', 'tool_unavailable', 'unavailable', 'cancelled', 'internal']);

/** May a call that ended with this code have had its effect all the same? */
export const mayHaveHappened = (code: ErrorCode): boolean => UNKNOWN.has(code);

/** The registry knows that the tool never saw the call: nothing can have happened, whatever the code. */
export const wasNotSent = (error: PlatformError): boolean => error.details['sent'] === false;

/** A read changes nothing, so its outcome never matters; what is not known is taken for an effect. */
export const hasEffect = (tool: string, tools: Pick<ToolPort, 'find'>): boolean => tools.find(tool)?.effect !== 'read';

/** The act is over and may have changed the world: people are told. */
export function isUncertain(act: ActStep, tools: Pick<ToolPort, 'find'>): boolean {
  const code = act.error?.code;
  if (act.status !== 'failed' || act.attempts === 0 || code === undefined) return false;
  return (mayHaveHappened(code) || code === 'approval_expired') && hasEffect(act.tool, tools);
}
