import type { TSchema } from '@fastify/type-provider-typebox';
import { isJsonObject, PlatformError } from '@openeaap/kernel';
import { Compile } from 'typebox/compile';
import type { TLocalizedValidationError } from 'typebox/error';
import { nearestName } from './nearest-name.ts';
import { isStorable } from './parse-json-body.ts';

type Part = 'body' | 'query' | 'path' | 'headers';
type Validate = (data: unknown) => { readonly value: unknown } | { readonly error: Error };

/**
 * Fastify's validator compiler. TypeBox checks strictly: nothing is coerced, filled in or silently
 * removed; only numbers and booleans of a query string are read from their text, because a query
 * string has nothing but text. Errors are `invalid_input` with field, cause and cure.
 */
export function compileValidator({ schema, httpPart }: { readonly schema: unknown; readonly httpPart?: string | undefined }): Validate {
  const shape = schema as TSchema;
  const checker = Compile(shape);
  const part = toPart(httpPart);
  return (data) => {
    const value = part === 'query' ? coerceQuery(shape, data) : part === 'body' ? (data ?? {}) : data;
    if (checker.Check(value)) return part === 'body' ? { value } : refuseUnstorableText(value, part);
    return { error: toError(checker.Errors(value), { schema: shape, value, part }) };
  };
}

interface Place {
  readonly schema: TSchema;
  readonly value: unknown;
  readonly part: Part;
}

function toPart(httpPart: string | undefined): Part {
  if (httpPart === 'querystring' || httpPart === 'query') return 'query';
  if (httpPart === 'params') return 'path';
  return httpPart === 'headers' ? 'headers' : 'body';
}

function coerceQuery(schema: TSchema, data: unknown): unknown {
  if (typeof data !== 'object' || data === null) return data;
  return Object.fromEntries(Object.entries(data).map(([key, value]: [string, unknown]) => [key, coerce(schemaAt(schema, [key])?.['type'], value)]));
}

function coerce(type: unknown, value: unknown): unknown {
  if (typeof value !== 'string') return value;
  if (type === 'integer' && /^-?\d{1,15}$/.test(value)) return Number(value);
  if (type === 'boolean' && (value === 'true' || value === 'false')) return value === 'true';
  return value;
}

function refuseUnstorableText(value: unknown, part: Part): ReturnType<Validate> {
  for (const [field, text] of Object.entries((value ?? {}) as Record<string, unknown>)) {
    if (typeof text === 'string' && !isStorable(text)) {
      return { error: refusal(`\`${field}\` holds U+0000, which is not allowed.`, { field, in: part, cure: 'Remove it.' }) };
    }
  }
  return { value };
}

function toError(errors: readonly TLocalizedValidationError[], place: Place): PlatformError {
  // A misspelt field is the cause of the missing one, so it is told first.
  const faults = errors.toSorted((a, b) => rank(a) - rank(b)).flatMap((error) => toFaults(error, place));
  const [first] = faults;
  if (first === undefined) return refusal(`The ${place.part} does not match its schema.`, { in: place.part });
  const others = faults.length > 1 ? { problems: faults.map((fault) => fault.message) } : {};
  return refusal(first.message, { field: first.field, in: place.part, cure: first.cure, ...first.more, ...others });
}

const rank = (error: TLocalizedValidationError): number => (error.keyword === 'additionalProperties' ? 0 : 1);

function refusal(message: string, details: Readonly<Record<string, string | readonly string[]>>): PlatformError {
  return new PlatformError('invalid_input', message, { details });
}

interface Fault {
  readonly field: string;
  readonly message: string;
  readonly cure: string;
  readonly more?: Readonly<Record<string, string>>;
}

function toFaults(error: TLocalizedValidationError, place: Place): readonly Fault[] {
  const path = toSegments(error.instancePath);
  const field = toField(path);
  switch (error.keyword) {
    // Said again, with the names, by `additionalProperties`.
    case 'boolean':
      return [];
    case 'additionalProperties':
      return error.params.additionalProperties.map((key) => unknownField([...path, key], place));
    case 'required':
      return error.params.requiredProperties.map((key) => missingField([...path, key], place));
    case 'type':
      return [wrongType(field, error.params.type, valueAt(place.value, path))];
    case 'enum':
      return [fault(field, `must be one of ${error.params.allowedValues.map((value) => JSON.stringify(value)).join(', ')}`)];
    case 'format':
      return [fault(field, `must be ${FORMATS[error.params.format] ?? `a ${error.params.format}`}`)];
    case 'pattern':
      return [fault(field, `must match ${String(error.params.pattern)}`)];
    default:
      return [fault(field, error.message)];
  }
}

const FORMATS: Readonly<Record<string, string>> = {
  uuid: 'a UUID, e.g. 01939c4e-7a30-7cc1-9d3b-5f0f1c3a2b10',
  'date-time': 'a time by RFC 3339, e.g. 2026-11-22T08:00:00Z',
};

function fault(field: string, what: string): Fault {
  const subject = field === '' ? 'The body' : `\`${field}\``;
  return { field, message: `${subject} ${what}.`, cure: `Change ${field === '' ? 'the body' : `\`${field}\``}: it ${what}.` };
}

function unknownField(path: readonly string[], place: Place): Fault {
  const key = path.at(-1) ?? '';
  const field = toField(path);
  const known = Object.keys(schemaAt(place.schema, path.slice(0, -1))?.['properties'] ?? {});
  const meant = nearestName(key, known);
  const hint = meant === null ? '' : ` Did you mean \`${meant}\`?`;
  const what = place.part === 'query' ? 'query parameter' : 'field';
  const allowed = known.length === 0 ? 'None is allowed here.' : `Allowed: ${known.join(', ')}.`;
  return {
    field,
    message: `Unknown ${what} \`${field}\`.${hint}`,
    cure: meant === null ? `Remove it. ${allowed}` : `Rename it to \`${meant}\`, or remove it. ${allowed}`,
    ...(meant === null ? {} : { more: { did_you_mean: meant } }),
  };
}

function missingField(path: readonly string[], place: Place): Fault {
  const field = toField(path);
  const about = schemaAt(place.schema, path)?.['description'];
  const hint = typeof about === 'string' ? ` (${about})` : '';
  return { field, message: `\`${field}\` is missing.`, cure: `Add \`${field}\`${hint}.` };
}

function wrongType(field: string, type: string | readonly string[], value: unknown): Fault {
  const wanted = (typeof type === 'string' ? [type] : type).map((name) => TYPE_WORDS[name] ?? name).join(' or ');
  return fault(field, `must be ${wanted}, not ${typeWord(value)}`);
}

const TYPE_WORDS: Readonly<Record<string, string>> = {
  string: 'a string',
  object: 'an object',
  array: 'an array',
  integer: 'a whole number',
  number: 'a number',
  boolean: 'true or false',
  null: 'null',
};

function typeWord(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'an array';
  if (typeof value === 'string' && value.length <= 32) return JSON.stringify(value);
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  return TYPE_WORDS[typeof value] ?? typeof value;
}

/** `/configuration/tools/1` → `configuration`, `tools`, `1` (RFC 6901). */
function toSegments(pointer: string): readonly string[] {
  return pointer
    .split('/')
    .slice(1)
    .map((segment) => segment.replaceAll('~1', '/').replaceAll('~0', '~'));
}

const toField = (path: readonly string[]): string => path.reduce((field, key) => (/^\d+$/.test(key) ? `${field}[${key}]` : field === '' ? key : `${field}.${key}`), '');

function schemaAt(schema: TSchema, path: readonly string[]): Readonly<Record<string, unknown>> | undefined {
  let at: unknown = schema;
  for (const key of path) {
    if (!isJsonObject(at)) return undefined;
    const properties = at['properties'] as Readonly<Record<string, unknown>> | undefined;
    at = properties !== undefined && Object.hasOwn(properties, key) ? properties[key] : at['items'];
  }
  return isJsonObject(at) ? at : undefined;
}

function valueAt(value: unknown, path: readonly string[]): unknown {
  return path.reduce<unknown>((at, key) => (typeof at === 'object' && at !== null ? (at as Record<string, unknown>)[key] : undefined), value);
}
