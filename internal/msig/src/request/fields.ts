import { PlatformError } from '@openeaap/kernel';
import type { JsonObject } from '@openeaap/kernel';

/** As the strict clients have it. */
export const CHOICES_MAX = 128;
/** Of one request for completions, embeddings or a rerank, as OpenAI has it for embeddings. */
export const INPUTS_MAX = 2_048;
const MODEL_CHARS = 512;

export function readModel(body: JsonObject): string {
  const model = body['model'] ?? '';
  if (typeof model !== 'string') throw wrong('model', '\'model\' must be a string: the name of a backend, of its model, or of a capability.');
  if (model.length > MODEL_CHARS) throw wrong('model', `'model' is longer than ${MODEL_CHARS} characters.`);
  return model;
}

export function readFlag(object: JsonObject, name: string, prefix = ''): boolean {
  const value = object[name] ?? false;
  if (typeof value !== 'boolean') throw wrong(`${prefix}${name}`, `'${prefix}${name}' must be true or false.`);
  return value;
}

/** null: not set. */
export function readCount(body: JsonObject, name: string, { min = 1, max = Number.MAX_SAFE_INTEGER }: { readonly min?: number; readonly max?: number } = {}): number | null {
  const value = body[name] ?? null;
  if (value === null) return null;
  if (typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max) return value;
  throw wrong(name, `'${name}' must be a whole number ${max === Number.MAX_SAFE_INTEGER ? `from ${min} on` : `from ${min} to ${max}`}.`);
}

export function tightest(a: number | null, b: number | null): number | null {
  return a === null || b === null ? (a ?? b) : Math.min(a, b);
}

/** `field` as the API names it; empty: the body as a whole. */
export function wrong(field: string, message: string, cause?: unknown): PlatformError {
  return new PlatformError('invalid_input', message, { details: { field }, ...(cause === undefined ? {} : { cause }) });
}
