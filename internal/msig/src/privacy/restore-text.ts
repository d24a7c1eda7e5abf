import type { JsonDepth } from './json-depth.ts';
import { HEX_DIGITS, KIND_CHARS_MAX } from './placeholders.ts';
import type { Placeholders } from './placeholders.ts';
import { EGRESS_LIMITS } from './scan-body.ts';

/** Puts originals in place of placeholders, in text that is whole or comes in pieces. */
export interface TextRestorer {
  readonly whole: (text: string, syntax: Syntax) => string;
  /** `ready` can be passed on; `held` is at most `HELD_CHARS_MAX` characters that may become a placeholder. */
  readonly piece: (text: string, syntax: Syntax) => { readonly ready: string; readonly held: string };
}

/** Of a text that is JSON itself: how deep in it the text goes on, so that what is put there is escaped as often. */
export type Syntax = 'plain' | JsonDepth;

/** Each underscore of a kind may have two backslashes before it, and a bracket be written as an escape. */
export const HELD_CHARS_MAX = 3 * KIND_CHARS_MAX + HEX_DIGITS + 24;

/**
 * Models do not always copy to the letter. Accepted: other case, one blank inside the brackets,
 * Markdown's backslash before an underscore, and in JSON the brackets as escapes. A placeholder that
 * is none of this request's stays as it is.
 */
export function createTextRestorer({ originals, kinds }: Pick<Placeholders, 'originals' | 'kinds'>): TextRestorer {
  const patterns = { plain: toPatterns([...kinds], 'plain'), json: toPatterns([...kinds], 'json') };
  const patternsOf = (syntax: Syntax): Patterns => (syntax === 'plain' ? patterns.plain : patterns.json);
  const whole: TextRestorer['whole'] = (text, syntax) => {
    let read = 0;
    const depthAt = (at: number): number => {
      const before = text.slice(read, at);
      read = at;
      return syntax === 'plain' ? 0 : Math.max(1, syntax.after(before));
    };
    const restored = text.replace(patternsOf(syntax).whole, (placeholder, digits: string, at: number) => {
      const original = originals.get(digits.toLowerCase());
      return original === undefined ? placeholder : escaped(original, depthAt(at));
    });
    depthAt(text.length);
    return restored;
  };
  return {
    whole,
    piece: (text, syntax) => {
      const tailStart = Math.max(0, text.length - HELD_CHARS_MAX);
      const match = patternsOf(syntax).beginning.exec(text.slice(tailStart));
      if (match === null) return { ready: whole(text, syntax), held: '' };
      const cut = tailStart + match.index;
      return { ready: whole(text.slice(0, cut), syntax), held: text.slice(cut) };
    },
  };
}

/** Nothing is masked deeper, and each time may double it. */
function escaped(original: string, times: number): string {
  let text = original;
  for (let done = 0; done < Math.min(times, EGRESS_LIMITS.nestedTexts); done += 1) text = JSON.stringify(text).slice(1, -1);
  return text;
}

interface Patterns {
  /** A placeholder; its group is the digits. */
  readonly whole: RegExp;
  /** The beginning of one at the end of the text. */
  readonly beginning: RegExp;
}

const UNDERSCORE = ['\\\\{0,2}', '_'];
const DIGIT = '[0-9a-f]';
/** Of an escape four texts deep: each depth doubles them. */
const ESCAPES = '\\\\{1,8}';

function toPatterns(kinds: readonly string[], syntax: 'plain' | 'json'): Patterns {
  const [opening, closing] = syntax === 'json' ? [`(?:<|${ESCAPES}u003c)`, `(?:>|${ESCAPES}u003e)`] : ['<', '>'];
  const openings = syntax === 'json' ? [['<'], escapeSteps('c')] : [['<']];
  const closingSteps = syntax === 'json' ? escapeSteps('e') : [];
  const beginnings = kinds.flatMap((kind) =>
    openings.map((steps) => anyBeginning([...steps, ' ?', ...toSteps(kind), ...UNDERSCORE, ...Array.from({ length: HEX_DIGITS }, () => DIGIT), ' ?', ...closingSteps])),
  );
  return {
    whole: new RegExp(`${opening} ?(?:${kinds.map((kind) => toSteps(kind).join('')).join('|')})${UNDERSCORE.join('')}(${DIGIT}{${HEX_DIGITS}}) ?${closing}`, 'gi'),
    beginning: new RegExp(`(?:${beginnings.join('|')})$`, 'i'),
  };
}

/** `\u003c` and `\u003e`, step by step. */
const escapeSteps = (last: string): readonly string[] => [ESCAPES, 'u', '0', '0', '3', last];

/** A kind is letters, digits and underscores: nothing that a pattern would take for more. */
const toSteps = (kind: string): readonly string[] => kind.split('').flatMap((char) => (char === '_' ? UNDERSCORE : [char]));

/** The first step and as many of the others as there are: `a(?:b(?:c)?)?`. */
const anyBeginning = (steps: readonly string[]): string => steps.reduceRight((rest, step) => (rest === '' ? step : `${step}(?:${rest})?`), '');
