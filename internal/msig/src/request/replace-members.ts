/**
 * A JSON object's text with some members of its top level replaced (JSON text) or left out (null),
 * and every other character as it was: numbers beyond 2^53, key order and escapes survive. Each
 * occurrence of a replaced key goes, for of repeated keys the reader may take another than we do.
 * `text` must be a valid JSON object; the new members stand first.
 */
export function replaceMembers(text: string, members: Readonly<Record<string, string | null>>): string {
  const added = Object.entries(members).flatMap(([key, value]) => (value === null ? [] : [`${JSON.stringify(key)}:${value}`]));
  const kept = listMembers(text).flatMap((member) => (Object.hasOwn(members, member.key) ? [] : [text.slice(member.start, member.end)]));
  return `{${[...added, ...kept].join(',')}}`;
}

interface Member {
  readonly key: string;
  readonly start: number;
  readonly end: number;
}

function listMembers(text: string): readonly Member[] {
  const members: Member[] = [];
  let at = skipSpace(text, text.indexOf('{') + 1);
  while (text[at] === '"') {
    const keyEnd = endOfString(text, at);
    const valueStart = skipSpace(text, skipSpace(text, keyEnd) + 1);
    const end = endOfValue(text, valueStart);
    members.push({ key: JSON.parse(text.slice(at, keyEnd)) as string, start: at, end });
    // At a comma or at the closing brace.
    at = skipSpace(text, skipSpace(text, end) + 1);
  }
  return members;
}

function skipSpace(text: string, from: number): number {
  let at = from;
  while (text[at] === ' ' || text[at] === '\n' || text[at] === '\r' || text[at] === '\t') at += 1;
  return at;
}

/** The place after the closing quote. Searches for quotes instead of looking at each character: an image may be megabytes. */
function endOfString(text: string, start: number): number {
  for (let quote = text.indexOf('"', start + 1); quote !== -1; quote = text.indexOf('"', quote + 1)) {
    let backslashes = 0;
    while (text[quote - 1 - backslashes] === '\\') backslashes += 1;
    if (backslashes % 2 === 0) return quote + 1;
  }
  return text.length;
}

function endOfValue(text: string, start: number): number {
  if (text[start] === '"') return endOfString(text, start);
  const isNested = text[start] === '{' || text[start] === '[';
  const marks = isNested ? /["{}[\]]/g : /[,}\s]/g;
  let depth = 0;
  marks.lastIndex = start;
  for (let mark = marks.exec(text); mark !== null; mark = marks.exec(text)) {
    if (!isNested) return mark.index;
    if (mark[0] === '"') marks.lastIndex = endOfString(text, mark.index);
    else depth += mark[0] === '{' || mark[0] === '[' ? 1 : -1;
    if (depth === 0) return mark.index + 1;
  }
  return text.length;
}
