import { tool } from '@openeaap/sdk';
import type { Tool as HostedTool, ToolDefinition } from '@openeaap/sdk';
import type { Tool } from 'ai';
import { z } from 'zod';

type Governance = Pick<ToolDefinition<z.ZodType>, 'effect' | 'idempotent' | 'timeoutMs' | 'untrustedOutput'>;

/**
 * A tool of the AI SDK as a tool of the platform, which makes its calls as steps of their own. What the AI SDK does not
 * know is said beside it: above all the effect, by which policies and approvals go.
 */
export function hostTool<Input, Output>(name: string, { description = '', inputSchema, execute }: Tool<Input, Output>, governance: Governance): HostedTool {
  if (execute === undefined) throw new TypeError(`The tool "${name}" has no execute: there is nothing to host.`);
  if (!(inputSchema instanceof z.ZodType)) throw new TypeError(`The tool "${name}": write its inputSchema with zod.`);
  return tool({
    name,
    description,
    input: inputSchema,
    ...governance,
    run: (args, { stepId, signal }) => execute(args as Input, { toolCallId: stepId, messages: [], abortSignal: signal }),
  });
}
