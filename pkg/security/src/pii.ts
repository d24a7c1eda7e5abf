import { createHmac } from 'node:crypto';
import { BUILTIN_RULES, isSecretKey } from './builtin-rules.ts';
import type { BuiltinRule } from './builtin-rules.ts';
import { findBuiltin } from './find-spans.ts';
import type { JsonValue } from './json.ts';
import { SECURITY_LIMITS } from './limits.ts';
import { compileRegex } from './regex.ts';
import type { UserRegex } from './regex.ts';
import { toStorable } from './storable.ts';

declare const sanitized: unique symbol;

/** Text that a masker has seen. Nothing else can make one, so what demands it cannot be given raw text (R10). */
export type Sanitized = string & { readonly [sanitized]: true };

/**
 * What becomes of a match: `mask` replaces it by `*******`, `redact` removes it, `hash` replaces it by a keyed
 * hash (`hash:` and 16 hex digits), so that equal values stay recognisable as equal.
 */
export type PiiAction = 'mask' | 'redact' | 'hash';

export interface PiiRule {
  readonly name: string;
  /** RE2 syntax; run as it is written. */
  readonly regex: string;
  readonly action: PiiAction;
}

export interface MaskerOptions {
  /** The policy's own rules, run verbatim. */
  readonly policyRules: readonly PiiRule[];
  /** Run the built-in pack too (phones, identity cards, bank cards, addresses, keys, tokens, passwords). */
  readonly builtin: boolean;
  /** Key of the hashes, at least 16 bytes. Equal keys give equal hashes. */
  readonly hashKey: string | Uint8Array;
}

/** Pure and total: the same text gives the same masked text. */
export interface Masker {
  /** The masked text, fit for PostgreSQL (no NUL, no lone surrogate), at most 1 Mi characters. */
  maskText(text: string): string;
  /** A masked copy: keys and values. Text under a key such as `password` is masked whatever it looks like. */
  maskJson(value: JsonValue): JsonValue;
  sanitize(text: string): Sanitized;
  /** Compact JSON text of the masked value, keys sorted (RFC 8785). */
  sanitizeJson(value: JsonValue): Sanitized;
}

export const MASK = '*******';

/** @throws RangeError when a rule's regex is refused by RE2, there are too many rules, or the key is short. */
export function createMasker(options: MaskerOptions): Masker {
  if (Buffer.byteLength(options.hashKey) < SECURITY_LIMITS.hashKeyBytes) {
    throw new RangeError(`hashKey must have at least ${SECURITY_LIMITS.hashKeyBytes} bytes`);
  }
  if (options.policyRules.length > SECURITY_LIMITS.policyRules) {
    throw new RangeError(`at most ${SECURITY_LIMITS.policyRules} masking rules are allowed`);
  }
  const hash: KeyedHash = (text, hexDigits) => createHmac('sha256', options.hashKey).update(text).digest('hex').slice(0, hexDigits);
  const policyRules = options.policyRules.map(compileRule);
  const builtinRules = options.builtin ? BUILTIN_RULES : [];

  // Names of tools, rules and agents come again with every audit row. Only texts in which nothing was found are kept, with
  // their JSON text.
  const clean = new Map<string, string>();

  const maskText = (raw: string): string => {
    if (clean.has(raw)) return raw;
    const text = cut(toStorable(raw));
    const masked = replaceSpans(text, [...policySpans(text, policyRules, hash), ...builtinSpans(text, builtinRules, hash)]);
    if (masked === raw && raw.length <= SECURITY_LIMITS.cleanTextChars) {
      if (clean.size >= SECURITY_LIMITS.cleanTexts) clean.clear();
      clean.set(raw, JSON.stringify(raw));
    }
    return masked;
  };
  // Keys are few and come again with every value; a text that nobody has seen must not grow this for ever.
  const keys = new Map<string, boolean>();
  const isSecret = (key: string): boolean => {
    const known = keys.get(key);
    if (known !== undefined) return known;
    if (keys.size >= SECURITY_LIMITS.cleanTexts) keys.clear();
    const secret = isSecretKey(key);
    keys.set(key, secret);
    return secret;
  };
  const isSecretName = options.builtin ? isSecret : (): boolean => false;
  const maskJson = (value: JsonValue): JsonValue => walk(value, { maskText, isSecretKey: isSecretName, nodes: 0 }, 0);
  const maskedText = (raw: string): string => clean.get(raw) ?? JSON.stringify(maskText(raw));
  const plainKeys = new Map<string, string | null>();
  const plainKey = (key: string): string | null => {
    const known = plainKeys.get(key);
    if (known !== undefined) return known;
    const text = key === 'value' || isSecretName(key) || maskText(key) !== key ? null : `${JSON.stringify(key)}:`;
    if (key.length <= SECURITY_LIMITS.cleanTextChars) {
      if (plainKeys.size >= SECURITY_LIMITS.cleanTexts) plainKeys.clear();
      plainKeys.set(key, text);
    }
    return text;
  };
  return {
    maskText,
    maskJson,
    sanitize: (text) => maskText(text) as Sanitized,
    sanitizeJson: (value) => (toMaskedText(value, { maskedText, plainKey, nodes: 0 }) ?? toSortedJson(maskJson(value))) as Sanitized,
  };
}

type KeyedHash = (text: string, hexDigits: number) => string;

/** A stretch of the text and what stands in its place. Spans of the policy come first in the list and win. */
interface Span {
  readonly start: number;
  readonly end: number;
  readonly replacement: string;
  readonly policy: boolean;
}

interface CompiledRule {
  readonly action: PiiAction;
  readonly regex: UserRegex;
}

function compileRule(rule: PiiRule): CompiledRule {
  const compiled = compileRegex(rule.regex);
  if (!compiled.ok) throw new RangeError(`masking rule '${rule.name}': ${compiled.problem}`);
  return { action: rule.action, regex: compiled.regex };
}

function policySpans(text: string, rules: readonly CompiledRule[], hash: KeyedHash): Span[] {
  return rules.flatMap((rule) =>
    rule.regex.spans(text).map(([start, end]) => ({ start, end, replacement: replacementOf(rule.action, text.slice(start, end), hash), policy: true })),
  );
}

function replacementOf(action: PiiAction, value: string, hash: KeyedHash): string {
  if (action === 'redact') return '';
  return action === 'hash' ? `hash:${hash(value, 16)}` : MASK;
}

function builtinSpans(text: string, rules: readonly BuiltinRule[], hash: KeyedHash): Span[] {
  return findBuiltin(text, rules).map(({ start, end, rule, value }) => ({ start, end, replacement: labelOf(rule, value, hash), policy: false }));
}

/** Addresses keep their identity as a keyed hash: an auditor can follow one without seeing it. */
function labelOf(rule: BuiltinRule, value: string, hash: KeyedHash): string {
  if (rule.address !== true) return `[masked:${rule.kind}]`;
  const canonical = value.toLowerCase().replaceAll(/[[\]()]/g, '');
  return `[${rule.kind}:${hash(canonical, 8)}]`;
}

/** One pass over the original text. Spans that overlap become one, so that no rest of a secret shows. */
function replaceSpans(text: string, spans: readonly Span[]): string {
  if (spans.length === 0) return text;
  const ordered = spans.toSorted((a, b) => a.start - b.start || b.end - a.end);
  let result = '';
  let done = 0;
  let open: Span | undefined;
  for (const span of ordered) {
    if (open === undefined || span.start >= open.end) {
      if (open !== undefined) result += open.replacement;
      result += text.slice(open?.end ?? done, span.start);
      open = span;
      continue;
    }
    const winner = span.policy && !open.policy ? span : open;
    open = { ...winner, start: open.start, end: Math.max(open.end, span.end) };
  }
  if (open !== undefined) {
    result += open.replacement;
    done = open.end;
  }
  return result + text.slice(done);
}

/** Cuts a text that is too long. The word at the edge goes too: half a secret would not be recognised. */
function cut(text: string): string {
  const limit = SECURITY_LIMITS.maskTextChars;
  if (text.length <= limit) return text;
  const head = toStorable(text.slice(0, limit));
  const edge = /\s\S{0,8192}$/.exec(head.slice(-8193))?.[0].length ?? Math.min(8192, head.length);
  const kept = head.slice(0, head.length - edge);
  return `${kept} [cut: ${text.length - kept.length} characters]`;
}

interface Walk {
  readonly maskText: (text: string) => string;
  /** Is what stands under this key a secret whatever it looks like? Never, where names of keys are not looked at. */
  readonly isSecretKey: (key: string) => boolean;
  nodes: number;
}

function walk(value: JsonValue, state: Walk, depth: number): JsonValue {
  state.nodes += 1;
  if (state.nodes > SECURITY_LIMITS.maskJsonNodes || depth > SECURITY_LIMITS.maskJsonDepth) return '[cut]';
  if (typeof value === 'string') return state.maskText(value);
  if (typeof value === 'number') return walkNumber(value, state);
  if (typeof value !== 'object' || value === null) return typeof value === 'boolean' ? value : null;
  if (Array.isArray(value)) return value.map((item: JsonValue) => walk(item, state, depth + 1));
  return walkObject(value as { readonly [key: string]: JsonValue }, state, depth);
}

/** A phone number is one even when it is written as a JSON number. */
function walkNumber(value: number, state: Walk): JsonValue {
  if (!Number.isFinite(value)) return null;
  if (!Number.isInteger(value) || Math.abs(value) < 1e6) return value;
  const text = String(value);
  const masked = state.maskText(text);
  return masked === text ? value : masked;
}

function walkObject(value: { readonly [key: string]: JsonValue }, state: Walk, depth: number): JsonValue {
  const result: { [key: string]: JsonValue } = {};
  const named = Object.hasOwn(value, 'value') && ['name', 'key'].some((field) => typeof value[field] === 'string' && Object.hasOwn(value, field) && state.isSecretKey(value[field]));
  for (const key of Object.keys(value)) {
    const item = value[key] ?? null;
    const secret = state.isSecretKey(key) || (named && key === 'value');
    const masked = state.maskText(key);
    let unique = masked;
    for (let n = 2; Object.hasOwn(result, unique); n++) unique = `${masked}#${n}`;
    const shown = secret ? blank(item, state, depth + 1) : walk(item, state, depth + 1);
    // A key `__proto__` stays a key.
    if (unique === '__proto__') Object.defineProperty(result, unique, { value: shown, enumerable: true, configurable: true, writable: true });
    else result[unique] = shown;
  }
  return result;
}

/** Every text and number below a secret key goes; what is empty or boolean stays. */
function blank(value: JsonValue, state: Walk, depth: number): JsonValue {
  if (typeof value === 'string') return value === '' ? '' : MASK;
  if (typeof value === 'number') return MASK;
  if (typeof value !== 'object' || value === null) return walk(value, state, depth);
  state.nodes += 1;
  if (state.nodes > SECURITY_LIMITS.maskJsonNodes || depth > SECURITY_LIMITS.maskJsonDepth) return '[cut]';
  if (Array.isArray(value)) return value.map((item: JsonValue) => blank(item, state, depth + 1));
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [state.maskText(key), blank(item, state, depth + 1)]));
}

interface ShortWalk {
  /** JSON text of a masked text. */
  readonly maskedText: (text: string) => string;
  /** JSON text of a key that is shown as it is, with its colon; null: a secret is under it, or it is masked itself. */
  readonly plainKey: (key: string) => string | null;
  nodes: number;
}

/** What is larger or deeper is left to the full walk, which has all the limits. */
const SMALL_DEPTH = 8;
const SMALL_NODES = 512;

/**
 * What `toSortedJson` of `maskJson` gives, in one pass and without a copy, for what nearly every audit row is: small
 * objects whose keys are names. null: not such a value (a key is masked or a secret, or there is much of it).
 */
function toMaskedText(value: JsonValue, state: ShortWalk, depth = 0): string | null {
  state.nodes += 1;
  if (state.nodes > SMALL_NODES || depth > SMALL_DEPTH) return null;
  if (typeof value === 'string') return state.maskedText(value);
  if (typeof value === 'boolean' || value === null) return String(value);
  // A number may be a phone number.
  if (typeof value === 'number') return Math.abs(value) < 1e6 ? JSON.stringify(value) : null;
  if (typeof value !== 'object') return null;
  if (Array.isArray(value)) return toMaskedList(value as readonly JsonValue[], state, depth);
  const object = value as { readonly [key: string]: JsonValue };
  const keys = Object.keys(object).sort();
  let text = '{';
  for (const key of keys) {
    const name = state.plainKey(key);
    if (name === null) return null;
    const member = toMaskedText(object[key] ?? null, state, depth + 1);
    if (member === null) return null;
    text += text.length === 1 ? name + member : `,${name}${member}`;
  }
  return `${text}}`;
}

function toMaskedList(list: readonly JsonValue[], state: ShortWalk, depth: number): string | null {
  const items: string[] = [];
  for (const item of list) {
    const text = toMaskedText(item, state, depth + 1);
    if (text === null) return null;
    items.push(text);
  }
  return `[${items.join(',')}]`;
}

function toSortedJson(value: JsonValue): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(toSortedJson).join(',')}]`;
  const object = value as { readonly [key: string]: JsonValue };
  const members = Object.keys(object).sort().map((key) => `${JSON.stringify(key)}:${toSortedJson(object[key] ?? null)}`);
  return `{${members.join(',')}}`;
}
