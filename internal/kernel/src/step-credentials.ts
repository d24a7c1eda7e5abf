/** Names of the credentials that are minted for one step and end with it (docs/plugin-protocol.md). */
export const STEP_CREDENTIALS = {
  /** The key of an OpenAI-compatible API that is good for this step alone. */
  modelToken: 'OPENEAAP_MODEL_TOKEN',
  /** Base URL of that API, ending in /v1. */
  gatewayUrl: 'OPENEAAP_GATEWAY_URL',
} as const;
