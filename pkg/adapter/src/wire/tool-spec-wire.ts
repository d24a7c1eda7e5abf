import type { JsonObject, ToolEffect, ToolSpec } from '@openeaap/kernel';
import { LIMITS, PlatformError, isJsonObject } from '@openeaap/kernel';
import { ToolEffect as WireEffect } from '@openeaap/proto';
import type { ToolSpec as WireToolSpec } from '@openeaap/proto';
import { jsonFromWire, toUint32 } from './json-wire.ts';
import { WIRE_LIMITS } from './wire-limits.ts';

/** Names of tools and agents. Models take no others. */
export const OFFER_NAME = /^[A-Za-z0-9_-]{1,64}$/;
const SECRET_NAME = /^[A-Za-z_][A-Za-z0-9_]{0,127}$/;
/** Credentials of the platform's own; no tool gets them by asking. */
const OWN_SECRETS = 'OPENEAAP_';

const TO_WIRE: Readonly<Record<ToolEffect, WireEffect>> = {
  read: WireEffect.TOOL_EFFECT_READ,
  write: WireEffect.TOOL_EFFECT_WRITE,
  egress: WireEffect.TOOL_EFFECT_EGRESS,
  destructive: WireEffect.TOOL_EFFECT_DESTRUCTIVE,
};

export function toolSpecToWire(spec: ToolSpec): WireToolSpec {
  return {
    name: spec.name,
    version: spec.version,
    description: spec.description,
    inputSchema: JSON.stringify(spec.inputSchema),
    outputSchema: spec.outputSchema === undefined ? '' : JSON.stringify(spec.outputSchema),
    effect: TO_WIRE[spec.effect],
    idempotent: spec.idempotent,
    timeoutMs: toUint32(spec.timeoutMs),
    secrets: spec.secrets ?? [],
    untrustedOutput: spec.untrustedOutput ?? false,
  };
}

/**
 * A tool as a peer offers it. `pluginVersion` stands in for a tool that has no version of its own.
 * Errors: invalid_input; the message names the tool and the field, and the cure.
 */
export function toolSpecFromWire(spec: WireToolSpec, pluginVersion: string): ToolSpec {
  if (!OFFER_NAME.test(spec.name)) {
    throw new PlatformError('invalid_input', `The tool name ${JSON.stringify(spec.name.slice(0, 80))} cannot be used: use 1 to 64 letters, digits, "_" or "-".`, { details: { field: 'name', tool: spec.name.slice(0, 80) } });
  }
  const refuse = (field: string, why: string): PlatformError => new PlatformError('invalid_input', `Tool "${spec.name}": ${field} ${why}`, { details: { field, tool: spec.name } });
  if (spec.version.length > WIRE_LIMITS.versionChars) throw refuse('version', `has more than ${WIRE_LIMITS.versionChars} characters.`);
  if (spec.description.length > WIRE_LIMITS.descriptionChars) throw refuse('description', `has more than ${WIRE_LIMITS.descriptionChars} characters.`);
  if (spec.timeoutMs > LIMITS.toolTimeoutCeilingMs) throw refuse('timeout_ms', `is ${spec.timeoutMs}; at most ${LIMITS.toolTimeoutCeilingMs} can be had.`);
  const effect = effectFromWire(spec.effect);
  if (effect === null) throw refuse('effect', `is ${spec.effect}, which is none of read (1), write (2), egress (3) and destructive (4).`);
  const inputSchema = schemaOf(spec, 'input_schema', spec.inputSchema) ?? { type: 'object', properties: {}, additionalProperties: false };
  if (inputSchema['type'] !== undefined && inputSchema['type'] !== 'object') throw refuse('input_schema', 'must describe an object: set "type" to "object".');
  const outputSchema = schemaOf(spec, 'output_schema', spec.outputSchema);
  return {
    name: spec.name,
    version: spec.version === '' ? pluginVersion : spec.version,
    description: spec.description,
    inputSchema,
    ...(outputSchema === null ? {} : { outputSchema }),
    effect,
    idempotent: spec.idempotent,
    timeoutMs: spec.timeoutMs === 0 ? LIMITS.toolTimeoutMs : spec.timeoutMs,
    ...secretsOf(spec, refuse),
    ...(spec.untrustedOutput ? { untrustedOutput: true } : {}),
  };
}

/** null: a number that this version does not know. */
function effectFromWire(effect: WireEffect): ToolEffect | null {
  switch (effect) {
    case WireEffect.TOOL_EFFECT_READ:
      return 'read';
    case WireEffect.TOOL_EFFECT_UNSPECIFIED:
    case WireEffect.TOOL_EFFECT_WRITE:
      return 'write';
    case WireEffect.TOOL_EFFECT_EGRESS:
      return 'egress';
    case WireEffect.TOOL_EFFECT_DESTRUCTIVE:
      return 'destructive';
    default:
      return null;
  }
}

/** null: none was given. Whether it is valid JSON Schema is found by whoever compiles it. */
function schemaOf(spec: WireToolSpec, name: string, text: string): JsonObject | null {
  if (text === '') return null;
  const field = `Tool "${spec.name}": ${name}`;
  const schema = jsonFromWire(text, { field, maxBytes: WIRE_LIMITS.schemaBytes, code: 'invalid_input' });
  if (!isJsonObject(schema)) throw new PlatformError('invalid_input', `${field} must be a JSON object, a JSON Schema.`, { details: { field: name, tool: spec.name } });
  return schema;
}

function secretsOf(spec: WireToolSpec, refuse: (field: string, why: string) => PlatformError): Pick<ToolSpec, 'secrets'> {
  if (spec.secrets.length > WIRE_LIMITS.secretsPerTool) throw refuse('secrets', `has more than ${WIRE_LIMITS.secretsPerTool} names.`);
  const wrong = spec.secrets.find((name) => !SECRET_NAME.test(name));
  if (wrong !== undefined) throw refuse('secrets', `has the name ${JSON.stringify(wrong.slice(0, 80))}: use letters, digits and "_", at most 128.`);
  const own = spec.secrets.find((name) => name.toUpperCase().startsWith(OWN_SECRETS));
  if (own !== undefined) throw refuse('secrets', `has the name "${own}": names that begin with ${OWN_SECRETS} are the platform's own.`);
  return spec.secrets.length === 0 ? {} : { secrets: [...new Set(spec.secrets)] };
}
