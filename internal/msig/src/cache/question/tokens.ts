/** What a question is made of, in its order. */
export interface Token {
  readonly kind: 'identifier' | 'number' | 'quoted' | 'word' | 'han' | 'symbol';
  readonly text: string;
  /** Where its clause begins here, a capital letter says nothing. */
  readonly isFirst: boolean;
}

/** Chinese has no spaces: what stands behind one of its characters may begin there. */
const NO_LETTER_BEFORE = String.raw`(?<!(?!\p{Script=Han})[\p{L}\p{N}])`;

/**
 * In this order, for the first that fits wins. No part can run away on long input: each repeats
 * single characters of one class, or a bounded number of groups.
 */
const PARTS: readonly (readonly [Token['kind'], string])[] = [
  ['quoted', String.raw`"[^"\n]{1,400}"|“[^”\n]{1,400}”|「[^」\n]{1,400}」|『[^』\n]{1,400}』|《[^》\n]{1,400}》|${'`'}[^${'`'}\n]{1,400}${'`'}|${NO_LETTER_BEFORE}['‘][^'’\n]{1,400}['’](?![\p{L}\p{N}])`],
  // Addresses of the web, of people, of machines.
  ['identifier', String.raw`[A-Za-z][A-Za-z0-9+.-]{1,20}://[^\s"'<>，。；！？]+|[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}`],
  ['identifier', String.raw`(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?:/\d{1,2})?(?::\d{1,5})?(?![\d.]*\d)|(?<![\w:])(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{0,4}(?:/\d{1,3})?(?![\w:])`],
  // Paths of files and of the registry.
  ['identifier', String.raw`[A-Za-z]:\\[^\s"'，。；]*|\\\\[^\s"'，。；]+|${NO_LETTER_BEFORE}(?:~|\.{1,2})?/[\w.@%+-][\w./@%+-]*|[A-Z]{2,8}\\[\w.\\-]+`],
  // Names with digits, dots, underscores: hosts, versions, CVE-2024-3094, T1059.001, KB5034441, user_id, win10, 10GB.
  ['identifier', String.raw`${NO_LETTER_BEFORE}(?<!_)(?=[A-Za-z0-9_.-]{0,80}?(?:[A-Za-z_][.-]?[0-9]|[0-9][.-]?[A-Za-z_]|[A-Za-z0-9]_|_[A-Za-z0-9]|[A-Za-z]\.[A-Za-z]{2}))[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,200}[A-Za-z0-9_])?`],
  ['number', String.raw`(?:${NO_LETTER_BEFORE}[-−+])?[$€£¥]?(?:${NO_LETTER_BEFORE}\.)?\d{1,40}(?:[.,:/-]\d{1,40}){0,8}[%‰°]?`],
  ['han', String.raw`\p{Script=Han}`],
  ['word', String.raw`(?:(?!\p{Script=Han})[\p{L}\p{M}])+(?:['’](?:(?!\p{Script=Han})\p{L})+)*`],
  // Operators too; a dash with space around it and a mark of exclamation behind a number may be some.
  ['symbol', String.raw`!=|[<>]=|->|\p{S}|\p{N}|[#%&@*/\\()[\]{}]|(?<=\s)[-−](?=\s)|(?<=[\p{N}\p{L})])!(?=\s*[-+*/=])|(?<=\d)!`],
];

const TOKEN = new RegExp(PARTS.map(([, pattern]) => `(${pattern})`).join('|'), 'gu');
/** What ends a clause, between two tokens. */
const CLAUSE_END = /[.!?;:\n。！？；：]/;

const RAISED_OR_LOWERED = /[²³¹⁰-ₜ]/;

/** Bounded by the caller: what is longer than a question is none. */
export function toTokens(text: string): readonly Token[] {
  // What is raised or lowered is another number; everything else is only another way to write a sign.
  const plain = RAISED_OR_LOWERED.test(text) ? text.normalize('NFC') : text.normalize('NFKC');
  const tokens: Token[] = [];
  let end = 0;
  for (const match of plain.matchAll(TOKEN)) {
    const at = match.slice(1).findIndex((part) => part !== undefined);
    const kind = PARTS[at]?.[0] ?? 'symbol';
    tokens.push({ kind, text: tidy(kind, match[0]), isFirst: end === 0 || CLAUSE_END.test(plain.slice(end, match.index)) });
    end = match.index + match[0].length;
  }
  return tokens;
}

/** The same thing, written one way. */
function tidy(kind: Token['kind'], text: string): string {
  if (kind === 'quoted') return text.slice(1, -1);
  if (kind === 'number') return text.replaceAll('−', '-').replace(/^(-?)\./, '$10.').replace(/(?<=\d),(?=\d{3}(?!\d))/g, '');
  if (kind === 'identifier') return hasCase(text) ? text : text.toLowerCase();
  return kind === 'word' ? text.replaceAll('’', "'") : text;
}

/** Paths and the tails of URLs know case, units (10Mb, 10MB) and drawn ids (dQw4w9W) too; names of hosts, hashes, advisories do not. */
function hasCase(identifier: string): boolean {
  if (/^[0-9a-f]{16,}$/i.test(identifier)) return false;
  return /[/\\]/.test(identifier) || /^\d/.test(identifier) || (!/[.@]/.test(identifier) && /\p{Ll}.*\p{Lu}/u.test(identifier));
}
