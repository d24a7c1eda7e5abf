import type { JsonObject, JsonValue } from '@openeaap/kernel';
import { PlatformError, isJsonObject } from '@openeaap/kernel';

/**
 * What describes the arguments of a tool: a JSON Schema object (TypeBox makes such), or a schema of any library that
 * speaks Standard Schema (https://standardschema.dev), of which zod 4 is one.
 */
export type InputSchema = JsonSchema | StandardSchema;

/** `object`, because the schemas of TypeBox are interfaces, which have no index signature. */
export type JsonSchema = object;

/** The part of Standard Schema that is used here; declared, so that no library is needed. */
export interface StandardSchema {
  readonly '~standard': {
    readonly version: number;
    readonly vendor: string;
    readonly validate: (value: unknown) => StandardResult | Promise<StandardResult>;
    /** Carries the types alone. */
    readonly types?: { readonly input: unknown; readonly output: unknown } | undefined;
    readonly jsonSchema?: { readonly input: (options: { readonly target: 'draft-2020-12' }) => Record<string, unknown> } | undefined;
  };
}

type StandardResult = { readonly value: unknown; readonly issues?: undefined } | { readonly issues: readonly StandardIssue[] };

interface StandardIssue {
  readonly message: string;
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}

/** The type of the arguments that `run` gets: what the schema's library parses into, or what the JSON Schema says. */
export type InferInput<S> = S extends { readonly '~standard': { readonly types?: infer T } } ? OutputOf<T> : S extends { readonly static: infer T } ? T : FromJsonSchema<S>;

type OutputOf<T> = NonNullable<T> extends { readonly output: infer O } ? O : unknown;

type FromJsonSchema<S> = S extends { readonly const: infer C }
  ? C
  : S extends { readonly enum: readonly (infer E)[] }
    ? E
    : S extends { readonly anyOf: readonly (infer A)[] }
      ? FromJsonSchema<A>
      : S extends { readonly type: 'object'; readonly properties: infer P }
        ? FromProperties<P, RequiredOf<S, P>>
        : S extends { readonly type: 'array'; readonly items: infer I }
          ? readonly FromJsonSchema<I>[]
          : S extends { readonly type: infer T }
            ? FromTypeName<T extends readonly (infer N)[] ? N : T>
            : JsonValue;

type FromProperties<P, R> = { readonly [K in keyof P as K extends R ? K : never]: FromJsonSchema<P[K]> } & { readonly [K in keyof P as K extends R ? never : K]?: FromJsonSchema<P[K]> };

/** TypeBox marks what is optional; plain JSON Schema lists what is required. */
type RequiredOf<S, P> = S extends { readonly '~kind': unknown } ? { [K in keyof P]: P[K] extends { readonly '~optional': unknown } ? never : K }[keyof P] : S extends { readonly required: readonly (infer R)[] } ? R : never;

type FromTypeName<N> = N extends 'string' ? string : N extends 'number' | 'integer' ? number : N extends 'boolean' ? boolean : N extends 'null' ? null : N extends 'array' ? readonly JsonValue[] : N extends 'object' ? { readonly [key: string]: JsonValue } : JsonValue;

/** A schema as the platform takes it, and how arguments become what `run` gets. */
export interface ReadInput {
  readonly jsonSchema: JsonObject;
  /** Errors: PlatformError `invalid_input` that names the argument. */
  readonly parse: (args: JsonObject) => Promise<unknown>;
}

/** Errors: PlatformError `invalid_input` for a schema that is none, with the cure. */
export function readInputSchema(tool: string, schema: InputSchema): ReadInput {
  if (isStandard(schema)) return { jsonSchema: toJsonSchema(tool, schema), parse: (args) => validate(schema, args) };
  // The control plane has validated by it; a second time would cost and change nothing.
  return { jsonSchema: toPlainJson(tool, schema), parse: async (args) => args };
}

/** Some libraries' schemas are functions. */
function isStandard(schema: InputSchema): schema is StandardSchema {
  return '~standard' in schema && typeof schema['~standard'] === 'object';
}

function toJsonSchema(tool: string, schema: StandardSchema): JsonObject {
  const standard = schema['~standard'];
  const convert = standard.jsonSchema?.input;
  if (convert === undefined) throw refuse(tool, `The input schema of ${standard.vendor} cannot say itself as JSON Schema. Use a version that can (zod 4.2 or later), or give a JSON Schema object.`);
  try {
    return toPlainJson(tool, convert({ target: 'draft-2020-12' }));
  } catch (thrown) {
    if (thrown instanceof PlatformError) throw thrown;
    throw refuse(tool, `The input schema has a part that JSON Schema cannot say: ${thrown instanceof Error ? thrown.message : 'unknown'}`);
  }
}

/** Libraries hang more on their schemas than JSON can hold: only what survives it counts. */
function toPlainJson(tool: string, schema: object): JsonObject {
  const plain: unknown = JSON.parse(JSON.stringify(schema));
  if (!isJsonObject(plain)) throw refuse(tool, 'The input schema must be a JSON Schema object or a Standard Schema.');
  if (plain['type'] !== undefined && plain['type'] !== 'object') throw refuse(tool, 'The input schema must describe an object: arguments have names.');
  return plain;
}

const refuse = (tool: string, message: string): PlatformError => new PlatformError('invalid_input', `Tool "${tool}": ${message}`, { details: { field: 'input', tool } });

async function validate(schema: StandardSchema, args: JsonObject): Promise<unknown> {
  const result = await schema['~standard'].validate(args);
  if (result.issues === undefined) return result.value;
  const said = result.issues.slice(0, 5).map(({ message, path }) => {
    const at = (path ?? []).map((part) => String(typeof part === 'object' ? part.key : part)).join('.');
    return at === '' ? message : `${at}: ${message}`;
  });
  throw new PlatformError('invalid_input', `The arguments are wrong: ${said.join('; ')}.`, { details: { field: 'args' } });
}
