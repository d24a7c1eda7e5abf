import { RE2JS } from 're2js';
import { SECURITY_LIMITS } from './limits.ts';

/** A user's regular expression, run by RE2: time linear in the text, whatever the pattern. */
export interface UserRegex {
  /** Is there a match anywhere in `text`? */
  test(text: string): boolean;
  /** Every match that is not empty, as [start, end) in UTF-16 units, left to right. */
  spans(text: string): readonly (readonly [number, number])[];
}

export type RegexResult = { readonly ok: true; readonly regex: UserRegex } | { readonly ok: false; readonly problem: string };

/** Compiles a pattern written by a user. `problem` says what is wrong and the cure. */
export function compileRegex(pattern: string): RegexResult {
  if (pattern.length === 0) return { ok: false, problem: 'the regular expression is empty; write a pattern' };
  if (pattern.length > SECURITY_LIMITS.regexChars) {
    return { ok: false, problem: `the regular expression has ${pattern.length} characters; at most ${SECURITY_LIMITS.regexChars} are allowed` };
  }
  try {
    const compiled = RE2JS.compile(pattern);
    if (compiled.programSize() > SECURITY_LIMITS.regexProgramSize) {
      return { ok: false, problem: 'the regular expression is too large when compiled; use smaller repeat counts' };
    }
    return { ok: true, regex: toUserRegex(compiled, isWithinWords(pattern)) };
  } catch (thrown) {
    const reason = thrown instanceof Error ? thrown.message.replace(/^error parsing regexp: /, '') : 'unknown error';
    return { ok: false, problem: `RE2 refuses the regular expression: ${reason}; RE2 has no lookaround and no backreferences` };
  }
}

/** `withinWords`: a blank is never part of a match, so that the text may be cut at blanks. */
function toUserRegex(compiled: RE2JS, withinWords: boolean): UserRegex {
  return {
    test: (text) => compiled.test(text),
    spans: (text) => {
      // `test` runs on the fast automaton; most texts end here. Finding out where takes seven times as long.
      if (!compiled.test(text)) return [];
      if (!withinWords || text.length <= BLOCK_CHARS) return findSpans(compiled, text, 0);
      const spans: Span[] = [];
      for (let start = 0; start < text.length; ) {
        const end = endOfBlock(text, start);
        const block = text.slice(start, end);
        if (compiled.test(block)) spans.push(...findSpans(compiled, block, start));
        start = end;
      }
      return spans;
    },
  };
}

type Span = readonly [number, number];

function findSpans(compiled: RE2JS, text: string, offset: number): readonly Span[] {
  const spans: Span[] = [];
  const matcher = compiled.matcher(text);
  while (matcher.find()) {
    if (matcher.end() > matcher.start()) spans.push([offset + matcher.start(), offset + matcher.end()]);
  }
  return spans;
}

/** Long enough that most blocks hold nothing, short enough that one that does costs little. */
const BLOCK_CHARS = 256;

/** Behind the first blank after so many characters, or the end. */
function endOfBlock(text: string, start: number): number {
  const blank = /[ \t\r\n]/g;
  blank.lastIndex = start + BLOCK_CHARS;
  const match = blank.exec(text);
  return match === null ? text.length : match.index + 1;
}

/**
 * Only plain characters, classes of them, `\d`, `\w`, `\b`, groups and repeats: such a pattern never
 * matches a blank, and a blank is to `\b` what the end of the text is. Anything else, such as a dot,
 * an anchor or a negated class, may look beyond a word.
 */
function isWithinWords(pattern: string): boolean {
  return /^(?:[A-Za-z0-9_@%:/#,!~=<>|&;'"-]|\\[dwb.+*?()[\]{}|/@-]|[()*+?]|\{\d{1,4}(?:,\d{0,4})?\}|\[(?:[A-Za-z0-9_@%:/#.+-]|\\[dw.-])+\])+$/.test(pattern);
}
