import { POLICY_LIMITS } from './limits.ts';

/** A name with `*` (any run of characters) and `?` (any one character). Upper and lower case differ. */
export interface Glob {
  readonly source: string;
  /** It holds no wildcard: it is the name itself. */
  readonly exact: boolean;
  matches(name: string): boolean;
}

/** Returns null when `source` is no glob: empty, too long, or with characters that other globs give a meaning to. */
export function parseGlob(source: string): Glob | null {
  if (source.length === 0 || source.length > POLICY_LIMITS.globChars || /[[\]{}!()|^\\\s,]/.test(source)) return null;
  const exact = !/[*?]/.test(source);
  return { source, exact, matches: exact ? (name) => name === source : source === '*' ? () => true : (name) => matchesGlob(source, name) };
}

/** Two pointers and one place to go back to: time is pattern × name at worst, without recursion. */
function matchesGlob(pattern: string, name: string): boolean {
  let p = 0;
  let n = 0;
  let star = -1;
  let resume = 0;
  while (n < name.length) {
    if (p < pattern.length && pattern[p] === '*') {
      star = p;
      p += 1;
      resume = n;
    } else if (p < pattern.length && (pattern[p] === '?' || pattern[p] === name[n])) {
      p += 1;
      n += 1;
    } else if (star >= 0) {
      p = star + 1;
      resume += 1;
      n = resume;
    } else {
      return false;
    }
  }
  while (pattern[p] === '*') p += 1;
  return p === pattern.length;
}
