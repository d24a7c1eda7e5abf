import { randomBytes } from 'node:crypto';
import type { ChatReply, ChatRequest } from '@openeaap/kernel';
import { PlatformError } from '@openeaap/kernel';
import type { StepIdentity } from '@openeaap/orchestrator';
import type { Gateway } from '@openeaap/msig';
import { MODEL_CREDENTIAL } from '@openeaap/native-runtime';

/**
 * Credentials for the model gateway, each good for one step and revoked at its end. Whoever holds
 * one can do no more than that step may: the gateway books its calls on the step and caps them.
 */
export interface ModelSessions {
  readonly credentials: (step: StepIdentity) => Readonly<Record<string, string>>;
  readonly revoke: (stepId: string) => void;
  /** Errors: unauthenticated (unknown or revoked credential), and those of the gateway. */
  readonly chat: (request: ChatRequest, call: { readonly credential: string; readonly signal: AbortSignal; readonly onDelta: (text: string) => void }) => Promise<ChatReply>;
}

export function createModelSessions(gateway: Pick<Gateway, 'chat'>): ModelSessions {
  const byCredential = new Map<string, StepIdentity>();
  const byStep = new Map<string, string>();
  return {
    credentials: (step) => {
      const credential = `step-${randomBytes(24).toString('base64url')}`;
      byCredential.set(credential, step);
      byStep.set(step.stepId, credential);
      return { [MODEL_CREDENTIAL]: credential };
    },
    revoke: (stepId) => {
      const credential = byStep.get(stepId);
      byStep.delete(stepId);
      if (credential !== undefined) byCredential.delete(credential);
    },
    chat: async (request, { credential, signal, onDelta }) => {
      const step = byCredential.get(credential);
      if (step === undefined) throw new PlatformError('unauthenticated', 'The credential for the model is not valid any more.');
      const { maxTokens, timeoutMs, ...attribution } = step;
      return gateway.chat(capTokens(request, maxTokens), { signal, onDelta, attribution, timeoutMs });
    },
  };
}

function capTokens(request: ChatRequest, maxTokens: number): ChatRequest {
  if (maxTokens === 0) return request;
  return { ...request, maxTokens: Math.min(request.maxTokens ?? maxTokens, maxTokens) };
}
