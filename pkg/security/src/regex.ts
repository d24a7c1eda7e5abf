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
    return { ok: true, regex: toUserRegex(compiled) };
  } catch (thrown) {
    const reason = thrown instanceof Error ? thrown.message.replace(/^error parsing regexp: /, '') : 'unknown error';
    return { ok: false, problem: `RE2 refuses the regular expression: ${reason}; RE2 has no lookaround and no backreferences` };
  }
}

function toUserRegex(compiled: RE2JS): UserRegex {
  return {
    test: (text) => compiled.test(text),
    spans: (text) => {
      // `test` runs on the fast automaton; most texts end here.
      if (!compiled.test(text)) return [];
      const spans: [number, number][] = [];
      const matcher = compiled.matcher(text);
      while (matcher.find()) {
        if (matcher.end() > matcher.start()) spans.push([matcher.start(), matcher.end()]);
      }
      return spans;
    },
  };
}
