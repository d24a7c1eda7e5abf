import type { ToolAdapter, ToolContext, ToolInvocation, ToolOutcome } from '@openeaap/adapter';
import type { LineageRef } from '@openeaap/kernel';
import { PlatformError } from '@openeaap/kernel';
import { toJson } from './to-json.ts';
import type { Tool, ToolCallContext } from './tool.ts';
import { ToolError, ConstraintViolated, toStepError } from './tool-error.ts';

/** Tools as the platform's adapter. */
export function createToolPack(name: string, version: string, tools: readonly Tool[]): ToolAdapter {
  const byName = new Map(tools.map((tool) => [tool.spec.name, tool]));
  return {
    handshake: async () => ({ name, version, tools: tools.map(({ spec }) => spec) }),
    healthCheck: async () => ({ serving: true, detail: '' }),
    call: async (invocation, context) => {
      const tool = byName.get(invocation.tool);
      if (tool === undefined) throw new PlatformError('not_found', `There is no tool "${invocation.tool}".`);
      try {
        return await callTool(tool, invocation, context);
      } catch (thrown) {
        throw toStepError(thrown, `The tool "${invocation.tool}"`);
      }
    },
  };
}

async function callTool(tool: Tool, invocation: ToolInvocation, context: ToolContext): Promise<ToolOutcome> {
  const { spec } = tool;
  const missing = (spec.secrets ?? []).find((name) => (context.secrets[name] ?? '') === '');
  if (missing !== undefined) throw new ToolError(`The secret ${missing} was not sent. Whoever runs the control plane must configure it for this plugin.`);
  const run = invocation.dryRun && spec.effect !== 'read' ? tool.dryRun : tool.run;
  if (run === null) throw new ConstraintViolated(`The tool "${spec.name}" has an effect and cannot say what it would do, so it does nothing in a dry run.`);
  const args = await tool.parse(invocation.args);
  const lineage: LineageRef[] = [];
  const output = toJson(await run(args, toCallContext(invocation, context, lineage)), `The result of the tool "${spec.name}"`);
  return lineage.length === 0 ? { output } : { output, lineage };
}

function toCallContext(invocation: ToolInvocation, context: ToolContext, lineage: LineageRef[]): ToolCallContext {
  const { args: _args, tool: _tool, ...step } = invocation;
  return { ...step, ...context, addLineage: (ref) => void lineage.push(ref) };
}
