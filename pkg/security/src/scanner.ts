import { createHash } from 'node:crypto';
import { BUILTIN_RULES, isSecretKey } from './builtin-rules.ts';
import { findBuiltin } from './find-spans.ts';
import { SECURITY_LIMITS } from './limits.ts';
import { foldFullWidth, toPlainText } from './normalise.ts';
import type { PiiAction, PiiRule } from './pii.ts';
import { compileRegex } from './regex.ts';
import type { UserRegex } from './regex.ts';

/** A stretch of the text that must not leave: `[start, end)` in UTF-16 units, never empty. */
export interface Finding {
  readonly start: number;
  readonly end: number;
  /** Name of the policy's rule, or kind of the built-in recogniser. */
  readonly rule: string;
  /** As the policy has it; `mask` for what a built-in recogniser found. */
  readonly action: PiiAction;
}

/** Finds what a masker would mask, for whoever puts something else in its place. Pure but for what it remembers to be clean. */
export interface Scanner {
  /** In order, without overlaps. The whole text is looked at: the caller bounds its length. */
  readonly scan: (text: string) => readonly Finding[];
  /** Is a text under this key of a JSON object a secret whatever it looks like? */
  readonly isSecretKey: (key: string) => boolean;
}

export interface ScannerOptions {
  readonly policyRules: readonly PiiRule[];
  /** Run the built-in pack too, and know the names of secrets. */
  readonly builtin: boolean;
}

/** @throws RangeError when a rule's regex is refused by RE2, or there are too many rules. */
export function createScanner({ policyRules, builtin }: ScannerOptions): Scanner {
  if (policyRules.length > SECURITY_LIMITS.policyRules) throw new RangeError(`at most ${SECURITY_LIMITS.policyRules} masking rules are allowed`);
  const groups = groupRules(policyRules.map(compileRule));
  const builtinRules = builtin ? BUILTIN_RULES : [];
  const clean = createCleanTexts();

  const findByPolicy = (text: string): readonly Ranked[] => groups.flatMap((group) => findPolicy(text, group));
  const findByBuiltin = (text: string): readonly Ranked[] => findBuiltin(text, builtinRules).map(({ start, end, rule }) => ({ start, end, rule: rule.kind, action: 'mask', rank: RANKS.builtin }));
  /** In the text as it is and as a model would read it: what only one of them shows counts too. */
  const findAll = (text: string): readonly Ranked[] => {
    const folded = foldFullWidth(text);
    const plain = toPlainText(folded);
    return [
      ...findByPolicy(text),
      ...(folded === text ? [] : findByPolicy(folded)),
      ...findByBuiltin(folded),
      ...(plain === null ? [] : [...findByPolicy(plain.text), ...findByBuiltin(plain.text)].map((each) => inOriginal(each, plain.removed))),
    ];
  };
  return {
    scan: (text) => {
      const key = clean.keyOf(text);
      if (clean.has(key)) return [];
      const found = findAll(text);
      if (found.length === 0) clean.add(key);
      return mergeOverlaps(found);
    },
    isSecretKey: builtin ? isSecretKey : () => false,
  };
}

interface Ranked extends Finding {
  readonly rank: number;
}

/** Who names what two have found; a removal wins, for what it covers must not come back. */
const RANKS = { redact: 2, policy: 1, builtin: 0 } as const;

interface CompiledRule {
  readonly rule: PiiRule;
  readonly regex: UserRegex;
}

function compileRule(rule: PiiRule): CompiledRule {
  const compiled = compileRegex(rule.regex);
  if (!compiled.ok) throw new RangeError(`masking rule '${rule.name}': ${compiled.problem}`);
  return { rule, regex: compiled.regex };
}

interface RuleGroup {
  readonly rules: readonly CompiledRule[];
  /** Is there a match of any of them? One walk over the text instead of one for each; null: ask each. */
  readonly any: UserRegex | null;
}

/** As many rules together as one regular expression may be long. */
function groupRules(rules: readonly CompiledRule[]): readonly RuleGroup[] {
  const groups: RuleGroup[] = [];
  let open: CompiledRule[] = [];
  for (const rule of rules) {
    if (open.length > 0 && tryTogether([...open, rule]) === null) {
      groups.push({ rules: open, any: tryTogether(open) });
      open = [];
    }
    open.push(rule);
  }
  if (open.length > 0) groups.push({ rules: open, any: tryTogether(open) });
  return groups;
}

function tryTogether(rules: readonly CompiledRule[]): UserRegex | null {
  if (rules.length === 1) return null;
  const compiled = compileRegex(rules.map(({ rule }) => `(?:${rule.regex})`).join('|'));
  return compiled.ok ? compiled.regex : null;
}

function findPolicy(text: string, { rules, any }: RuleGroup): readonly Ranked[] {
  if (any !== null && !any.test(text)) return [];
  return rules.flatMap(({ rule, regex }) =>
    regex.spans(text).map(([start, end]): Ranked => ({ start, end, rule: rule.name, action: rule.action, rank: rule.action === 'redact' ? RANKS.redact : RANKS.policy })),
  );
}

function inOriginal(found: Ranked, removed: readonly number[]): Ranked {
  return { ...found, start: toOriginal(found.start, removed), end: toOriginal(found.end - 1, removed) + 1 };
}

/** The place of a character in the text as it was, from its place in the text without those at `removed`. */
function toOriginal(place: number, removed: readonly number[]): number {
  let low = 0;
  let high = removed.length;
  // How many were removed before it: the first whose own place, less those before it, lies beyond.
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((removed[middle] ?? 0) - middle <= place) low = middle + 1;
    else high = middle;
  }
  return place + low;
}

/** Spans that overlap become one, so that no rest of a secret shows. */
function mergeOverlaps(found: readonly Ranked[]): readonly Finding[] {
  const merged: Ranked[] = [];
  for (const next of found.toSorted((a, b) => a.start - b.start || b.end - a.end)) {
    const open = merged.at(-1);
    if (open === undefined || next.start >= open.end) merged.push(next);
    else merged[merged.length - 1] = { ...(next.rank > open.rank ? next : open), start: open.start, end: Math.max(open.end, next.end) };
  }
  return merged.map(({ start, end, rule, action }) => ({ start, end, rule, action }));
}

interface CleanTexts {
  readonly keyOf: (text: string) => string;
  readonly has: (key: string) => boolean;
  readonly add: (key: string) => void;
}

/**
 * A conversation comes again with each of its turns, and an agent's instructions with each run.
 * Long texts are remembered by their SHA-256 of the UTF-16 units (UTF-8 would make lone surrogates
 * equal). Two generations: the elder goes when the younger is full.
 */
function createCleanTexts(): CleanTexts {
  let young = new Set<string>();
  let old = new Set<string>();
  return {
    keyOf: (text) => (text.length <= SECURITY_LIMITS.cleanTextChars ? `=${text}` : `#${createHash('sha256').update(text, 'utf16le').digest('base64')}`),
    has: (key) => young.has(key) || old.has(key),
    add: (key) => {
      if (young.size >= SECURITY_LIMITS.scannedTexts) {
        old = young;
        young = new Set();
      }
      young.add(key);
    },
  };
}
