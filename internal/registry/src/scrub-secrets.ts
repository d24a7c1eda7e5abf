import type { JsonValue } from '@openeaap/kernel';

/** Shorter ones occur by chance in honest texts. */
const SECRET_CHARS = 6;

/**
 * A plugin that returns a secret it was given must not put it into the journal: each of its values is replaced by its
 * name. Only what is there as it was given is found; an encoded one is not.
 */
export function scrubSecrets(value: JsonValue, secrets: Readonly<Record<string, string>>): JsonValue {
  const known = toKnown(secrets);
  if (known.length === 0) return value;
  const text = JSON.stringify(value);
  return known.some(([, secret]) => text.includes(secret) || text.includes(JSON.stringify(secret).slice(1, -1))) ? scrub(value, known) : value;
}

export function scrubText(text: string, secrets: Readonly<Record<string, string>>): string {
  return toKnown(secrets).reduce((clean, [name, secret]) => clean.replaceAll(secret, `[secret ${name}]`), text);
}

type Known = readonly (readonly [name: string, secret: string])[];

/** The longest first, since one may be a part of another. */
const toKnown = (secrets: Readonly<Record<string, string>>): Known =>
  Object.entries(secrets)
    .filter(([, secret]) => secret.length >= SECRET_CHARS)
    .sort(([, a], [, b]) => b.length - a.length);

function scrub(value: JsonValue, known: Known): JsonValue {
  if (typeof value === 'string') return known.reduce((clean, [name, secret]) => clean.replaceAll(secret, `[secret ${name}]`), value);
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map((item: JsonValue) => scrub(item, known));
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [scrub(key, known) as string, scrub(item, known)]));
}
