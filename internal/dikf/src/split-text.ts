/** A sentence ends after Chinese marks at once, after Western marks before a space, and at a line's end. */
const SENTENCE = /[^。！？；!?;.\n]*(?:[。！？；]+[”’」』）]*|[!?;.]+(?:["')\]]*(?=\s|$)|)|\n+|$)/gu;

/**
 * Cuts `text` into pieces of at most `maxChars` UTF-16 units, at ends of sentences or lines where
 * there are any, otherwise between characters; never inside one. Blank pieces are dropped.
 */
export function splitText(text: string, maxChars: number): readonly string[] {
  const pieces: string[] = [];
  let piece = '';
  const flush = (): void => {
    if (piece.trim() !== '') pieces.push(piece.trim());
    piece = '';
  };
  for (const part of sentences(text).flatMap((sentence) => cutHard(sentence, maxChars))) {
    if (piece.length + part.length > maxChars) flush();
    piece += part;
  }
  flush();
  return pieces;
}

function sentences(text: string): readonly string[] {
  return text.match(SENTENCE)?.filter((part) => part !== '') ?? [];
}

function cutHard(sentence: string, maxChars: number): readonly string[] {
  if (sentence.length <= maxChars) return [sentence];
  const cuts: string[] = [];
  let cut = '';
  for (const character of sentence) {
    if (cut.length + character.length > maxChars) {
      cuts.push(cut);
      cut = '';
    }
    cut += character;
  }
  return [...cuts, cut];
}
