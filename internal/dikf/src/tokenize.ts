import { KNOWLEDGE_LIMITS } from './limits.ts';
import { stem } from './stem.ts';

const CJK = '\\p{Script=Han}\\p{Script=Hiragana}\\p{Script=Katakana}\\p{Script=Hangul}々ー';
/** Either a run of CJK, or words joined by the signs that hold IPs, CVE ids, hosts and paths together. */
const TOKEN = new RegExp(`[${CJK}]+|(?:(?![${CJK}])[\\p{L}\\p{N}\\p{M}])+(?:[._:@/-]{1,3}(?:(?![${CJK}])[\\p{L}\\p{N}\\p{M}])+)*`, 'gu');
const IS_CJK = new RegExp(`^[${CJK}]`, 'u');
const JOINT = /[._:@/-]+/;
const ENGLISH_WORD = /^[a-z]+$/;

/** Words so common in English that they only add length. Chinese needs none: rare bigrams outweigh common ones. */
const STOP_WORDS: ReadonlySet<string> = new Set(
  'a an and are as at be but by do does for from has have how i if in into is it its me my no not of on or our should so such that the their then there these they this to was we what when where which who why will with you your'.split(' '),
);

/**
 * The index terms of a text, in order and with repeats; the same for documents and queries.
 * NFKC and lower case; English words are stemmed; a compound such as `198.51.100.7`,
 * `cve-2024-3094` or `soc@example.com` is kept whole and split into its parts; CJK becomes
 * overlapping pairs of characters (a run of one character: that character).
 */
export function tokenize(text: string): readonly string[] {
  const terms: string[] = [];
  for (const [token] of text.normalize('NFKC').toLowerCase().matchAll(TOKEN)) {
    if (IS_CJK.test(token)) pushPairs(terms, token);
    else pushWords(terms, token);
  }
  return terms;
}

function pushPairs(terms: string[], run: string): void {
  // By code point: rare Han characters lie outside the basic plane.
  const characters = Array.from(run);
  if (characters.length === 1) terms.push(run);
  for (let i = 0; i + 1 < characters.length; i++) terms.push(`${characters[i]}${characters[i + 1]}`);
}

function pushWords(terms: string[], token: string): void {
  const parts = token.split(JOINT);
  if (parts.length > 1) pushTerm(terms, token);
  for (const part of parts) {
    if (STOP_WORDS.has(part)) continue;
    pushTerm(terms, ENGLISH_WORD.test(part) ? stem(part) : part);
  }
}

function pushTerm(terms: string[], term: string): void {
  if (term.length <= KNOWLEDGE_LIMITS.termChars) terms.push(term);
}
