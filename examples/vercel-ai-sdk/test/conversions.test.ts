import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { AgentRequest, JournalEntry } from '@openeaap/sdk';
import { APICallError, tool } from 'ai';
import { z } from 'zod';
import { hostTool } from '../src/host-tool.ts';
import { ipInNetworks } from '../src/ip-in-networks.ts';
import { toMessages } from '../src/to-messages.ts';
import { toModelError } from '../src/to-model-error.ts';
import { toToolSet } from '../src/to-tool-set.ts';

const think = (no: number, thought: string, ...ids: readonly string[]): JournalEntry => ({ kind: 'think', no, proposal: { thought, calls: ids.map((id) => ({ id, tool: 'lookup', args: {} })), output: null }, error: null, state: null });
const act = (no: number, callId: string, args: Extract<JournalEntry, { kind: 'act' }>['args'], observation: Extract<JournalEntry, { kind: 'act' }>['observation']): JournalEntry => ({ kind: 'act', no, callId, tool: 'lookup', args, status: 'done', observation, thinkNo: 1 });

describe('a journal as messages', () => {
  test('calls that were made together are one message, with what was run, and a message of results', () => {
    const journal = [think(1, 'Both.', 'a', 'b'), act(2, 'a', { ip: 'edited' }, { output: { score: 9 } }), act(3, 'b', null, { error: { code: 'policy_denied', message: 'no' } })];
    assert.deepEqual(toMessages({ input: { ip: '1' }, journal }), [
      { role: 'user', content: '{\n  "ip": "1"\n}' },
      {
        role: 'assistant',
        content: [
          { type: 'text', text: 'Both.' },
          { type: 'tool-call', toolCallId: 'a', toolName: 'lookup', input: { ip: 'edited' } },
          { type: 'tool-call', toolCallId: 'b', toolName: 'lookup', input: {} },
        ],
      },
      {
        role: 'tool',
        content: [
          { type: 'tool-result', toolCallId: 'a', toolName: 'lookup', output: { type: 'json', value: { output: { score: 9 } } } },
          { type: 'tool-result', toolCallId: 'b', toolName: 'lookup', output: { type: 'error-json', value: { error: { code: 'policy_denied', message: 'no' } } } },
        ],
      },
    ]);
  });

  test('a think that failed is a correction, and one that said nothing is left out', () => {
    const failed: JournalEntry = { kind: 'think', no: 1, proposal: null, error: { code: 'model_invalid_output', message: 'The reply was empty.' }, state: null };
    assert.deepEqual(toMessages({ input: 'hi', journal: [failed, think(2, '')] }), [
      { role: 'user', content: 'hi' },
      { role: 'user', content: 'Your last reply could not be used: The reply was empty. Reply again.' },
    ]);
  });
});

test('blocked tools are not offered, and none can be executed', () => {
  const offer = (name: string): AgentRequest['tools'][number] => ({ name, version: '1', description: name, inputSchema: { type: 'object' }, effect: 'read' });
  const tools = toToolSet({ tools: [offer('lookup'), offer('block')], constraints: { blockedTools: ['block'], dryRun: false, maxTokens: 0 } });
  assert.deepEqual(Object.keys(tools), ['lookup']);
  assert.equal(tools['lookup']?.execute, undefined);
});

describe('errors of the model', () => {
  const answered = (statusCode: number | undefined) => new APICallError({ message: 'so it is', url: 'http://127.0.0.1/v1', requestBodyValues: {}, ...(statusCode === undefined ? {} : { statusCode }) });
  for (const [statusCode, code, told] of [
    [undefined, 'model_unavailable', 'cannot be reached'],
    [429, 'model_unavailable', 'answered 429: so it is'],
    [503, 'model_unavailable', 'answered 503'],
    [400, 'model_rejected', 'answered 400'],
    [401, 'model_rejected', 'answered 401'],
  ] as const) {
    test(`${statusCode ?? 'no answer'}: ${code}`, () => {
      const error = toModelError(answered(statusCode)) as { readonly code: string; readonly message: string };
      assert.equal(error.code, code);
      assert.ok(error.message.includes(told), error.message);
    });
  }
});

describe('a tool of the AI SDK', () => {
  const call = { signal: new AbortController().signal, principal: { tenantId: 'default', userId: 'ada', groups: [], clearance: 2 as const }, secrets: {}, idempotencyKey: 'k', runId: 'r', stepId: 's', stepNo: 1, agentId: 'a', dryRun: false, traceContext: {}, addLineage: () => undefined };
  const hosted = hostTool('ip_in_networks', ipInNetworks, { effect: 'read' });

  test('is offered with its schema and the effect that is said beside it', () => {
    assert.equal(hosted.spec.effect, 'read');
    assert.deepEqual(hosted.spec.inputSchema['required'], ['ip', 'networks']);
  });

  test('answers, for either family', () => {
    assert.deepEqual(hosted.run({ ip: '10.1.2.3', networks: ['10.0.0.0/8', '10.1.0.0/16', '192.168.0.0/16', 'fd00::/8'] }, call), { ip: '10.1.2.3', inside: ['10.0.0.0/8', '10.1.0.0/16'] });
    assert.deepEqual(hosted.run({ ip: 'fd00::1', networks: ['10.0.0.0/8', 'fd00::/8'] }, call), { ip: 'fd00::1', inside: ['fd00::/8'] });
  });

  for (const [args, field] of [
    [{ ip: 'web-01', networks: ['10.0.0.0/8'] }, 'ip: "web-01"'],
    [{ ip: '10.0.0.1', networks: ['10.0.0.0/33'] }, 'networks: "10.0.0.0/33"'],
    [{ ip: '10.0.0.1', networks: ['10.0.0.0'] }, 'networks: "10.0.0.0"'],
  ] as const) {
    test(`names what it cannot use: ${field}`, () => assert.throws(() => hosted.run(args, call), (error: Error) => error.name === 'ToolError' && error.message.includes(field)));
  }

  test('without execute or zod cannot be hosted, and the error says so', () => {
    assert.throws(() => hostTool('x', tool({ inputSchema: z.object({}) }), { effect: 'read' }), /"x" has no execute/);
  });
});
