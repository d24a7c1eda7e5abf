import type { RuntimeAdapter } from '@openeaap/adapter';
import { scrubSecrets, scrubText } from './scrub-secrets.ts';
import type { SupervisedPlugin } from './supervise/supervise-plugin.ts';
import { PlatformError } from '@openeaap/kernel';
import type { JsonObject, JsonValue, Proposal } from '@openeaap/kernel';

/** A declared plugin as a runtime. `plugin` is asked at each step: it may have been replaced since the last one. */
export function toRemoteRuntime(name: string, plugin: () => SupervisedPlugin): RuntimeAdapter {
  return {
    handshake: async () => {
      const offer = plugin().offer();
      return { name: offer?.name ?? name, version: offer?.version ?? '', reasoningModes: [], agents: offer?.agents ?? [] };
    },
    healthCheck: async () => ({ serving: plugin().isReady(), detail: plugin().copies()[0]?.detail ?? '' }),
    executeStep: async (request, context) => {
      const secrets = request.ephemeralCredentials;
      const onDelta = (text: string): void => context.onDelta(scrubText(text, secrets));
      try {
        const response = await plugin().think(request, { ...context, onDelta });
        return {
          ...response,
          proposal: scrubSecrets(response.proposal as unknown as JsonValue, secrets) as unknown as Proposal,
          strategyState: scrubSecrets(response.strategyState, secrets),
          auditLogs: response.auditLogs.map((log) => scrubSecrets(log, secrets) as JsonObject),
        };
      } catch (thrown) {
        if (!(thrown instanceof PlatformError)) throw thrown;
        throw new PlatformError(thrown.code, scrubText(thrown.message, secrets), { details: thrown.details, cause: thrown.cause });
      }
    },
  };
}
