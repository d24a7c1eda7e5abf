import type { JsonValue } from '@openeaap/kernel';

/**
 * What fits into the journal. A larger result is replaced by its beginning and its size, so that
 * the model knows that there is more and nothing grows without bound.
 */
export function limitOutput(output: JsonValue, limitBytes: number): JsonValue {
  const text = JSON.stringify(output);
  const bytes = Buffer.byteLength(text);
  if (bytes <= limitBytes) return output;
  // A character takes up to 4 bytes, and escaping the preview again may double it.
  return { truncated: true, bytes, limit_bytes: limitBytes, preview: text.slice(0, Math.floor(limitBytes / 8)) };
}
