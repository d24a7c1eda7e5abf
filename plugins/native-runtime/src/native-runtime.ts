import type { ChatReply, ChatRequest, ReasoningMode } from '@openeaap/kernel';
import { REASONING_MODES, STEP_CREDENTIALS } from '@openeaap/kernel';
import type { RuntimeAdapter, ThinkRequest } from '@openeaap/adapter';
import { chainOfThought } from './strategies/cot.ts';
import { reactNative } from './strategies/react-native.ts';
import { reactText } from './strategies/react-text.ts';
import type { Strategy } from './strategies/strategy.ts';
import { treeOfThoughts } from './strategies/tot.ts';

/** The name of the credential that opens the model gateway for one step. */
export const MODEL_CREDENTIAL = STEP_CREDENTIALS.modelToken;

export interface NativeRuntimeOptions {
  /** One model call through the gateway. `credential` is the step's own; errors are PlatformErrors. */
  readonly chat: (request: ChatRequest, call: { readonly credential: string; readonly signal: AbortSignal; readonly onDelta: (text: string) => void }) => Promise<ChatReply>;
  readonly version: string;
}

/** OpenEAAP's own runtime: ReAct, chain of thought and tree of thoughts, without memory of its own. */
export function createNativeRuntime(options: NativeRuntimeOptions): RuntimeAdapter {
  return {
    handshake: async () => ({ name: 'native', version: options.version, reasoningModes: REASONING_MODES, agents: [] }),
    healthCheck: async () => ({ serving: true, detail: 'in the process' }),
    executeStep: async (request, context) => {
      const strategy = strategyFor(request);
      const reply = await options.chat(strategy.ask(request), {
        credential: request.ephemeralCredentials[MODEL_CREDENTIAL] ?? '',
        signal: context.signal,
        onDelta: context.onDelta,
      });
      const { proposal, strategyState } = strategy.read(request, reply);
      return { proposal, strategyState, auditLogs: [], metadata: { usage: reply.usage, backend: reply.backend } };
    },
  };
}

function strategyFor(request: ThinkRequest): Strategy {
  const mode: ReasoningMode = request.agent.reasoning;
  switch (mode) {
    case 'react':
      return request.agent.model.toolCalling === 'text' ? reactText : reactNative;
    case 'cot':
      return chainOfThought;
    case 'tot':
      return treeOfThoughts;
  }
}
