import type { JsonObject } from '@openeaap/kernel';

export const SCHEMA = 'https://json-schema.org/draft/2020-12/schema';

export const IP_SCHEMA: JsonObject = {
  type: 'string',
  description: 'One IPv4 or IPv6 address, e.g. 203.0.113.7. No network, no host name, no port.',
  maxLength: 45,
  anyOf: [{ format: 'ipv4' }, { format: 'ipv6' }],
};

/** An object that takes the named properties and no others. */
export function objectSchema(properties: Readonly<Record<string, JsonObject>>, required: readonly string[]): JsonObject {
  return { $schema: SCHEMA, type: 'object', properties, required, additionalProperties: false };
}
