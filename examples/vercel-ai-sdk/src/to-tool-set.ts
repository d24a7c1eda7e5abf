import type { AgentRequest } from '@openeaap/sdk';
import { jsonSchema, tool } from 'ai';
import type { ToolSet } from 'ai';

/** The tools that may be proposed, without `execute`: the AI SDK ends its step at a call and hands it back. */
export function toToolSet({ tools, constraints }: Pick<AgentRequest, 'tools' | 'constraints'>): ToolSet {
  const offered = tools.filter(({ name }) => !constraints.blockedTools.includes(name));
  return Object.fromEntries(offered.map(({ name, description, inputSchema }) => [name, tool({ description, inputSchema: jsonSchema(inputSchema) })]));
}
