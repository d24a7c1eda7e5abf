import { openYaml, readAny, readList, readMap, readNumber, readOneOf, readString, readStrings, required, yamlError } from '../config/yaml-place.ts';
import type { YamlPlace } from '../config/yaml-place.ts';
import { compileComparison, compilePattern } from './script-condition.ts';
import type { Condition } from './script-condition.ts';
import type { Language, ScriptConversation, ScriptVariable } from './script-conversation.ts';
import { compileJson, compileTemplate } from './script-template.ts';
import type { JsonTemplate, Template } from './script-template.ts';

/** A script for the `scripted` backend, compiled: the first rule that applies answers. */
export interface Script {
  /** What the model calls itself. */
  readonly model: string;
  /** Wait before an answer begins. */
  readonly delayMs: number;
  readonly variables: readonly ScriptVariable[];
  readonly rules: readonly ScriptRule[];
}

export interface ScriptRule {
  readonly name: string;
  readonly applies: Condition;
  readonly content: Template;
  /** Calls that are made where their own condition holds and the tool is offered; a rule whose calls all fall away does not apply. */
  readonly calls: readonly ScriptCall[];
}

export interface ScriptCall {
  readonly name: string;
  readonly applies: Condition;
  readonly args: JsonTemplate;
}

const RULES_MAX = 500;
const LIST_MAX = 64;
const DELAY_MAX_MS = 60_000;
const BUILT_IN_PATHS = ['input', 'language'];

type IsKnown = (path: string) => boolean;

/**
 * Parses a script. The format is told by the example, `configs/scripts/security-triage.yaml`.
 * Errors: `invalid_input` with `file:line:column` and the cure.
 */
export function parseScript(file: string, yamlText: string): Script {
  const root = openYaml(file, yamlText);
  const entries = readMap(root, ['model', 'delay_ms', 'variables', 'rules']);
  const delay = entries.get('delay_ms');
  const variables = parseVariables(entries.get('variables'));
  const names = new Set([...BUILT_IN_PATHS, ...variables.map((variable) => variable.name)]);
  const isKnown = (path: string): boolean => names.has(path) || /^result\.\w+/.test(path);
  return {
    model: readString(required(entries, 'model', root)),
    delayMs: delay === undefined ? 0 : readNumber(delay, { min: 0, max: DELAY_MAX_MS, integer: true }),
    variables,
    rules: readList(required(entries, 'rules', root), RULES_MAX).map((place) => parseRule(place, isKnown)),
  };
}

function parseVariables(place: YamlPlace | undefined): readonly ScriptVariable[] {
  if (place === undefined) return [];
  return [...readMap(place, 'any')].map(([name, at]) => {
    if (!/^[a-z]\w*$/i.test(name) || name === 'result' || BUILT_IN_PATHS.includes(name)) throw yamlError(at, `"${name}" cannot be the name of a variable.`);
    const entries = readMap(at, ['keys', 'patterns', 'accept']);
    const keys = entries.get('keys');
    const patterns = entries.get('patterns');
    const accept = entries.get('accept');
    return {
      name,
      keys: keys === undefined ? [] : readStrings(keys, LIST_MAX),
      patterns: patterns === undefined ? [] : readList(patterns, LIST_MAX).map((item) => compileAt(item, () => compilePattern(readString(item)))),
      accept: accept === undefined ? null : compileAt(accept, () => compilePattern(readString(accept))),
    };
  });
}

function parseRule(place: YamlPlace, isKnown: IsKnown): ScriptRule {
  const entries = readMap(place, ['name', 'when', 'reply']);
  const replyPlace = required(entries, 'reply', place);
  const reply = readMap(replyPlace, ['content', 'tool_calls']);
  const calls = reply.get('tool_calls');
  return {
    name: readString(required(entries, 'name', place)),
    applies: parseWhen(entries.get('when'), isKnown),
    content: parseContent(required(reply, 'content', replyPlace), isKnown),
    calls: calls === undefined ? [] : readList(calls, LIST_MAX).map((item) => parseCall(item, isKnown)),
  };
}

function parseCall(place: YamlPlace, isKnown: IsKnown): ScriptCall {
  const entries = readMap(place, ['name', 'when', 'arguments']);
  const args = required(entries, 'arguments', place);
  return {
    name: readString(required(entries, 'name', place)),
    applies: parseWhen(entries.get('when'), isKnown),
    args: compileAt(args, () => compileJson(readAny(args), isKnown)),
  };
}

/** One text, or one per language. */
function parseContent(place: YamlPlace, isKnown: IsKnown): Template {
  const compile = (at: YamlPlace): Template => compileAt(at, () => compileTemplate(readString(at).trimEnd(), isKnown));
  if (typeof readAny(place) === 'string') return compile(place);
  const entries = readMap(place, ['zh', 'en']);
  const texts: Readonly<Record<Language, Template>> = { zh: compile(required(entries, 'zh', place)), en: compile(required(entries, 'en', place)) };
  return (conversation) => texts[conversation.language](conversation);
}

type ConditionParser = (place: YamlPlace, isKnown: IsKnown) => Condition;

const WHEN_PARSERS = {
  input_contains: (place) => {
    const words = readStrings(place, LIST_MAX).map((word) => word.toLowerCase());
    return ({ input }) => words.some((word) => input.toLowerCase().includes(word));
  },
  input_matches: (place) => {
    const pattern = compileAt(place, () => compilePattern(readString(place)));
    return ({ input }) => pattern.matcher(input).find();
  },
  language: (place) => {
    const wanted = readOneOf(place, ['zh', 'en']);
    return ({ language }) => language === wanted;
  },
  tools: everyTool((conversation, tool) => conversation.offersTool(tool)),
  results: everyTool(({ results }, tool) => results.has(tool)),
  no_results: everyTool(({ results }, tool) => !results.has(tool)),
  succeeded: everyTool(({ results }, tool) => results.get(tool)?.['output'] !== undefined),
  failed: everyTool(({ results }, tool) => results.get(tool)?.['error'] !== undefined),
  where: (place, isKnown) => {
    const all = readList(place, LIST_MAX).map((item) => compileAt(item, () => compileComparison(readString(item), isKnown)));
    return (conversation) => all.every((condition) => condition(conversation));
  },
} satisfies Readonly<Record<string, ConditionParser>>;

type WhenKey = keyof typeof WHEN_PARSERS;

/** All that is said must hold; nothing said always holds. */
function parseWhen(place: YamlPlace | undefined, isKnown: IsKnown): Condition {
  if (place === undefined) return () => true;
  const entries = readMap(place, Object.keys(WHEN_PARSERS));
  const conditions = [...entries].map(([key, at]) => WHEN_PARSERS[key as WhenKey](at, isKnown));
  return (conversation) => conditions.every((condition) => condition(conversation));
}

function everyTool(holds: (conversation: ScriptConversation, tool: string) => boolean): ConditionParser {
  return (place) => {
    const tools = readStrings(place, LIST_MAX);
    return (conversation) => tools.every((tool) => holds(conversation, tool));
  };
}

/** Gives a compiler's SyntaxError its place in the file. */
function compileAt<T>(place: YamlPlace, compile: () => T): T {
  try {
    return compile();
  } catch (thrown) {
    if (thrown instanceof SyntaxError) throw yamlError(place, `"${place.path}": ${thrown.message}.`);
    throw thrown;
  }
}
