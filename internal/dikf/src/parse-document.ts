import type { Sensitivity } from '@openeaap/kernel';
import { PlatformError } from '@openeaap/kernel';
import type { Document, Pair, Scalar } from 'yaml';
import { isMap, isScalar, isSeq, LineCounter, parseDocument as parseYaml } from 'yaml';
import { KNOWLEDGE_LIMITS } from './limits.ts';

/** A Markdown file, parsed: what its front matter says and the text below it. */
export interface SourceDocument {
  readonly frontMatter: FrontMatter;
  readonly body: string;
}

/** Everything is optional; null means that the file does not say. */
export interface FrontMatter {
  readonly title: string | null;
  readonly accessGroup: string | null;
  readonly sensitivity: Sensitivity | null;
  readonly language: string | null;
  readonly tags: readonly string[];
}

const NO_FRONT_MATTER: FrontMatter = { title: null, accessGroup: null, sensitivity: null, language: null, tags: [] };
const FENCED = /^---[ \t]*\r?\n(?:([\s\S]*?)\r?\n)??---[ \t]*(?:\r?\n|$)/;
const FIELDS = ['title', 'access_group', 'sensitivity', 'language', 'tags'] as const;
const ACCESS_GROUP = /^(?:\*|[A-Za-z0-9][A-Za-z0-9._-]*)$/;
const LANGUAGE = /^[A-Za-z]{2,3}(?:-[A-Za-z0-9]{2,8})*$/;
const SENSITIVITIES: Readonly<Record<string, Sensitivity>> = { public: 1, internal: 2, confidential: 3, 1: 1, 2: 2, 3: 3 };

/**
 * Parses the text of a Markdown file with optional YAML front matter. Anything that is not
 * understood is refused rather than ignored: a misspelt `sensitivty` must not make a secret
 * readable. Errors: `invalid_input` with file, line, field and the cure.
 */
export function parseSourceDocument(text: string, file: string): SourceDocument {
  const clean = text.startsWith('\uFEFF') ? text.slice(1) : text;
  if (clean.includes('\0')) throw fault({ file, line: 1, field: '', problem: 'the file is not text', cure: 'Save it as UTF-8 Markdown.' });
  if (!/^---[ \t]*\r?\n/.test(clean)) return { frontMatter: NO_FRONT_MATTER, body: clean };
  const match = FENCED.exec(clean);
  if (match === null) {
    throw fault({ file, line: 1, field: '', problem: 'the front matter has no end', cure: 'Close it with a line of three dashes (---).' });
  }
  return { frontMatter: parseFrontMatter(match[1] ?? '', file), body: clean.slice(match[0].length) };
}

function parseFrontMatter(yaml: string, file: string): FrontMatter {
  const lines = new LineCounter();
  const document = parseYaml(yaml, { lineCounter: lines, version: '1.2' });
  // The opening dashes are line 1 of the file, so the YAML's own line 1 is line 2.
  const lineAt = (offset: number): number => lines.linePos(offset).line + 1;
  const broken = document.errors[0];
  if (broken !== undefined) {
    const problem = `the front matter is not YAML (${broken.code.toLowerCase().replaceAll('_', ' ')})`;
    throw fault({ file, line: lineAt(broken.pos[0]), field: '', problem, cure: 'Write one "field: value" per line.' });
  }
  return readFields(document, { file, lineAt });
}

interface Place {
  readonly file: string;
  readonly lineAt: (offset: number) => number;
}

function readFields(document: Document.Parsed, place: Place): FrontMatter {
  const { contents } = document;
  if (contents === null) return NO_FRONT_MATTER;
  const refuse = { file: place.file, line: 2, field: '' };
  if (!isMap(contents)) throw fault({ ...refuse, problem: 'the front matter is not a list of fields', cure: 'Write one "field: value" per line.' });
  let frontMatter = NO_FRONT_MATTER;
  for (const pair of contents.items) frontMatter = { ...frontMatter, ...readField(pair as Pair<Scalar.Parsed>, place) };
  return frontMatter;
}

function readField(pair: Pair<Scalar.Parsed>, place: Place): Partial<FrontMatter> {
  const field = String(pair.key.value);
  const at = { file: place.file, line: place.lineAt(pair.key.range[0]), field };
  switch (field) {
    case 'title':
      return { title: readText(pair.value, at, { maxChars: KNOWLEDGE_LIMITS.titleChars, form: /\S/, cure: 'Write a short text.' }) };
    case 'access_group':
      return {
        accessGroup: readText(pair.value, at, {
          maxChars: KNOWLEDGE_LIMITS.accessGroupChars,
          form: ACCESS_GROUP,
          cure: 'Write one group name such as security-ops, or "*" for everyone.',
        }),
      };
    case 'language':
      return { language: readText(pair.value, at, { maxChars: 35, form: LANGUAGE, cure: 'Write a language tag such as zh or en.' }) };
    case 'sensitivity':
      return { sensitivity: readSensitivity(pair.value, at) };
    case 'tags':
      return { tags: readTags(pair.value, at) };
    default:
      throw fault({ ...at, problem: 'is not a known field', cure: `Use only ${FIELDS.join(', ')}.` });
  }
}

type At = Pick<Fault, 'file' | 'line' | 'field'>;

function readText(value: unknown, at: At, rule: { readonly maxChars: number; readonly form: RegExp; readonly cure: string }): string {
  const text = isScalar(value) && typeof value.value === 'string' ? value.value.trim() : null;
  if (text !== null && text.length <= rule.maxChars && rule.form.test(text)) return text;
  throw fault({ ...at, problem: `is not usable (text of at most ${rule.maxChars} characters)`, cure: rule.cure });
}

function readSensitivity(value: unknown, at: At): Sensitivity {
  const written = isScalar(value) ? String(value.value).trim().toLowerCase() : '';
  const sensitivity = Object.hasOwn(SENSITIVITIES, written) ? SENSITIVITIES[written] : undefined;
  if (sensitivity !== undefined) return sensitivity;
  throw fault({ ...at, problem: 'is not a sensitivity', cure: 'Write Public, Internal or Confidential (or 1, 2, 3), or leave the field out for an automatic label.' });
}

function readTags(value: unknown, at: At): readonly string[] {
  const tags = isSeq(value) ? value.items.map((item) => (isScalar(item) ? String(item.value).trim() : '')) : null;
  if (tags !== null && tags.length <= KNOWLEDGE_LIMITS.tags && tags.every((tag) => tag !== '' && tag.length <= KNOWLEDGE_LIMITS.tagChars)) return tags;
  throw fault({ ...at, problem: 'is not a list of tags', cure: `Write up to ${KNOWLEDGE_LIMITS.tags} short words: [phishing, email].` });
}

interface Fault {
  readonly file: string;
  readonly line: number;
  /** Empty: the whole front matter. */
  readonly field: string;
  readonly problem: string;
  readonly cure: string;
}

function fault({ file, line, field, problem, cure }: Fault): PlatformError {
  const subject = field === '' ? problem : `"${field}" ${problem}`;
  return new PlatformError('invalid_input', `${file}:${line}: ${subject}. ${cure}`, { details: { file, line, field } });
}
