/** What a peer may send beyond what LIMITS of the kernel says already; the plugin is never trusted with a size. */
export const WIRE_LIMITS = {
  /** What gRPC receives when nobody says otherwise; what 0 in a handshake means. */
  defaultMessageBytes: 4_194_304,
  /** What both sides of ours receive: a journal grows with its run. */
  messageBytes: 33_554_432,
  toolsPerPlugin: 512,
  agentsPerPlugin: 128,
  secretsPerTool: 32,
  /** Every think offers all descriptions and schemas to a model. */
  descriptionChars: 8_192,
  schemaBytes: 65_536,
  versionChars: 64,
  pluginNameChars: 128,
  /** Deeper JSON could not be written again: writing it is recursive. */
  jsonDepth: 200,
  errorMessageChars: 2_000,
  /** `strategy_state` is kept with every think of the journal. */
  strategyStateBytes: 65_536,
  /** Of arguments that are no JSON, to show the agent. */
  malformedChars: 300,
  /** Of each payload of a call that a plugin says it made by itself. */
  claimedPayloadBytes: 8_192,
  /** Names, ids and titles. */
  nameChars: 255,
  lineageRefs: 100,
} as const;
