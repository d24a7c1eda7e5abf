/** Readers of JSON text that look for places in it instead of parsing it. The text must be valid JSON; the places in any other mean nothing. */

const SPACE = 0x20;
const BACKSLASH = 0x5c;

/** In valid JSON nothing below a space stands between tokens but white space. */
export function skipSpace(text: string, from: number): number {
  let at = from;
  while (text.charCodeAt(at) <= SPACE) at += 1;
  return at;
}

/** The place after the closing quote of the string that begins at `start`. Searches for quotes instead of looking at each character: an image may be megabytes. */
export function endOfString(text: string, start: number): number {
  for (let quote = text.indexOf('"', start + 1); quote !== -1; quote = text.indexOf('"', quote + 1)) {
    let before = quote - 1;
    while (text.charCodeAt(before) === BACKSLASH) before -= 1;
    if ((quote - before) % 2 === 1) return quote + 1;
  }
  return text.length;
}
