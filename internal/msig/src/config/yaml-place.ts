import { PlatformError } from '@openeaap/kernel';
import { isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument } from 'yaml';
import type { Document, Node } from 'yaml';

/** A node of a YAML file that still knows where it stands, so that every complaint can name file, line and column. */
export interface YamlPlace {
  readonly file: string;
  /** Path of keys, e.g. `backends[0].endpoint`; empty at the root. */
  readonly path: string;
  readonly node: Node | null;
  readonly document: Document;
  readonly lines: LineCounter;
}

/** Parses the text. Errors: `invalid_input` with file, line and column. */
export function openYaml(file: string, text: string): YamlPlace {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const place: YamlPlace = { file, path: '', node: document.contents, document, lines };
  const problem = document.errors[0];
  if (problem !== undefined) throw failAt(place, problem.pos[0], `This is not valid YAML: ${problem.message}`);
  return place;
}

/** An `invalid_input` error at this place; `problem` says what is wrong and the cure. */
export function yamlError(place: YamlPlace, problem: string): PlatformError {
  return failAt(place, place.node?.range?.[0] ?? 0, problem);
}

function failAt(place: YamlPlace, offset: number, problem: string): PlatformError {
  const { line, col } = place.lines.linePos(offset);
  return new PlatformError('invalid_input', `${place.file}:${line}:${col}: ${problem}`, {
    details: { file: place.file, line, column: col, field: place.path },
  });
}

/** The entries of a mapping; a key that is not in `known` is refused, with the nearest known one named. */
export function readMap(place: YamlPlace, known: readonly string[] | 'any'): ReadonlyMap<string, YamlPlace> {
  const node = place.node;
  if (!isMap(node)) throw yamlError(place, `${nameOf(place)} must be a mapping${known === 'any' ? '' : ` with the keys ${known.join(', ')}`}.`);
  const entries = new Map<string, YamlPlace>();
  for (const pair of node.items) {
    const keyNode = pair.key as Node | null;
    const key = isScalar(keyNode) ? String(keyNode.value) : '';
    const keyPlace = { ...place, path: place.path === '' ? key : `${place.path}.${key}`, node: keyNode };
    if (key === '') throw yamlError(keyPlace, 'A key must be a plain text.');
    if (known !== 'any' && !known.includes(key)) throw yamlError(keyPlace, `Unknown key "${key}". ${suggest(key, known)}`);
    entries.set(key, { ...keyPlace, node: resolve(place, pair.value as Node | null) ?? keyNode });
  }
  return entries;
}

/** The items of a list. */
export function readList(place: YamlPlace, maxItems: number): readonly YamlPlace[] {
  const node = place.node;
  if (!isSeq(node)) throw yamlError(place, `${nameOf(place)} must be a list.`);
  if (node.items.length > maxItems) throw yamlError(place, `${nameOf(place)} has ${node.items.length} items; at most ${maxItems} are allowed.`);
  return node.items.map((item, index) => ({ ...place, path: `${place.path}[${index}]`, node: resolve(place, item as Node | null) }));
}

export function readString(place: YamlPlace): string {
  const value = scalarOf(place);
  if (typeof value !== 'string' || value === '') throw yamlError(place, `${nameOf(place)} must be a text that is not empty. Put it in quotes if it looks like a number.`);
  return value;
}

export function readStrings(place: YamlPlace, maxItems: number): readonly string[] {
  return readList(place, maxItems).map(readString);
}

export function readNumber(place: YamlPlace, range: { readonly min: number; readonly max: number; readonly integer?: true }): number {
  const value = scalarOf(place);
  const fits = typeof value === 'number' && value >= range.min && value <= range.max && (range.integer !== true || Number.isInteger(value));
  if (!fits) throw yamlError(place, `${nameOf(place)} must be ${range.integer === true ? 'a whole number' : 'a number'} from ${range.min} to ${range.max}.`);
  return value;
}

export function readBoolean(place: YamlPlace): boolean {
  const value = scalarOf(place);
  if (typeof value !== 'boolean') throw yamlError(place, `${nameOf(place)} must be true or false.`);
  return value;
}

export function readOneOf<T extends string>(place: YamlPlace, allowed: readonly T[]): T {
  const value = scalarOf(place);
  const found = allowed.find((each) => each === value);
  if (found === undefined) throw yamlError(place, `${nameOf(place)} must be one of ${allowed.join(', ')}.`);
  return found;
}

/** The plain value of a node, whatever it is: for parts that are data of the user's. */
export function readAny(place: YamlPlace): unknown {
  return place.node?.toJS(place.document) ?? null;
}

export function required(entries: ReadonlyMap<string, YamlPlace>, key: string, parent: YamlPlace): YamlPlace {
  const place = entries.get(key);
  if (place === undefined) throw yamlError(parent, `The key "${key}" is missing; add it.`);
  return place;
}

function scalarOf(place: YamlPlace): unknown {
  return isScalar(place.node) ? place.node.value : undefined;
}

function resolve(place: YamlPlace, node: Node | null): Node | null {
  return isAlias(node) ? (node.resolve(place.document) ?? null) : node;
}

function nameOf(place: YamlPlace): string {
  return place.path === '' ? 'The file' : `"${place.path}"`;
}

/** Names the known word that shares the longest beginning, or all of them. */
export function suggest(word: string, known: readonly string[]): string {
  const shared = (other: string): number => {
    let length = 0;
    while (length < other.length && other[length]?.toLowerCase() === word[length]?.toLowerCase()) length += 1;
    return length;
  };
  const best = known.toSorted((a, b) => shared(b) - shared(a))[0];
  if (best !== undefined && shared(best) >= 3) return `Did you mean "${best}"?`;
  return `Known: ${known.join(', ')}.`;
}
