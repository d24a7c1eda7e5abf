import type { JsonObject, JsonValue, ToolSpec } from '@openeaap/kernel';
import type { ToolAdapter, ToolContext, ToolInvocation } from '@openeaap/adapter';

export interface ToolCallSeen {
  readonly tool: string;
  readonly args: JsonObject;
  readonly key: string;
  readonly runId: string;
}

export type ToolHandler = (invocation: ToolInvocation, context: ToolContext) => Promise<JsonValue>;

/** Tools whose behaviour a test decides and whose real effects it can count. */
export interface ScriptedTools {
  readonly adapter: ToolAdapter;
  /** Every call that reached a tool, in order. */
  readonly calls: ToolCallSeen[];
  readonly on: (tool: string, handler: ToolHandler) => void;
  readonly callsOf: (tool: string) => readonly ToolCallSeen[];
}

const ANYTHING: JsonObject = { type: 'object' };
const IP: JsonObject = { type: 'object', properties: { ip: { type: 'string' } }, required: ['ip'], additionalProperties: false };

const spec = (name: string, rest: Pick<ToolSpec, 'effect' | 'idempotent'> & Partial<ToolSpec>): ToolSpec => ({
  name,
  version: '1.0.0',
  description: `The test's ${name}.`,
  inputSchema: ANYTHING,
  timeoutMs: 5_000,
  ...rest,
});

export const TOOL_SPECS: readonly ToolSpec[] = [
  spec('look_up', { effect: 'read', idempotent: true }),
  spec('read_web', { effect: 'read', idempotent: true, untrustedOutput: true }),
  spec('put_ticket', { effect: 'write', idempotent: true }),
  spec('block_ip', { effect: 'destructive', idempotent: false, inputSchema: IP }),
  spec('wipe_host', { effect: 'destructive', idempotent: false }),
  spec('slow_read', { effect: 'read', idempotent: true, timeoutMs: 30 }),
  spec('slow_block', { effect: 'destructive', idempotent: false, timeoutMs: 30 }),
];

export function createScriptedTools(): ScriptedTools {
  const handlers = new Map<string, ToolHandler>();
  const calls: ToolCallSeen[] = [];
  return {
    calls,
    on: (tool, handler) => handlers.set(tool, handler),
    callsOf: (tool) => calls.filter((call) => call.tool === tool),
    adapter: {
      handshake: async () => ({ name: 'scripted', version: '1.0.0', tools: TOOL_SPECS }),
      healthCheck: async () => ({ serving: true, detail: '' }),
      call: async (invocation, context) => {
        calls.push({ tool: invocation.tool, args: invocation.args, key: invocation.idempotencyKey, runId: invocation.runId });
        const handler = handlers.get(invocation.tool);
        return { output: handler === undefined ? { ok: true } : await handler(invocation, context) };
      },
    },
  };
}
