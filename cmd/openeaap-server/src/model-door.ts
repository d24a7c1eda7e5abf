import { context } from '@opentelemetry/api';
import type { ModelKey } from '@openeaap/kernel';
import type { Gateway, KeyResolver, MeteredAccess } from '@openeaap/msig';
import { isModelKey, parseRequest, toKeyAccess } from '@openeaap/msig';
import type { OpenAiPort } from '@openeaap/http';
import type { ModelSession, ModelSessions } from './model-sessions.ts';
import { readTraceparent, underSpan } from './traceparent.ts';

export interface ModelDoorParts {
  readonly sessions: Pick<ModelSessions, 'enter'>;
  readonly keys: Pick<KeyResolver, 'resolve'>;
  readonly gateway: Pick<Gateway, 'ask' | 'models' | 'findModel'>;
  readonly newTraceId: () => string;
}

/** Who may ask models from outside: the holder of a step's credential, and the holder of a virtual key. */
export function createModelDoor({ sessions, keys, gateway, newTraceId }: ModelDoorParts): OpenAiPort {
  const ofKey = (key: ModelKey | null): ModelSession | null => (key === null ? null : openKeySession(key, { gateway, newTraceId }));
  return {
    enter: (credential) => {
      if (!isModelKey(credential)) return sessions.enter(credential);
      const key = keys.resolve(credential);
      return key instanceof Promise ? key.then(ofKey) : ofKey(key);
    },
  };
}

function openKeySession(key: ModelKey, { gateway, newTraceId }: Pick<ModelDoorParts, 'gateway' | 'newTraceId'>): ModelSession {
  return {
    models: () => gateway.models(key),
    findModel: (name) => gateway.findModel(name, key),
    ask: (kind, body, { traceparent, sensitivity, agent, ...call }) => {
      const request = parseRequest(kind, body);
      const remote = readTraceparent(traceparent);
      const own = toKeyAccess(key, { traceId: remote?.traceId ?? newTraceId() });
      const access: MeteredAccess = { ...own, agentId: agent ?? '', sensitivity: sensitivity !== null && sensitivity > key.sensitivity ? sensitivity : key.sensitivity };
      const ask = () => gateway.ask(request, { ...call, access });
      return remote === null ? ask() : context.with(underSpan(remote), ask);
    },
  };
}
