import { describe, expect, test } from 'vitest';
import type { JsonValue, ToolSpec } from '@openeaap/kernel';
import { LIMITS, PlatformError, toPlatformError } from '@openeaap/kernel';
import { ErrorCode, ExecuteStepRequest, ExecuteStepResponse, HandshakeResponse } from '@openeaap/proto';
import type { DeepPartial, ToolEffect } from '@openeaap/proto';
import type { ThinkResponse } from '../runtime.ts';
import { NOTHING_CHANGED, errorFromWire, errorToWire } from './error-wire.ts';
import { agreeOnVersion, offerFromWire, offerToWire } from './offer-wire.ts';
import { thinkFromWire, thinkResponseToWire } from './think-wire.ts';
import { toolInvocationFromWire, toolOutcomeFromWire, toolOutcomeToWire, toolToWire } from './tool-wire.ts';
import { WIRE_LIMITS } from './wire-limits.ts';

/** Over the bytes: what the other side decodes is what counts. */
const sent = (response: ExecuteStepResponse): ExecuteStepResponse => ExecuteStepResponse.decode(ExecuteStepResponse.encode(response).finish());
const answer = (response: DeepPartial<ExecuteStepResponse>): ExecuteStepResponse => sent(ExecuteStepResponse.fromPartial(response));
const offered = (response: DeepPartial<HandshakeResponse>) => offerFromWire(HandshakeResponse.fromPartial({ name: 'p', version: '1.2.3', ...response }));

function errorOf(work: () => unknown): PlatformError {
  try {
    work();
  } catch (thrown) {
    return toPlatformError(thrown);
  }
  throw new Error('nothing was thrown');
}

const nested = (levels: number): string => '['.repeat(levels) + ']'.repeat(levels);

describe('the answer to a think', () => {
  test.each<[string, Partial<ThinkResponse>]>([
    ['calls', { proposal: { thought: 'look', calls: [{ id: 'a', tool: 't', args: { q: 'ü\u2028', n: [1, null, true] } }, { id: 'b', tool: 't', args: {} }], output: null } }],
    ['an output', { proposal: { thought: '', calls: [], output: { deep: ['x'] } } }],
    ['a falsy output', { proposal: { thought: '', calls: [], output: false } }],
    ['an empty text', { proposal: { thought: '', calls: [], output: '' } }],
    ['a state', { strategyState: { phase: 'rate', paths: [['a'], []] } }],
    ['a claim', { auditLogs: [{ id: '1', tool: 'x', input: { a: 1 }, output: 'y', status: 'done', started_at_unix_ms: 1_700_000_000_000, duration_ms: 12 }] }],
    ['an estimate', { metadata: { usage: { promptTokens: 1, completionTokens: 2, costUsdMicros: 3, estimated: true }, backend: 'b' } }],
    ['malformed arguments', { proposal: { thought: '', calls: [{ id: 'a', tool: 't', args: null, malformed: '{"q": ' }], output: null } }],
  ])('%s comes through as it was', (_name, part) => {
    const response: ThinkResponse = { proposal: { thought: 'hm', calls: [], output: null }, strategyState: null, auditLogs: [], metadata: { usage: { promptTokens: 0, completionTokens: 0, costUsdMicros: 0 }, backend: '' }, ...part };
    expect(thinkFromWire(sent(thinkResponseToWire(response)))).toEqual(response);
  });

  test('arguments that are no JSON are told to the agent, cut; none are an empty object', () => {
    const calls = [{ id: 'a', tool: 't', args: `{"q": ${'x'.repeat(1_000)}` }, { id: 'b', tool: 't', args: ' ' }, { id: 'c', tool: 't', args: nested(5_000) }];
    const { proposal } = thinkFromWire(answer({ proposal: { thought: '', calls } }));
    expect(proposal.calls[0]).toMatchObject({ args: null });
    expect(proposal.calls[0]?.malformed).toHaveLength(WIRE_LIMITS.malformedChars);
    expect(proposal.calls[1]).toEqual({ id: 'b', tool: 't', args: {} });
    expect(proposal.calls[2]).toMatchObject({ args: null, malformed: expect.stringMatching(/^\[+$/) });
  });

  test.each<[string, DeepPartial<ExecuteStepResponse>, RegExp]>([
    ['nothing', {}, /^proposal is not set, and neither is error/],
    ['an output that is no JSON', { proposal: { output: 'All is well' } }, /^proposal\.output is not JSON.*quotes/],
    ['an output of nothing', { proposal: { output: '' } }, /^proposal\.output is not JSON/],
    ['null as the output', { proposal: { output: 'null' } }, /^proposal\.output is null.*unset/],
    ['a huge output', { proposal: { output: JSON.stringify('x'.repeat(LIMITS.modelReplyBytes)) } }, /^proposal\.output has \d+ bytes; at most/],
    ['an output that is too deep to be written again', { proposal: { output: nested(100_000) } }, /^proposal\.output is nested deeper than/],
    ['too many calls', { proposal: { calls: Array.from({ length: LIMITS.toolCallsPerThink + 1 }, (_, n) => ({ id: `${n}`, tool: 't', args: '{}' })) } }, /^proposal\.calls has 17 entries; at most 16/],
    ['huge arguments', { proposal: { calls: [{ id: 'a', tool: 't', args: `"${'x'.repeat(LIMITS.modelReplyBytes)}"` }] } }, /^proposal has \d+ bytes of thought and arguments/],
    ['a state that is no JSON', { proposal: {}, strategyState: '{' }, /^strategy_state is not JSON/],
    ['a huge state', { proposal: {}, strategyState: JSON.stringify('x'.repeat(WIRE_LIMITS.strategyStateBytes)) }, /^strategy_state has \d+ bytes/],
  ])('%s cannot be used, and the runtime is told why', (_name, response, message) => {
    expect(errorOf(() => thinkFromWire(answer(response)))).toMatchObject({ code: 'model_invalid_output', message: expect.stringMatching(message) });
  });

  test('claims and costs are cut and never trusted', () => {
    const auditLogs = Array.from({ length: 40 }, () => ({ id: 'x'.repeat(999), tool: '\0t', inputPayload: 'no JSON', outputPayload: JSON.stringify('y'.repeat(99_999)), startedAtUnixMs: 1, durationMs: 1 }));
    const { auditLogs: kept, metadata } = thinkFromWire(answer({ proposal: { thought: 'x' }, auditLogs, metadata: { prompt_tokens: '-5', completion_tokens: '1e999', model: 'm'.repeat(999), cost_usd_micros: 'NaN' } }));
    expect(kept).toHaveLength(LIMITS.toolCallsPerThink);
    expect(kept[0]).toMatchObject({ tool: 't', input: 'no JSON' });
    expect(JSON.stringify(kept).length).toBeLessThan(LIMITS.toolCallsPerThink * 4_000);
    expect(metadata).toEqual({ usage: { promptTokens: 0, completionTokens: 0, costUsdMicros: 0 }, backend: 'm'.repeat(WIRE_LIMITS.nameChars) });
  });

  test('what no store can hold is taken out of a state, in keys as in values', () => {
    expect(thinkFromWire(answer({ proposal: { thought: 'x' }, strategyState: '{"a\\u0000":"b\\ud800c","n":[1]}' })).strategyState).toEqual({ a: 'bc', n: [1] });
  });
});

describe('the answer to a call', () => {
  test.each<[JsonValue]>([[{ a: [1, 'ü'] }], [null], ['text'], [0]])('%j comes through', (output) => {
    expect(toolOutcomeFromWire(sent(toolOutcomeToWire({ output })))).toEqual({ output });
  });

  test('lineage comes through, cut; a score that is no number is none', () => {
    const ref = { chunkId: 'c', title: 't', source: 's', score: 0.5 };
    expect(toolOutcomeFromWire(sent(toolOutcomeToWire({ output: 1, lineage: [ref] })))).toEqual({ output: 1, lineage: [ref] });
    const { lineage = [] } = toolOutcomeFromWire(answer({ outputPayload: '1', lineage: Array.from({ length: 500 }, () => ({ ...ref, title: 'x'.repeat(9_999), score: Number.NaN })) }));
    expect(lineage).toHaveLength(WIRE_LIMITS.lineageRefs);
    expect(lineage[0]).toEqual({ ...ref, title: 'x'.repeat(WIRE_LIMITS.nameChars), score: 0 });
  });

  test.each([
    ['no JSON', 'done', /^output_payload is not JSON/],
    ['more than a tool may send', JSON.stringify('x'.repeat(LIMITS.toolResponseBytes)), /^output_payload has \d+ bytes; at most 4194304/],
    ['too deep', nested(100_000), /^output_payload is nested deeper/],
  ])('%s leaves open what the call changed', (_name, outputPayload, message) => {
    expect(errorOf(() => toolOutcomeFromWire(answer({ outputPayload })))).toMatchObject({ code: 'internal', message: expect.stringMatching(message) });
  });
});

describe('a call, as the plugin gets it', () => {
  const invocation = { tool: 'block', args: { host: 'h' }, idempotencyKey: 'r:2', runId: 'r', stepId: 's', stepNo: 2, agentId: 'a', dryRun: true };
  const context = { principal: { tenantId: 't', userId: 'u', groups: ['g'], clearance: 2 as const }, secrets: { KEY: 'v' }, traceContext: { traceparent: '00-1' } };

  test('is what was sent', () => {
    const bytes = ExecuteStepRequest.encode(toolToWire(invocation, context)).finish();
    expect(toolInvocationFromWire(ExecuteStepRequest.decode(bytes))).toEqual({ invocation, context });
  });

  test.each([['[]', /must be a JSON object/], ['', /is not JSON/], ['{', /is not JSON/]])('with the arguments %j it is refused', (inputPayload, message) => {
    expect(errorOf(() => toolInvocationFromWire(ExecuteStepRequest.fromPartial({ inputPayload })))).toMatchObject({ code: 'invalid_input', message: expect.stringMatching(message) });
  });

  test('a clearance that nobody named, or nobody knows, opens only what is public', () => {
    for (const clearance of [0, 4, 99]) {
      expect(toolInvocationFromWire(ExecuteStepRequest.fromPartial({ inputPayload: '{}', principal: { clearance } })).context.principal.clearance).toBe(1);
    }
    expect(toolInvocationFromWire(ExecuteStepRequest.fromPartial({ inputPayload: '{}' })).context.principal).toMatchObject({ userId: '', clearance: 1 });
  });
});

describe('errors', () => {
  test.each([
    [ErrorCode.ERROR_CODE_INVALID_INPUT, 'invalid_input', 'invalid_input'],
    [ErrorCode.ERROR_CODE_TOOL_FAILED, 'tool_failed', 'tool_failed'],
    [ErrorCode.ERROR_CODE_TOOL_UNAVAILABLE, 'tool_unavailable', 'tool_unavailable'],
    [ErrorCode.ERROR_CODE_MODEL_UNAVAILABLE, 'model_unavailable', 'internal'],
    [ErrorCode.ERROR_CODE_MODEL_INVALID_OUTPUT, 'model_invalid_output', 'internal'],
    [ErrorCode.ERROR_CODE_MODEL_REJECTED, 'model_rejected', 'internal'],
    [ErrorCode.ERROR_CODE_CANCELLED, 'cancelled', 'cancelled'],
    [ErrorCode.ERROR_CODE_CONSTRAINT_VIOLATED, 'policy_denied', 'policy_denied'],
    [ErrorCode.ERROR_CODE_OVERLOADED, 'unavailable', 'unavailable'],
    [ErrorCode.ERROR_CODE_INTERNAL, 'internal', 'internal'],
    [ErrorCode.ERROR_CODE_UNSPECIFIED, 'internal', 'internal'],
    [99, 'internal', 'internal'],
  ])('%i is %s of a think and %s of a tool; nothing else of the answer counts', (code, think, tool) => {
    const response = answer({ error: { code, message: 'why' }, proposal: { output: '1' }, outputPayload: '1' });
    expect(errorOf(() => thinkFromWire(response))).toMatchObject({ code: think, message: 'why' });
    expect(errorOf(() => toolOutcomeFromWire(response))).toMatchObject({ code: tool, message: 'why' });
  });

  test('a tool that says that nothing was changed may be tried again, whatever the code', () => {
    for (const code of [ErrorCode.ERROR_CODE_OVERLOADED, ErrorCode.ERROR_CODE_INTERNAL, ErrorCode.ERROR_CODE_TOOL_FAILED]) {
      expect(errorFromWire({ code, message: 'x', retryable: true }, 'tool')).toMatchObject({ code: 'tool_unavailable', retryable: true, details: { [NOTHING_CHANGED]: true } });
    }
    expect(errorFromWire({ code: ErrorCode.ERROR_CODE_INTERNAL, message: 'x', retryable: true }, 'think')).toMatchObject({ code: 'unavailable', retryable: true });
  });

  test('messages are cut; none is not shown as nothing', () => {
    expect(errorFromWire({ code: ErrorCode.ERROR_CODE_INTERNAL, message: `${'x'.repeat(99_999)}\0`, retryable: false }, 'tool').message).toHaveLength(WIRE_LIMITS.errorMessageChars);
    expect(errorFromWire({ code: ErrorCode.ERROR_CODE_TOOL_FAILED, message: ' ', retryable: false }, 'tool').message).toBe('The plugin gave no reason (tool_failed).');
  });

  test('what is no PlatformError leaves with nothing of its own', () => {
    expect(errorToWire(new Error('password=hunter2'), 'tool').error).toEqual({ code: ErrorCode.ERROR_CODE_INTERNAL, message: 'Something unexpected happened inside the platform.', retryable: false });
    expect(errorToWire('a text', 'think').error?.message).not.toContain('a text');
  });

  test('a tool that cannot be reached does not say by that alone that nothing was changed', () => {
    expect(errorToWire(new PlatformError('tool_unavailable', 'down'), 'tool').error).toMatchObject({ code: ErrorCode.ERROR_CODE_TOOL_UNAVAILABLE, retryable: false });
    expect(errorToWire(new PlatformError('tool_unavailable', 'down', { details: { [NOTHING_CHANGED]: true } }), 'tool').error).toMatchObject({ retryable: true });
    expect(errorToWire(new PlatformError('model_unavailable', 'down'), 'think').error).toMatchObject({ code: ErrorCode.ERROR_CODE_MODEL_UNAVAILABLE, retryable: true });
  });
});

describe('an offer', () => {
  const tool: ToolSpec = { name: 'look_up', version: '2', description: 'Looks up.', inputSchema: { type: 'object', properties: { q: { type: 'string' } } }, outputSchema: { type: 'string' }, effect: 'egress', idempotent: true, timeoutMs: 5_000, secrets: ['KEY'], untrustedOutput: true };
  const offer = { name: 'p', version: '1.2.3', sdk: { language: 'typescript', version: '0.1.0' }, tools: [tool], agents: [{ name: 'a', description: 'b', reasoningModes: ['react' as const] }], streaming: true, maxMessageBytes: 33_554_432, maxConcurrentSteps: 4 };

  test('comes through as it was', () => {
    expect(offerFromWire(HandshakeResponse.decode(HandshakeResponse.encode(offerToWire(offer, 1)).finish()))).toEqual(offer);
  });

  test('what is not said has the meaning that the protocol gives it', () => {
    expect(offered({ tools: [{ name: 't' }] })).toEqual({
      name: 'p', version: '1.2.3', sdk: { language: '', version: '' }, agents: [], streaming: false, maxMessageBytes: 4_194_304, maxConcurrentSteps: 0,
      tools: [{ name: 't', version: '1.2.3', description: '', inputSchema: { type: 'object', properties: {}, additionalProperties: false }, effect: 'write', idempotent: false, timeoutMs: 30_000 }],
    });
  });

  test('reasoning modes that nobody here knows are not offered', () => {
    expect(offered({ agents: [{ name: 'a', reasoningModes: ['future', 'tot', 'cot'] }] }).agents[0]?.reasoningModes).toEqual(['cot', 'tot']);
  });

  test.each<[DeepPartial<HandshakeResponse>, RegExp]>([
    [{ name: '' }, /^name of the plugin/],
    [{ version: 'x'.repeat(65) }, /^version of the plugin/],
    [{ tools: Array.from({ length: 513 }, (_, n) => ({ name: `t${n}` })) }, /^tools has 513 entries; at most 512/],
    [{ agents: Array.from({ length: 129 }, (_, n) => ({ name: `t${n}` })) }, /^agents has 129 entries; at most 128/],
    [{ tools: [{ name: 'a b' }] }, /"a b" cannot be used: use 1 to 64 letters/],
    [{ tools: [{ name: 'x'.repeat(65) }] }, /cannot be used/],
    [{ tools: [{ name: '' }] }, /"" cannot be used/],
    [{ tools: [{ name: 't' }, { name: 't' }] }, /two tools called "t"\. Rename/],
    [{ agents: [{ name: 't' }, { name: 't' }] }, /two agents called "t"\. Rename/],
    [{ agents: [{ name: 'ü' }] }, /"ü" cannot be used/],
    [{ tools: [{ name: 't', timeoutMs: 600_001 }] }, /Tool "t": timeout_ms is 600001; at most 600000/],
    [{ tools: [{ name: 't', effect: 9 as ToolEffect }] }, /Tool "t": effect is 9/],
    [{ tools: [{ name: 't', inputSchema: '{' }] }, /Tool "t": input_schema is not JSON/],
    [{ tools: [{ name: 't', inputSchema: '[]' }] }, /Tool "t": input_schema must be a JSON object/],
    [{ tools: [{ name: 't', inputSchema: 'true' }] }, /Tool "t": input_schema must be a JSON object/],
    [{ tools: [{ name: 't', inputSchema: '{"type":"string"}' }] }, /Tool "t": input_schema must describe an object/],
    [{ tools: [{ name: 't', inputSchema: JSON.stringify({ x: 'y'.repeat(WIRE_LIMITS.schemaBytes) }) }] }, /Tool "t": input_schema has \d+ bytes/],
    [{ tools: [{ name: 't', outputSchema: '1' }] }, /Tool "t": output_schema must be/],
    [{ tools: [{ name: 't', description: 'x'.repeat(9_000) }] }, /Tool "t": description has more than/],
    [{ tools: [{ name: 't', secrets: ['A-B'] }] }, /Tool "t": secrets has the name "A-B"/],
    [{ tools: [{ name: 't', secrets: ['openeaap_model_token'] }] }, /Tool "t": secrets.*the platform's own/],
    [{ tools: [{ name: 't', secrets: Array.from({ length: 33 }, (_, n) => `S${n}`) }] }, /Tool "t": secrets has more than 32/],
  ])('%j is refused with what is wrong', (response, message) => {
    expect(errorOf(() => offered(response))).toMatchObject({ code: 'invalid_input', message: expect.stringMatching(message) });
  });
});

test('the highest version that both speak is spoken, or none', () => {
  expect(agreeOnVersion([1], [1, 2])).toBe(1);
  expect(agreeOnVersion([1, 2, 3], [3, 2, 9])).toBe(3);
  expect(agreeOnVersion([1], [2])).toBe(0);
  expect(agreeOnVersion([1], [])).toBe(0);
});
