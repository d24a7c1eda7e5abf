import type { ReasoningMode, ToolSpec } from '@openeaap/kernel';
import { PlatformError, REASONING_MODES } from '@openeaap/kernel';
import type { AgentSpec, HandshakeResponse } from '@openeaap/proto';
import type { HostedAgent } from '../runtime.ts';
import { toUint32 } from './json-wire.ts';
import { OFFER_NAME, toolSpecFromWire, toolSpecToWire } from './tool-spec-wire.ts';
import { WIRE_LIMITS } from './wire-limits.ts';

/** The versions of the protocol that this program speaks. */
export const PROTOCOL_VERSIONS: readonly number[] = [1];

/** The highest version that both speak; 0: there is none. */
export function agreeOnVersion(ours: readonly number[], theirs: readonly number[]): number {
  return ours.filter((version) => theirs.includes(version)).reduce((a, b) => Math.max(a, b), 0);
}

/** What a plugin offers, checked. */
export interface PluginOffer {
  readonly name: string;
  readonly version: string;
  readonly sdk: { readonly language: string; readonly version: string };
  readonly tools: readonly ToolSpec[];
  readonly agents: readonly HostedAgent[];
  readonly streaming: boolean;
  /** Largest message that the plugin receives. */
  readonly maxMessageBytes: number;
  /** 0: no limit. */
  readonly maxConcurrentSteps: number;
}

/**
 * The offer of a peer with which a version was agreed on, taken as a whole or not at all.
 * Errors: invalid_input; the message names the tool or agent, the field and the cure.
 */
export function offerFromWire(response: HandshakeResponse): PluginOffer {
  if (response.name === '' || response.name.length > WIRE_LIMITS.pluginNameChars) throw refuse('name', `of the plugin must have 1 to ${WIRE_LIMITS.pluginNameChars} characters.`);
  if (response.version.length > WIRE_LIMITS.versionChars) throw refuse('version', `of the plugin has more than ${WIRE_LIMITS.versionChars} characters.`);
  if (response.tools.length > WIRE_LIMITS.toolsPerPlugin) throw refuse('tools', `has ${response.tools.length} entries; at most ${WIRE_LIMITS.toolsPerPlugin} are taken.`);
  if (response.agents.length > WIRE_LIMITS.agentsPerPlugin) throw refuse('agents', `has ${response.agents.length} entries; at most ${WIRE_LIMITS.agentsPerPlugin} are taken.`);
  const tools = response.tools.map((spec) => toolSpecFromWire(spec, response.version));
  const agents = response.agents.map(agentFromWire);
  refuseDoubles('tool', tools);
  refuseDoubles('agent', agents);
  return {
    name: response.name,
    version: response.version,
    sdk: { language: (response.sdk?.language ?? '').slice(0, WIRE_LIMITS.versionChars), version: (response.sdk?.version ?? '').slice(0, WIRE_LIMITS.versionChars) },
    tools,
    agents,
    streaming: response.streaming,
    maxMessageBytes: response.maxMessageBytes === 0 ? WIRE_LIMITS.defaultMessageBytes : response.maxMessageBytes,
    maxConcurrentSteps: response.maxConcurrentSteps,
  };
}

const refuse = (field: string, why: string): PlatformError => new PlatformError('invalid_input', `${field} ${why}`, { details: { field } });

function agentFromWire(agent: AgentSpec): HostedAgent {
  if (!OFFER_NAME.test(agent.name)) throw refuse('agents.name', `${JSON.stringify(agent.name.slice(0, 80))} cannot be used: use 1 to 64 letters, digits, "_" or "-".`);
  if (agent.description.length > WIRE_LIMITS.descriptionChars) throw refuse(`Agent "${agent.name}": description`, `has more than ${WIRE_LIMITS.descriptionChars} characters.`);
  // Modes that came later than this program cannot be asked for by it.
  const reasoningModes = REASONING_MODES.filter((mode: ReasoningMode) => agent.reasoningModes.includes(mode));
  return { name: agent.name, description: agent.description, reasoningModes };
}

function refuseDoubles(kind: 'tool' | 'agent', offered: readonly { readonly name: string }[]): void {
  const seen = new Set<string>();
  for (const { name } of offered) {
    if (seen.has(name)) throw new PlatformError('invalid_input', `The plugin offers two ${kind}s called "${name}". Rename one of them.`, { details: { field: `${kind}s.name`, [kind]: name } });
    seen.add(name);
  }
}

/** The plugin's half: what is offered, in the version that was agreed on; 0: none was. */
export function offerToWire(offer: PluginOffer, protocolVersion: number): HandshakeResponse {
  return {
    protocolVersion,
    protocolVersions: PROTOCOL_VERSIONS,
    name: offer.name,
    version: offer.version,
    sdk: offer.sdk,
    tools: offer.tools.map(toolSpecToWire),
    agents: offer.agents.map((agent) => ({ name: agent.name, description: agent.description, reasoningModes: agent.reasoningModes })),
    streaming: offer.streaming,
    maxMessageBytes: offer.maxMessageBytes,
    maxConcurrentSteps: toUint32(offer.maxConcurrentSteps),
  };
}
