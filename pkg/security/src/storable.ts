const UNSTORABLE = /\0|[\uD800-\uDBFF](?![\uDC00-\uDFFF])|(?<![\uD800-\uDBFF])[\uDC00-\uDFFF]/g;

/** Removes NUL and lone surrogates: PostgreSQL's jsonb refuses them, and a secret could be split by them. */
export function toStorable(text: string): string {
  return text.replace(UNSTORABLE, '');
}
