/** A text as the rules read it, and how it was hidden. */
export interface View {
  readonly how: 'plain' | 'leet' | 'spaced' | 'base64' | 'invisible';
  readonly text: string;
}

/**
 * Draws nothing, or is no character at all: zero-width spaces, joiners, bidi controls, fillers, tags,
 * variation selectors, control characters, halves of pairs. Lines and tabs are what they are.
 */
const UNSEEN = /[\p{DI}\p{Cf}\p{Cc}\p{Cs}](?<![\t\n\r])/gu;
const BLANKS = /\p{Zs}/gu;
/** The minus sign too, which is no dash to Unicode. */
const DASHES = /[\p{Pd}\u2212]/gu;
const FULL_WIDTH = /[\uFF01-\uFF5E]/g;
/** Unicode tags mirror ASCII and draw nothing: a whole message can be written in them. */
const TAGS = /[\u{E0020}-\u{E007E}]/gu;
const MARKS = /\p{Mn}/gu;

/** Letters that look Latin and are not. Only what is lower case after folding is listed. */
const HOMOGLYPHS: ReadonlyMap<string, string> = new Map(
  Object.entries({
    а: 'a', ь: 'b', с: 'c', ԁ: 'd', е: 'e', ё: 'e', һ: 'h', і: 'i', ї: 'i', ј: 'j', к: 'k', ӏ: 'l', м: 'm', п: 'n', о: 'o', р: 'p', ԛ: 'q',
    г: 'r', ѕ: 's', т: 't', и: 'u', ѵ: 'v', ԝ: 'w', х: 'x', у: 'y', в: 'b', н: 'h',
    α: 'a', β: 'b', ϲ: 'c', ε: 'e', η: 'n', ι: 'i', κ: 'k', ν: 'v', ο: 'o', ρ: 'p', τ: 't', υ: 'u', χ: 'x', γ: 'y', ω: 'w', σ: 'o', μ: 'u',
    ı: 'i', ɑ: 'a', ɡ: 'g', ʟ: 'l', ɴ: 'n', ʀ: 'r', ꜱ: 's', ᴀ: 'a', ᴇ: 'e', ɪ: 'i', ᴏ: 'o', ᴜ: 'u',
  }),
);
const FOREIGN = /[\u0131\u0251\u0261\u026A\u0274\u0280\u029F\u0370-\u03FF\u0400-\u052F\u1D00-\u1D2F\uA731]/g;

const LEET: Readonly<Record<string, string>> = { '0': 'o', '1': 'i', '3': 'e', '4': 'a', '5': 's', '7': 't', '@': 'a', $: 's', '!': 'i' };

/** Lower case, compatibility forms folded, look-alikes folded, nothing invisible, blanks single. */
export function fold(text: string): string {
  return text
    // Control characters that part words.
    .replace(/[\v\f\u0085]/g, ' ')
    .replace(UNSEEN, '')
    .normalize('NFKD')
    .replace(MARKS, '')
    .normalize('NFKC')
    .toLowerCase()
    .replace(FOREIGN, (char) => HOMOGLYPHS.get(char) ?? char)
    .replace(/[‘’`´]/g, "'")
    .replace(/[“”«»]/g, '"')
    .replace(/[ \t\u00A0\u3000]+/g, ' ');
}

/** Full-width digits, letters and signs, as Chinese keyboards make them, unit by unit, so that offsets stay the same. */
export function foldFullWidth(text: string): string {
  return text.replace(FULL_WIDTH, (char) => String.fromCharCode(char.charCodeAt(0) - 0xfee0));
}

/** A text without its disguise. */
export interface PlainText {
  readonly text: string;
  /** Places of what is not in it any more, in UTF-16 units of the text as it was. */
  readonly removed: readonly number[];
}

/** Dashes and blanks are plain, and nothing is unseen; null: the text was so already. */
export function toPlainText(text: string): PlainText | null {
  if (!MAYBE_ODD.test(text)) return null;
  // What is longer than its plain sign is filled up with what is then taken out.
  const signs = text.replace(BLANKS, ' ').replace(DASHES, (dash) => '-'.padEnd(dash.length, SOFT_HYPHEN));
  const removed = Array.from(signs.matchAll(UNSEEN), ({ index, 0: char }) => (char.length === 1 ? [index] : [index, index + 1])).flat();
  const plain = removed.length === 0 ? signs : signs.replace(UNSEEN, '');
  return plain === text ? null : { text: plain, removed };
}

/** Every text with something odd has one of these, and most texts have none: a fast look. */
const MAYBE_ODD = /[^\t\n\r -~\u4E00-\u9FFF\u3001\u3002]/;
const SOFT_HYPHEN = '\u00AD';

/** What the text says in Unicode tags, or ''. */
export function readTags(text: string): string {
  return Array.from(text.matchAll(TAGS), (match) => String.fromCharCode((match[0].codePointAt(0) ?? 0) - 0xe0000)).join('');
}

/** `1gn0r3` → `ignore`; only words that mix letters and leet signs change, so that numbers stay numbers. '' when none does. */
export function unleet(folded: string): string {
  let changed = false;
  const text = folded.replace(/[a-z0-9@$!]{3,32}/g, (word) => {
    if (!/[a-z]/.test(word) || !/[013457@$]/.test(word)) return word;
    changed = true;
    return word.replace(/[013457@$!]/g, (sign) => LEET[sign] ?? sign);
  });
  return changed ? text : '';
}

/** `i g n o r e  a l l` and `i.g.n.o.r.e` → their letters without blanks; '' when there is no such run. */
export function squeeze(folded: string): string {
  const runs = folded.match(/(?<![a-z])(?:[a-z][ ._*|/-]{1,3}){7,2000}[a-z](?![a-z])/g);
  return runs === null ? '' : runs.map((run) => run.replace(/[^a-z]/g, '')).join('\n');
}

/** Texts hidden in base64, one level deep, at most `limit.blobs` of them. */
export function decodeBlobs(text: string, limit: { readonly blobs: number; readonly chars: number }): string[] {
  const found: string[] = [];
  for (const match of text.matchAll(/(?<![A-Za-z0-9+/_-])[A-Za-z0-9+/_-]{20,}={0,2}/g)) {
    if (found.length >= limit.blobs) break;
    const decoded = Buffer.from(match[0].slice(0, limit.chars), 'base64').toString('utf8');
    if (isReadable(decoded)) found.push(decoded);
  }
  return found;
}

function isReadable(text: string): boolean {
  if (text.length < 12) return false;
  const odd = text.match(/[^\t\n\r -~\u00A0-\u024F\u3000-\u30FF\u4E00-\u9FFF\uFF00-\uFFEF]/g)?.length ?? 0;
  return odd / text.length < 0.05 && /[ \n\u4E00-\u9FFF]/.test(text);
}
