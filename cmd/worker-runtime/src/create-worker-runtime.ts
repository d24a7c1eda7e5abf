import type { RuntimeAdapter, ThinkRequest } from '@openeaap/adapter';
import { PlatformError } from '@openeaap/kernel';
import type { OpenAiChat } from '@openeaap/msig';
import { MODEL_CREDENTIAL, createNativeRuntime } from '@openeaap/native-runtime';

/** Base URL of an OpenAI-compatible API, among the credentials of a think. */
export const GATEWAY_URL = 'OPENEAAP_GATEWAY_URL';

/** The native runtime whose every think asks the gateway that the step names, with the step's token. */
export function createWorkerRuntime(chat: Pick<OpenAiChat, 'chat'>, version: string): RuntimeAdapter {
  const native = (baseUrl: string): RuntimeAdapter =>
    createNativeRuntime({ version, chat: (request, { credential, signal, onDelta }) => chat.chat(request, { baseUrl, apiKey: credential, signal, onDelta }) });
  return {
    handshake: native('').handshake,
    healthCheck: async () => ({ serving: true, detail: 'ready to think' }),
    executeStep: async (request, context) => {
      credentialOf(request, MODEL_CREDENTIAL);
      return native(credentialOf(request, GATEWAY_URL)).executeStep(request, context);
    },
  };
}

function credentialOf({ ephemeralCredentials }: ThinkRequest, name: string): string {
  const value = ephemeralCredentials[name] ?? '';
  if (value === '') throw new PlatformError('invalid_input', `The step brought no ${name}, so no model can be asked. The control plane sets it among the credentials of a think.`, { details: { field: name } });
  return value;
}
