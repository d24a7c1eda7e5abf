import { OPAQUE_IDS } from './builtin-rules.ts';
import type { BuiltinRule } from './builtin-rules.ts';
import { foldFullWidth } from './normalise.ts';

/** What a recogniser of the built-in pack has found: `[start, end)` in UTF-16 units. */
export interface BuiltinMatch {
  readonly start: number;
  readonly end: number;
  readonly rule: BuiltinRule;
  /** As the rule reads it: full-width digits and letters are folded. */
  readonly value: string;
}

/** In the order of the rules, and of the text within one rule. Matches of different rules may overlap. */
export function findBuiltin(text: string, rules: readonly BuiltinRule[]): readonly BuiltinMatch[] {
  if (rules.length === 0) return [];
  const folded = foldFullWidth(text);
  const hasDigit = /\d/.test(folded);
  // Most texts have no number that a rule accepts, and need not be searched for ids.
  let opaque: readonly Range[] | null = null;
  const found: BuiltinMatch[] = [];
  for (const rule of rules) {
    if (rule.numeric && !hasDigit) continue;
    if (rule.hints !== undefined && !rule.hints.some((hint) => folded.includes(hint))) continue;
    if (rule.likely !== undefined && !rule.likely.test(folded)) continue;
    let passed = 0;
    for (const match of folded.matchAll(rule.pattern)) {
      const value = match[1] ?? match[0];
      if (rule.accept !== undefined && !rule.accept(value, match[0])) continue;
      const start = match.index + match[0].lastIndexOf(value);
      const end = start + value.length;
      if (rule.numeric) {
        opaque ??= findOpaqueIds(folded);
        // Both lists ascend, so one walk over the ids is enough for all matches of a rule.
        while ((opaque[passed]?.[1] ?? end) < end) passed += 1;
        if ((opaque[passed]?.[0] ?? end) <= start) continue;
      }
      found.push({ start, end, rule, value });
    }
  }
  return found;
}

type Range = readonly [start: number, end: number];

function findOpaqueIds(text: string): readonly Range[] {
  return Array.from(text.matchAll(OPAQUE_IDS), (match): Range => [match.index, match.index + match[0].length]);
}
