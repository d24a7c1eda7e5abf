import { createHmac } from 'node:crypto';

/** What stands in place of what was found: `<PHONE_1a2b3c4d>`. */
export interface Placeholders {
  /** The same for the same value and rule. Errors: RangeError when no free one is found. */
  readonly of: (value: string, rule: string) => string;
  /** By the eight hex digits. */
  readonly originals: ReadonlyMap<string, string>;
  /** As they stand before the digits. */
  readonly kinds: ReadonlySet<string>;
}

export interface PlaceholderScope {
  readonly key: string | Uint8Array;
  /** Another tenant's placeholder for the same value is another one. */
  readonly tenantId: string;
  /** Digits of what looks like a placeholder in the text itself: none of ours may be taken for it. */
  readonly taken: ReadonlySet<string>;
}

/** Left where something was removed for good. */
export const REDACTED = '[redacted]';

export const HEX_DIGITS = 8;
export const KIND_CHARS_MAX = 24;
/** 32 bits meet by chance once in billions; somebody who wants them to meet must know the key. */
const SALTS_MAX = 16;

/**
 * Placeholders of one request. The digits are a keyed hash of tenant and value: the next turn of the
 * conversation has the same ones, so that the provider's prompt cache goes on working, and whoever
 * has no key learns nothing from them (a plain hash of a phone number can be guessed in a second).
 */
export function createPlaceholders({ key, tenantId, taken }: PlaceholderScope): Placeholders {
  const originals = new Map<string, string>();
  const digitsByValue = new Map<string, string>();
  const kinds = new Set<string>();
  const digitsOf = (value: string): string => {
    for (let salt = 0; salt < SALTS_MAX; salt += 1) {
      const digits = createHmac('sha256', key).update(JSON.stringify([tenantId, value, salt])).digest('hex').slice(0, HEX_DIGITS);
      if (!taken.has(digits) && !originals.has(digits)) return digits;
    }
    throw new RangeError('no placeholder is free');
  };
  return {
    of: (value, rule) => {
      let digits = digitsByValue.get(value);
      if (digits === undefined) {
        digits = digitsOf(value);
        digitsByValue.set(value, digits);
        originals.set(digits, value);
      }
      const kind = kindOf(rule);
      kinds.add(kind);
      return `<${kind}_${digits}>`;
    },
    originals,
    kinds,
  };
}

/** Letters, digits and single underscores: what a model copies without thinking. */
function kindOf(rule: string): string {
  const kind = rule.toUpperCase().replace(/[^A-Z0-9]+/g, '_').slice(0, KIND_CHARS_MAX).replace(/^_|_$/g, '');
  return kind === '' ? 'PII' : kind;
}

/** The digits of everything that a reader of answers could take for a placeholder. */
const LOOKALIKE = /_\\{0,2}([0-9a-f]{8}) ?(?:>|\\{1,8}u003e)/gi;

export function listLookalikes(text: string): readonly string[] {
  return text.includes('>') || text.includes('\\u003') ? Array.from(text.matchAll(LOOKALIKE), (match) => (match[1] ?? '').toLowerCase()) : [];
}
