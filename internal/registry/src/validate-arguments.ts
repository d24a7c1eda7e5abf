import { Ajv2020 } from 'ajv/dist/2020.js';
import type { ErrorObject, ValidateFunction } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import { RE2JS } from 're2js';
import type { JsonValue, ToolSpec } from '@openeaap/kernel';
import { PlatformError } from '@openeaap/kernel';

/** Says what is wrong with arguments, in words for the model; null: nothing. */
export type ArgumentCheck = (args: JsonValue) => string | null;

/** Compiles the schemas of many tools; making one costs tens of milliseconds. A schema cannot refer to another tool's. */
export function createSchemaCompiler(): Ajv2020 {
  const ajv = new Ajv2020({ allErrors: true, strict: false, validateFormats: true, addUsedSchema: false, logger: false, code: { regExp: toLinearRegExp } });
  addFormats.default(ajv);
  return ajv;
}

/**
 * Patterns come with the plugin and are matched against what a model wrote: RE2 takes linear time for any pair of them.
 * Look-around and back-references are not RE2 and make the schema invalid.
 */
const toLinearRegExp = Object.assign((pattern: string) => {
  const compiled = RE2JS.compile(pattern);
  return { test: (text: string): boolean => compiled.matcher(text).find() };
}, { code: 'RE2' });

/** Errors: invalid_input when the tool's own schema is not valid JSON Schema 2020-12. */
export function compileArgumentCheck(spec: ToolSpec, ajv: Ajv2020 = createSchemaCompiler()): ArgumentCheck {
  const validate = compile(ajv, spec);
  return (args) => (validate(args) ? null : `The arguments of "${spec.name}" are wrong: ${(validate.errors ?? []).slice(0, 5).map(explain).join('; ')}.`);
}

function compile(ajv: Ajv2020, spec: ToolSpec): ValidateFunction {
  try {
    return ajv.compile(spec.inputSchema);
  } catch (thrown) {
    const detail = thrown instanceof Error ? thrown.message : 'unknown';
    throw new PlatformError('invalid_input', `The input schema of tool "${spec.name}" is not valid JSON Schema: ${detail}`, { cause: thrown, details: { field: 'input_schema', tool: spec.name } });
  }
}

function explain(error: ErrorObject): string {
  const place = error.instancePath === '' ? 'the arguments' : error.instancePath.slice(1).replaceAll('/', '.');
  const { params } = error;
  switch (error.keyword) {
    case 'additionalProperties':
      return `${place} must not have "${String(params['additionalProperty'])}"`;
    case 'required':
      return `"${String(params['missingProperty'])}" is missing in ${place}`;
    case 'enum':
      return `${place} must be one of ${JSON.stringify(params['allowedValues'])}`;
    default:
      return `${place} ${error.message ?? 'is wrong'}`;
  }
}
