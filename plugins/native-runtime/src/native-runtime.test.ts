import { describe, expect, test } from 'vitest';
import type { ChatRequest } from '@openeaap/kernel';
import { PlatformError, REASONING_MODES } from '@openeaap/kernel';
import { MODEL_CREDENTIAL, createNativeRuntime } from './native-runtime.ts';
import { aReply, aRequest } from './testing/fixtures.ts';

describe('the native runtime', () => {
  test.each([
    ['react', 'native', 'tools'],
    ['react', 'text', 'stop'],
    ['cot', 'native', null],
    ['tot', 'native', null],
  ] as const)('%s by %s asks once through the gateway, with the credential of the step, and passes signal and deltas on', async (reasoning, toolCalling, mark) => {
    const asked: ChatRequest[] = [];
    const deltas: string[] = [];
    const { signal } = new AbortController();
    const runtime = createNativeRuntime({
      version: '1.2.3',
      chat: async (request, call) => {
        asked.push(request);
        expect(call).toMatchObject({ credential: 'for-this-step', signal });
        call.onDelta('x');
        return aReply(reasoning === 'tot' ? '{"thoughts": [{"line": 1, "text": "a"}]}' : 'Final Answer: 42');
      },
    });
    const request = aRequest([], { reasoning, model: { name: 'm', temperature: 0, maxTokens: 9, toolCalling } }, { ephemeralCredentials: { [MODEL_CREDENTIAL]: 'for-this-step' } });
    const response = await runtime.executeStep(request, { signal, onDelta: (text) => deltas.push(text) });
    expect(asked).toMatchObject([{ model: 'm', maxTokens: 9 }]);
    expect(deltas).toEqual(['x']);
    expect(asked[0]).toHaveProperty(mark ?? 'messages');
    expect(response).toMatchObject({ auditLogs: [], metadata: { backend: 'b' } });
    expect(response.proposal.output ?? response.proposal.thought).toBeTruthy();
  });

  test('says who it is and what it can do; errors of the gateway come through as they are', async () => {
    const failure = new PlatformError('model_unavailable', 'down');
    const runtime = createNativeRuntime({ version: '1.2.3', chat: () => Promise.reject(failure) });
    expect(await runtime.handshake()).toEqual({ name: 'native', version: '1.2.3', reasoningModes: REASONING_MODES, agents: [] });
    expect(await runtime.healthCheck()).toMatchObject({ serving: true });
    await expect(runtime.executeStep(aRequest(), { signal: new AbortController().signal, onDelta: () => undefined })).rejects.toBe(failure);
  });
});
