/** The value at a path of a parsed answer, or undefined where the path ends. */
export function at(value: unknown, ...path: readonly (string | number)[]): unknown {
  let current = value;
  for (const part of path) {
    if (typeof current !== 'object' || current === null) return undefined;
    current = (current as Readonly<Record<string | number, unknown>>)[part];
  }
  return current;
}

/** The same where a text must be: anything else fails the test with the whole answer in the message. */
export function textAt(value: unknown, ...path: readonly (string | number)[]): string {
  const found = at(value, ...path);
  if (typeof found === 'string') return found;
  throw new Error(`there is no text at ${path.join('.')} of ${JSON.stringify(value)}`);
}

/** The list at a path; an absent one fails the test. */
export function listAt(value: unknown, ...path: readonly (string | number)[]): readonly unknown[] {
  const found = at(value, ...path);
  if (Array.isArray(found)) return found;
  throw new Error(`there is no list at ${path.join('.')} of ${JSON.stringify(value)}`);
}
