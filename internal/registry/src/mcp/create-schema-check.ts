import { Ajv2020 } from 'ajv/dist/2020.js';
import type { JsonObject } from '@openeaap/kernel';

/** What is wrong with a JSON Schema 2020-12; null: nothing. */
export type SchemaCheck = (schema: JsonObject) => string | null;

/**
 * One compiler for all tools of a listing: making one takes thirty times as long as compiling a schema, and a server may
 * offer hundreds. Schemas are not kept, so two may say the same `$id`.
 */
export function createSchemaCheck(): SchemaCheck {
  const ajv = new Ajv2020({ strict: false, validateFormats: false, addUsedSchema: false, logger: false });
  return (schema) => {
    try {
      ajv.compile(schema);
      return null;
    } catch (thrown) {
      return thrown instanceof Error ? thrown.message.slice(0, 500) : 'it cannot be compiled';
    }
  };
}
