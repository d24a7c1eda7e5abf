import type { JsonValue } from '@openeaap/kernel';

/**
 * What models, tools and users wrote is shown to people who decide on it. Characters that a
 * terminal obeys (C0, C1, escape sequences), that show text in another order than it is stored
 * in (bidirectional controls) or that cannot be seen are shown as `\uXXXX` instead.
 * Newline stays; a tab becomes a space.
 */
export function toPrintable(text: string): string {
  return text.replaceAll('\t', ' ').replace(OBEYED, escapeUnits);
}

/** JSON text that stays harmless on a terminal, and the same JSON to a parser. */
export function toJsonText(value: JsonValue, indent = 0): string {
  return JSON.stringify(value, null, indent).replace(OBEYED, escapeUnits);
}

/** Controls and format characters of Unicode, and its line separators; not the newline. */
const OBEYED = /(?!\n)[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;

/** A character beyond the basic plane becomes two escapes, as JSON wants it. */
function escapeUnits(character: string): string {
  return character.split('').map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`).join('');
}
