/** Bytes that would be a small picture or the page of a scan. */
const BLOB_CHARS = 2_048;
/** Base64 is written in lines of 60 to 76 characters or in one. */
const LINE = /[A-Za-z0-9+/_=-]{60,}/g;
const DATA_URL = /data:[\w.+-]{1,64}\/[\w.+-]{1,64}(?:;[\w.+=-]{1,128}){0,8};base64,/;

/**
 * Does the text carry bytes instead of words (base64, in one line or many)? What they hold cannot be
 * looked through. Words without blanks are told apart by what they lack: capitals, small letters or digits.
 */
export function isOpaque(text: string): boolean {
  if (text.includes(';base64,') && DATA_URL.test(text)) return true;
  if (text.length < BLOB_CHARS) return false;
  let chars = 0;
  let sample = '';
  let end = 0;
  for (const line of text.matchAll(LINE)) {
    const isNext = line.index - end <= 2 && text.slice(end, line.index).trim() === '';
    chars = (isNext ? chars : 0) + line[0].length;
    sample = isNext ? sample : line[0].slice(0, 256);
    end = line.index + line[0].length;
    if (chars >= BLOB_CHARS && isMixed(sample)) return true;
  }
  return false;
}

const isMixed = (sample: string): boolean => /[A-Z]/.test(sample) && /[a-z]/.test(sample) && /\d/.test(sample);
