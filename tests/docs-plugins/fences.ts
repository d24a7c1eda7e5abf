/** A fenced code block of a page. */
export interface Fence {
  readonly language: string;
  /** What stands behind the language: `file=tools.py as=mine` is {file: 'tools.py', as: 'mine'}; a bare word is `true`. */
  readonly marks: Readonly<Record<string, string>>;
  /** As it is, with the newline at its end. */
  readonly text: string;
}

/** All fenced blocks of a page, in order. */
export function fencesOf(page: string): readonly Fence[] {
  return [...page.matchAll(/^```(\w+)([^\n]*)\n([\s\S]*?)^```$/gm)].map((match) => ({ language: match[1] ?? '', marks: marksOf(match[2] ?? ''), text: match[3] ?? '' }));
}

function marksOf(info: string): Readonly<Record<string, string>> {
  const words = info.split(' ').filter((word) => word !== '');
  return Object.fromEntries(words.map((word) => [word.split('=', 1)[0] ?? word, word.includes('=') ? word.slice(word.indexOf('=') + 1) : 'true']));
}
