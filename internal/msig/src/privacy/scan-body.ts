import type { Finding, Scanner } from '@openeaap/security';
import type { JsonObject } from '@openeaap/kernel';
import { isOpaque } from './is-opaque.ts';
import { isStructural, listToolNames } from './is-structural.ts';
import { listLookalikes } from './placeholders.ts';
import { decodeText, walkJson } from './walk-json.ts';
import type { JsonPath, JsonVisitor, Place } from './walk-json.ts';

/** What has to be changed at one literal of the JSON text. */
export type Edit =
  /** `value` is what the literal says: a text's, or the digits of a number. */
  | { readonly kind: 'text'; readonly place: Place; readonly value: string; readonly findings: readonly Finding[] }
  /** `value` is JSON in itself, as arguments of tool calls are. */
  | { readonly kind: 'nested'; readonly place: Place; readonly value: string; readonly edits: readonly Edit[] };

export interface BodyScan {
  /** In the order of the text. */
  readonly edits: readonly Edit[];
  /** How often each rule found something. */
  readonly found: Readonly<Record<string, number>>;
  /** Digits of what looks like a placeholder already. */
  readonly taken: ReadonlySet<string>;
}

export const EGRESS_LIMITS = {
  /** Characters of a body: about a million tokens, a tenth of a second in which nothing else is done. */
  bodyChars: 4_194_304,
  /** JSON in a text in a text …: deeper is refused. */
  nestedTexts: 4,
  findings: 20_000,
} as const;

/** Thrown for what cannot be looked through: where it is and what, both safe to show. */
export class Unscannable extends Error {
  override readonly name = 'Unscannable';
  readonly field: string;
  readonly what: string;

  constructor(path: JsonPath, what: string) {
    super(`${what} cannot be looked through`);
    this.field = toField(path);
    this.what = what;
  }
}

/** Looks at every text, key and number of a request's body. Errors: Unscannable. */
export function scanBody(text: string, body: JsonObject, scanner: Scanner): BodyScan {
  if (text.length > EGRESS_LIMITS.bodyChars) throw new Unscannable([], `a body of more than ${EGRESS_LIMITS.bodyChars} characters`);
  const state: State = { scanner, toolNames: listToolNames(body), found: new Map(), findings: 0, taken: new Set() };
  const edits = scanJson(text, { state, level: 0, outer: [] });
  return { edits, found: Object.fromEntries(state.found), taken: state.taken };
}

interface State {
  readonly scanner: Scanner;
  readonly toolNames: ReadonlySet<string>;
  readonly found: Map<string, number>;
  findings: number;
  readonly taken: Set<string>;
}

/** Of the object or list that is being walked. */
interface Frame {
  /** In a schema: the names are the tool's, not the API's, and name no value. */
  readonly isSchema: boolean;
  /** Below a picture, a recording or a file. */
  readonly isMedia: boolean;
  /** Below the name of a secret. */
  readonly isSecret: boolean;
  readonly start: number;
  /** `{"name": "password", "value": …}`, in whatever order. */
  isNamedSecret: boolean;
  /** Its members called `value`. */
  readonly values: Place[];
}

const ROOT: Frame = { isSchema: false, isMedia: false, isSecret: false, start: 0, isNamedSecret: false, values: [] };

/** Members of the body that hold schemas, and what those are called. In any other place no name makes a schema. */
const SCHEMA_ROOTS: ReadonlySet<unknown> = new Set(['tools', 'functions', 'response_format', 'text', 'structured_outputs', 'guided_json']);
const SCHEMA_KEYS: ReadonlySet<unknown> = new Set(['parameters', 'schema', 'input_schema', 'output_schema', 'json', 'guided_json']);
const MEDIA_KEYS: ReadonlySet<unknown> = new Set([
  'image_url', 'input_audio', 'audio_url', 'video_url', 'file_url', 'file_data', 'file_id', 'file_ids', 'image_data', 'image_embeds', 'prompt_embeds', 'encrypted_content',
]);
const MEDIA_TYPES: ReadonlySet<string> = new Set([
  'image_url', 'input_image', 'image', 'image_file', 'image_embeds', 'image_pil', 'input_audio', 'audio', 'audio_url', 'video', 'video_url', 'input_video', 'input_file', 'file', 'computer_screenshot', 'document',
]);
/** Text as numbers of a vocabulary. */
const TOKEN_KEYS: ReadonlySet<unknown> = new Set(['prompt', 'input', 'prompt_token_ids', 'messages', 'documents', 'query']);

interface Level {
  readonly state: State;
  /** 0: the body itself; more: JSON in a text of the level above. */
  readonly level: number;
  /** Path of that text in the body. */
  readonly outer: JsonPath;
}

function scanJson(text: string, { state, level, outer }: Level): readonly Edit[] {
  const { scanner } = state;
  const edits = createEdits(state);
  const frames: Frame[] = [];
  const namedSecrets: Place[] = [];
  const isBody = level === 0;
  const inBody = (path: JsonPath): JsonPath => (isBody ? [...path] : outer);
  const isSecretName = (key: string | number | undefined): boolean => typeof key === 'string' && scanner.isSecretKey(key);
  const frameOf = (): Frame => frames.at(-1) ?? ROOT;

  const noteValue = (place: Place, key: string | number | undefined): void => {
    if (key === 'value') frameOf().values.push(place);
  };
  const look = (place: Place, path: JsonPath, value: string): void => {
    if (!isJsonText(value)) return edits.addFound(place, value);
    if (level >= EGRESS_LIMITS.nestedTexts) throw new Unscannable(inBody(path), `JSON in more than ${EGRESS_LIMITS.nestedTexts} texts in one another`);
    const nested = scanJson(value, { state, level: level + 1, outer: inBody(path) });
    if (nested.length > 0) edits.add({ kind: 'nested', place, value, edits: nested });
  };

  const visitor: JsonVisitor = {
    open: (path, start) => {
      const parent = frameOf();
      const key = path.at(-1);
      const isSchema = parent.isSchema || (isBody && SCHEMA_KEYS.has(key) && SCHEMA_ROOTS.has(path[0]));
      frames.push({
        isSchema,
        isMedia: !isSchema && (parent.isMedia || (isBody && MEDIA_KEYS.has(key))),
        isSecret: !isSchema && (parent.isSecret || isSecretName(key)),
        start,
        isNamedSecret: false,
        values: [],
      });
    },
    close: (path, end) => {
      const frame = frames.pop();
      if (frame === undefined) return;
      noteValue({ start: frame.start, end }, path.at(-1));
      // Whether they are secrets is known only here, for the name may stand behind.
      if (frame.isNamedSecret) for (const place of frame.values) namedSecrets.push(place);
    },
    key: (place, path) => {
      const key = String(path.at(-1));
      takeLookalikes(key, state);
      edits.addFound(place, key);
    },
    number: (place, path) => {
      const key = path.at(-1);
      if (isBody && isTokenId(path)) throw new Unscannable(path, 'a prompt of token ids');
      const digits = text.slice(place.start, place.end);
      noteValue(place, key);
      // Parameters of the request itself: a number there is the API's, and a seed is anything.
      if (isBody && path.length === 1 && (key === 'seed' || digits.length < NUMBER_CHARS)) return;
      if (digits.length >= NUMBER_CHARS) edits.addFound(place, digits);
      if (frameOf().isSecret || isSecretName(key)) edits.addSecret(place, digits);
    },
    text: (place, path) => {
      const frame = frameOf();
      const key = path.at(-1);
      const value = decodeText(text, place);
      if (value === '') return;
      if (isBody) refuseMedia({ path, value, frame });
      noteValue(place, key);
      if (isBody && !frame.isSecret && isStructural({ path, value, isSchema: frame.isSchema, toolNames: state.toolNames })) return;
      if (isOpaque(value)) throw new Unscannable(inBody(path), 'text that carries bytes as base64');
      takeLookalikes(value, state);
      if ((key === 'name' || key === 'key') && scanner.isSecretKey(value)) frame.isNamedSecret = true;
      look(place, path, value);
      if (frame.isSecret || isSecretName(key)) edits.addSecret(place, value);
    },
  };
  walkJson(text, visitor);
  for (const place of outermost(namedSecrets)) hideAll(text, place, edits);
  return edits.inOrder();
}

/** Each place that lies in no other of them: what is named in what is named would be walked again and again. */
function outermost(places: readonly Place[]): readonly Place[] {
  let done = 0;
  return places.toSorted((a, b) => a.start - b.start || b.end - a.end).filter(({ start, end }) => {
    const isOuter = start >= done;
    if (isOuter) done = end;
    return isOuter;
  });
}

/** Every text and number there is a secret. */
function hideAll(text: string, { start, end }: Place, edits: Edits): void {
  const hide = (inner: Place, toValue: (place: Place) => string): void => {
    const place = { start: start + inner.start, end: start + inner.end };
    const value = toValue(place);
    if (value !== '') edits.addSecret(place, value);
  };
  walkJson(text.slice(start, end), {
    text: (place) => hide(place, (at) => decodeText(text, at)),
    number: (place) => hide(place, (at) => text.slice(at.start, at.end)),
  });
}

interface Edits {
  readonly add: (edit: Edit) => void;
  /** What the scanner finds in the value, if anything. */
  readonly addFound: (place: Place, value: string) => void;
  /** All of the value, in place of what was found in it. */
  readonly addSecret: (place: Place, value: string) => void;
  readonly inOrder: () => readonly Edit[];
}

function createEdits(state: State): Edits {
  // By where they begin: at most one for each literal.
  const edits = new Map<number, Edit>();
  const secrets = new Set<number>();
  const count = (rule: string): void => {
    state.findings += 1;
    if (state.findings > EGRESS_LIMITS.findings) throw new Unscannable([], `a body with more than ${EGRESS_LIMITS.findings} findings`);
    state.found.set(rule, (state.found.get(rule) ?? 0) + 1);
  };
  return {
    add: (edit) => void edits.set(edit.place.start, edit),
    addFound: (place, value) => {
      const findings = state.scanner.scan(value);
      for (const { rule } of findings) count(rule);
      if (findings.length > 0) edits.set(place.start, { kind: 'text', place, value, findings });
    },
    addSecret: (place, value) => {
      if (secrets.has(place.start)) return;
      secrets.add(place.start);
      const known = edits.get(place.start);
      const removal = known === undefined ? null : removalIn(known);
      if (removal === null) count(SECRET.rule);
      edits.set(place.start, { kind: 'text', place, value, findings: [{ ...(removal ?? SECRET), start: 0, end: value.length }] });
    },
    inOrder: () => [...edits.values()].toSorted((a, b) => a.place.start - b.place.start),
  };
}

const SECRET = { rule: 'secret', action: 'mask' } as const;

/** What the policy wants gone for good, wherever in the value: then no name of a secret may bring it back. */
function removalIn(edit: Edit): Pick<Finding, 'rule' | 'action'> | null {
  if (edit.kind === 'text') return edit.findings.find(({ action }) => action === 'redact') ?? null;
  for (const inner of edit.edits) {
    const removal = removalIn(inner);
    if (removal !== null) return removal;
  }
  return null;
}

/** Fewer digits are no number of anything. */
const NUMBER_CHARS = 7;

const isTokenId = (path: JsonPath): boolean => path.length > 1 && TOKEN_KEYS.has(path[0]) && path.every((step, at) => at === 0 || typeof step === 'number');

function refuseMedia({ path, value, frame }: { readonly path: JsonPath; readonly value: string; readonly frame: Frame }): void {
  if (frame.isSchema) return;
  const key = path.at(-1);
  if (frame.isMedia || MEDIA_KEYS.has(key)) throw new Unscannable(path, 'a picture, a recording, a file or ciphertext');
  if (key === 'type' && MEDIA_TYPES.has(value)) throw new Unscannable(path.slice(0, -1), 'a picture, a recording or a file');
}

function takeLookalikes(text: string, state: State): void {
  for (const digits of listLookalikes(text)) state.taken.add(digits);
}

/** An object, a list or a quoted text, and nothing around it. */
function isJsonText(text: string): boolean {
  const first = /\S/.exec(text)?.[0];
  if (first !== '{' && first !== '[' && first !== '"') return false;
  const last = text.trimEnd().at(-1);
  if (last !== (first === '{' ? '}' : first === '[' ? ']' : '"')) return false;
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** As `messages[0].content`; a key that is none of the API's is not repeated. */
function toField(path: JsonPath): string {
  return path.map((step, at) => (typeof step === 'number' ? `[${step}]` : `${at === 0 ? '' : '.'}${/^[a-z_]{1,32}$/.test(step) ? step : '*'}`)).join('');
}
