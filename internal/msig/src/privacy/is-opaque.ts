/** Bytes that would be a small picture or the page of a scan. */
const BLOB_CHARS = 2_048;
/** Base64 is written in lines of 60 to 76 characters or in one. */
const LINE_CHARS = 60;
/** As browsers read it: any case, with or without a type, blanks around the words. */
const DATA_URL = /data:[\w.+-]{0,64}(?:\/[\w.+-]{1,64})?(?:; *[\w.+="'-]{1,128}){0,8}; *base64 *,/i;
/** Enough of a line to tell letters of a code from letters of words. */
const SAMPLE_CHARS = 256;

/**
 * Does the text carry bytes instead of words (base64, in one line or many)? What they hold cannot be
 * looked through. Words without blanks are told apart by what they lack: capitals, small letters or digits.
 */
export function isOpaque(text: string): boolean {
  if (DATA_URL.test(text)) return true;
  if (text.length < BLOB_CHARS) return false;
  let chars = 0;
  let isCode = false;
  let lineChars = 0;
  let lastEnd = -1;
  // A line covers at least one of the places looked at: words cost one look for each sixty characters.
  for (let at = LINE_CHARS - 1; at < text.length; at += LINE_CHARS) {
    if (!isBase64(text, at)) continue;
    const start = startOfLine(text, at);
    const end = endOfLine(text, at);
    at = Math.max(at, end);
    if (end - start < LINE_CHARS) continue;
    // Lines of base64 are equally long, but for the last; those of a list of paths are not.
    const goesOn = lastEnd !== -1 && lineChars >= end - start && start - lastEnd <= 2 && text.slice(lastEnd, start).trim() === '';
    chars = (goesOn ? chars : 0) + end - start;
    lineChars = goesOn && lineChars > end - start ? 0 : end - start;
    isCode = (goesOn && isCode) || isMixed(text.slice(start, Math.min(end, start + SAMPLE_CHARS)));
    lastEnd = end;
    if (isCode && chars >= BLOB_CHARS) return true;
  }
  return false;
}

function startOfLine(text: string, from: number): number {
  let at = from;
  while (at > 0 && isBase64(text, at - 1)) at -= 1;
  return at;
}

function endOfLine(text: string, from: number): number {
  let at = from;
  while (at < text.length && isBase64(text, at)) at += 1;
  return at;
}

/** Letters, digits, `+/=` and `-_` of the alphabet for URLs. */
function isBase64(text: string, at: number): boolean {
  const code = text.charCodeAt(at);
  return (code >= 97 && code <= 122) || (code >= 65 && code <= 90) || (code >= 47 && code <= 57) || code === 43 || code === 45 || code === 61 || code === 95;
}

const isMixed = (sample: string): boolean => /[A-Z]/.test(sample) && /[a-z]/.test(sample) && /\d/.test(sample);
