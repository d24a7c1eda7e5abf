import { PlatformError } from '@openeaap/kernel';
import { isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument } from 'yaml';
import type { Document, Node as YamlNode, Scalar } from 'yaml';
import type { ConditionError } from './condition/error.ts';
import { POLICY_LIMITS } from './limits.ts';
import { didYouMean } from './suggest.ts';

/** One file of a policy. `name` appears in messages. */
export interface PolicyFile {
  readonly name: string;
  readonly text: string;
}

export type Node = YamlNode | null;
export type Fields = ReadonlyMap<string, Node>;

interface Problem {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  readonly message: string;
}

/** Collects what is wrong over all files, so that one load shows it all. */
export interface Problems {
  readonly list: Problem[];
}

/**
 * Reads typed values out of YAML. A value that is wrong is reported with its place and read as null;
 * `throwIfAny` ends the load afterwards, so that no half-read policy gets out.
 */
export class YamlReader {
  readonly #file: PolicyFile;
  readonly #problems: Problems;
  readonly #lines = new LineCounter();
  readonly #document: Document.Parsed;
  #aliases = 0;

  constructor(file: PolicyFile, problems: Problems) {
    this.#file = file;
    this.#problems = problems;
    if (Buffer.byteLength(file.text) > POLICY_LIMITS.fileBytes) {
      problems.list.push({ file: file.name, line: 1, column: 1, message: `the file is larger than ${POLICY_LIMITS.fileBytes} bytes; split it` });
    }
    const text = Buffer.byteLength(file.text) > POLICY_LIMITS.fileBytes ? '' : file.text;
    this.#document = parseDocument(text, { lineCounter: this.#lines, uniqueKeys: true, prettyErrors: false, stringKeys: true });
    for (const error of [...this.#document.errors, ...this.#document.warnings]) this.#reportAt(error.pos[0], `the YAML is broken: ${error.message}`);
  }

  /** The document's top; null for an empty file or one that is no YAML. */
  root(): Node {
    return this.#document.errors.length > 0 ? null : this.#document.contents;
  }

  map(node: Node, what: string, known: readonly string[]): Fields | null {
    const resolved = this.#resolve(node);
    if (!isMap(resolved)) return this.report(node, `${what} must be a map with ${known.join(', ')}`);
    const fields = new Map<string, Node>();
    for (const pair of resolved.items) {
      const key = pair.key as YamlNode;
      const name = isScalar(key) && typeof key.value === 'string' ? key.value : '';
      if (known.includes(name)) fields.set(name, pair.value as Node);
      else this.report(key, `'${name}' is no key of ${what}${didYouMean(name, known)}; known: ${known.join(', ')}`);
    }
    return fields;
  }

  isList(node: Node): boolean {
    return isSeq(isAlias(node) ? node.resolve(this.#document) : node);
  }

  list(node: Node, what: string): readonly Node[] {
    const resolved = this.#resolve(node);
    if (!isSeq(resolved)) {
      this.report(node, `${what} must be a list`);
      return [];
    }
    if (resolved.items.length > POLICY_LIMITS.entriesPerSection) {
      this.report(node, `${what} has more than ${POLICY_LIMITS.entriesPerSection} entries`);
      return [];
    }
    return resolved.items as readonly Node[];
  }

  text(node: Node, what: string, maxChars: number): string | null {
    const resolved = this.#resolve(node);
    if (!isScalar(resolved) || typeof resolved.value !== 'string') return this.report(node, `${what} must be text; put it in quotes`);
    if (resolved.value.length === 0 || resolved.value.length > maxChars) return this.report(node, `${what} must have 1 to ${maxChars} characters`);
    return resolved.value;
  }

  flag(node: Node, what: string): boolean | null {
    const resolved = this.#resolve(node);
    return isScalar(resolved) && typeof resolved.value === 'boolean' ? resolved.value : this.report(node, `${what} must be true or false`);
  }

  /** A whole number of at least 1. */
  count(node: Node, what: string): number | null {
    const resolved = this.#resolve(node);
    const value = isScalar(resolved) ? resolved.value : undefined;
    return typeof value === 'number' && Number.isSafeInteger(value) && value >= 1 ? value : this.report(node, `${what} must be a whole number of at least 1`);
  }

  choice<T extends string>(node: Node, what: string, choices: readonly T[]): T | null {
    const resolved = this.#resolve(node);
    const value = isScalar(resolved) ? resolved.value : undefined;
    const found = choices.find((choice) => choice === value);
    if (found !== undefined) return found;
    return this.report(node, `${what} must be one of ${choices.join(', ')}${typeof value === 'string' ? didYouMean(value, choices) : ''}`);
  }

  /** Reports what is wrong at a node; null stands for the value that could not be read. */
  report(node: Node, message: string): null {
    this.#reportAt(node?.range?.[0] ?? 0, message);
    return null;
  }

  /** Reports an error inside a condition at its own column. */
  reportCondition(node: Node, error: ConditionError): null {
    const resolved = this.#resolve(node);
    const offset = isScalar(resolved) ? this.#offsetInside(resolved, error.at) : null;
    if (offset === null) return this.report(node, `column ${error.at + 1} of the condition: ${error.message}`);
    this.#reportAt(offset, error.message);
    return null;
  }

  /** Where character `at` of a scalar's value stands in the file; null for block scalars, whose lines are indented. */
  #offsetInside(scalar: Scalar, at: number): number | null {
    const start = scalar.range?.[0];
    if (start === undefined || (scalar.type !== 'PLAIN' && scalar.type !== 'QUOTE_SINGLE' && scalar.type !== 'QUOTE_DOUBLE')) return null;
    if (scalar.type === 'PLAIN') return start + at;
    let offset = start + 1;
    for (let i = 0; i < at; i++) offset += scalar.type === 'QUOTE_SINGLE' ? (this.#file.text.startsWith("''", offset) ? 2 : 1) : this.#escapeLength(offset);
    return offset;
  }

  #escapeLength(offset: number): number {
    if (this.#file.text[offset] !== '\\') return 1;
    return { x: 4, u: 6, U: 10 }[this.#file.text[offset + 1] ?? ''] ?? 2;
  }

  #resolve(node: Node): Node {
    if (!isAlias(node)) return node;
    this.#aliases += 1;
    if (this.#aliases > POLICY_LIMITS.aliasesPerFile) return this.report(node, `the file uses more than ${POLICY_LIMITS.aliasesPerFile} aliases`);
    return node.resolve(this.#document) ?? null;
  }

  #reportAt(offset: number, message: string): void {
    const { line, col } = this.#lines.linePos(offset);
    this.#problems.list.push({ file: this.#file.name, line: Math.max(1, line), column: Math.max(1, col), message });
  }
}

/** @throws PlatformError policy_invalid with `file:line:column: message`; `details.problems` lists up to 20 of them. */
export function throwIfAny(problems: Problems): void {
  const [first] = problems.list;
  if (first === undefined) return;
  const texts = problems.list.slice(0, POLICY_LIMITS.problems).map((problem) => `${problem.file}:${problem.line}:${problem.column}: ${problem.message}`);
  const more = problems.list.length > 1 ? ` (and ${problems.list.length - 1} more)` : '';
  throw new PlatformError('policy_invalid', `${texts[0]}${more}`, {
    details: { file: first.file, line: first.line, column: first.column, problems: texts },
  });
}
