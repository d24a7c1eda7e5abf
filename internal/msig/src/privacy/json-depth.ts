/** How many texts of JSON are open at a place, each within the one around it: so often is escaped what is put there. */
export interface JsonDepth {
  /** Reads on; returns how deep the place after `text` is. */
  readonly after: (text: string) => number;
}

const BACKSLASH = 0x5c;
const QUOTE = 0x22;
const BRACKETS: readonly number[] = [0x7b, 0x5b];
const SPACE = 0x20;
/** `\n`, `\r` and `\t`, as blanks are written in a text. */
const ESCAPED_BLANKS: readonly number[] = [0x6e, 0x72, 0x74];

/** What a text begins with: nothing yet, brackets of JSON, or anything else. */
type Beginning = 'nothing' | 'brackets' | 'words';

/**
 * Reads JSON that comes in pieces. A text in it is JSON too where it begins with a bracket and then,
 * after more of them and blanks, a quote: quotation marks in prose open nothing.
 */
export function createJsonDepth(): JsonDepth {
  let depth = 0;
  /** Texts up to this depth are JSON; 0: only what is around them all. */
  let jsonDepth = 0;
  let beginning: Beginning = 'nothing';
  let backslashes = 0;

  const quote = (level: number): void => {
    if (level <= depth) {
      depth = level - 1;
      jsonDepth = Math.min(jsonDepth, depth);
      beginning = 'words';
      return;
    }
    if (level !== depth + 1 || (jsonDepth < depth && beginning !== 'brackets')) {
      beginning = 'words';
      return;
    }
    jsonDepth = depth;
    depth = level;
    beginning = 'nothing';
  };
  const other = (code: number): void => {
    const isBlank = backslashes > 0 ? ESCAPED_BLANKS.includes(code) : code <= SPACE;
    if (isBlank || beginning === 'words') return;
    beginning = backslashes === 0 && BRACKETS.includes(code) ? 'brackets' : 'words';
  };
  return {
    after: (text) => {
      for (let at = 0; at < text.length; at += 1) {
        const code = text.charCodeAt(at);
        if (code === BACKSLASH) {
          backslashes += 1;
          continue;
        }
        if (code === QUOTE) quote(levelOf(backslashes));
        else other(code);
        backslashes = 0;
      }
      return depth;
    },
  };
}

/**
 * At which depth a quote with so many backslashes begins or ends a text: each depth doubles them and
 * adds one, and a backslash that is escaped itself says nothing. So it is the ones at the end of the
 * binary number: 0, 1, 3, 7 are one to four deep; `C:\\"` with two is one deep.
 */
function levelOf(backslashes: number): number {
  let level = 1;
  for (let rest = backslashes; rest % 2 === 1; rest = (rest - 1) / 2) level += 1;
  return level;
}
