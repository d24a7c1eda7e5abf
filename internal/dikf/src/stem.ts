const HAS_VOWEL = /[aeiouy]/;
const DOUBLE_END = /([^aeioulsz])\1$/;
/** Short words end consonant-vowel-consonant and lost an `e`: `block-ing` does not, `us-ing` does. */
const SHORT_WORD = /^[^aeiou]*[aeiouy][^aeiouwxy]$/;

/**
 * Light English stemming: the inflections of Porter's step 1 (plural, -ed, -ing, final y), after
 * M. F. Porter, "An algorithm for suffix stripping" (1980). The derivational steps 2 to 5 are
 * left out: they merge words (`operation`, `operate`, `operator`) that differ in an SOP.
 * Takes one lower-case ASCII word.
 */
export function stem(word: string): string {
  if (word.length <= 3) return word;
  return finalY(withoutTense(withoutPlural(word)));
}

function withoutPlural(word: string): string {
  if (word.endsWith('sses')) return word.slice(0, -2);
  if (word.endsWith('ies')) return word.length > 4 ? word.slice(0, -2) : word.slice(0, -1);
  if (word.endsWith('ss') || word.endsWith('us') || word.endsWith('is')) return word;
  return word.endsWith('s') ? word.slice(0, -1) : word;
}

function withoutTense(word: string): string {
  if (word.endsWith('eed')) return word.length > 4 ? word.slice(0, -1) : word;
  const suffix = ['ing', 'ed'].find((end) => word.endsWith(end));
  if (suffix === undefined) return word;
  const root = word.slice(0, -suffix.length);
  return root.length < 2 || !HAS_VOWEL.test(root) ? word : repaired(root);
}

/** Gives back the `e` that -ing or -ed took, or drops the letter that they doubled. */
function repaired(root: string): string {
  if (/(?:at|bl|iz)$/.test(root)) return `${root}e`;
  if (DOUBLE_END.test(root)) return root.slice(0, -1);
  return SHORT_WORD.test(root) ? `${root}e` : root;
}

function finalY(word: string): string {
  return word.length > 2 && word.endsWith('y') && HAS_VOWEL.test(word.slice(0, -1)) ? `${word.slice(0, -1)}i` : word;
}
