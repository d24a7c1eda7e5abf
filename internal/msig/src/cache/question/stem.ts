/**
 * A light stem: the plural and the third person go, and `-ing`; tenses stay, for what was blocked
 * is not what is to be blocked. Equal stems of different words are rare and harmless; different
 * stems of one word cost a hit.
 */
export function stem(word: string): string {
  return withoutE(withoutIng(withoutS(word)));
}

function withoutS(word: string): string {
  if (word.length < 4 || !word.endsWith('s') || /(?:ss|us|is|as|os)$/.test(word)) return word;
  if (/[^aeiou]ies$/.test(word)) return `${word.slice(0, -3)}y`;
  return /(?:ss|sh|ch|x|z)es$/.test(word) ? word.slice(0, -2) : word.slice(0, -1);
}

function withoutIng(word: string): string {
  if (word.length < 6 || !word.endsWith('ing')) return word;
  const rest = word.slice(0, -3);
  if (!/[aeiouy]/.test(rest)) return word;
  return /([^aeiouls])\1$/.test(rest) ? rest.slice(0, -1) : rest;
}

const withoutE = (word: string): string => (word.length > 4 && word.endsWith('e') ? word.slice(0, -1) : word);
