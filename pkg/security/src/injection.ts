import { INJECTION_RULES, SQUEEZED_RULES } from './injection-rules.ts';
import type { InjectionRule } from './injection-rules.ts';
import { SECURITY_LIMITS } from './limits.ts';
import { decodeBlobs, fold, readTags, squeeze, unleet } from './normalise.ts';
import type { View } from './normalise.ts';

export interface InjectionFinding {
  /** Name of the rule, e.g. `override`. */
  readonly rule: string;
  /** How the text was hidden, if it was. */
  readonly how: View['how'];
  /** 0 to 1; less than the rule's own weight when the phrase is only quoted. */
  readonly weight: number;
  /** What matched, folded to lower case and cut to 120 characters. Not masked. */
  readonly sample: string;
}

export interface InjectionReport {
  /** `score` is 0.5 or more. */
  readonly suspicious: boolean;
  /** 0 to 1: 1 − Π(1 − weight) over the rules found, each counted once. */
  readonly score: number;
  readonly findings: readonly InjectionFinding[];
  /** The text was longer than the window; its middle was not looked at. */
  readonly truncated: boolean;
}

const SUSPICIOUS_SCORE = 0.5;
const SAMPLE_CHARS = 120;
/** Hiding is itself a sign: nobody writes an honest SOP in base64 or zero-width letters. */
const HIDDEN_WEIGHT = 0.2;
const QUOTED_FACTOR = 0.4;

/**
 * Does `text` (a tool's answer, a document, a user's message) try to give the agent instructions?
 * Rules over the normalised text, no model: a sign to taint a run by, never a proof of innocence.
 * Pure, total, linear in the text, which is windowed to 256 Ki characters.
 */
export function detectInjection(text: string): InjectionReport {
  const truncated = text.length > SECURITY_LIMITS.injectionChars;
  const half = SECURITY_LIMITS.injectionChars / 2;
  const seen = truncated ? `${text.slice(0, half)}\n${text.slice(-half)}` : text;
  const findings: InjectionFinding[] = [];
  for (const view of viewsOf(seen)) {
    const rules = view.how === 'spaced' ? SQUEEZED_RULES : INJECTION_RULES;
    for (const rule of rules) findings.push(...findRule(rule, view));
  }
  const score = scoreOf(findings);
  return { suspicious: score >= SUSPICIOUS_SCORE, score, findings: findings.slice(0, SECURITY_LIMITS.injectionFindings), truncated };
}

function viewsOf(text: string): View[] {
  const folded = fold(text);
  const hidden = readTags(text);
  const limit = { blobs: SECURITY_LIMITS.injectionBlobs, chars: SECURITY_LIMITS.injectionBlobChars };
  const views: View[] = [
    { how: 'plain', text: folded },
    { how: 'leet', text: unleet(folded) },
    { how: 'spaced', text: squeeze(folded) },
    { how: 'invisible', text: fold(hidden) },
    ...decodeBlobs(text, limit).map((decoded): View => ({ how: 'base64', text: fold(decoded) })),
  ];
  return views.filter((view) => view.text !== '');
}

/** The strongest match of a rule in a view: a phrase repeated is no surer sign. */
function findRule(rule: InjectionRule, view: View): InjectionFinding[] {
  let best: InjectionFinding | undefined;
  let looked = 0;
  for (const match of view.text.matchAll(rule.pattern)) {
    const weight = weigh(rule, view, match.index, match.index + match[0].length);
    if (best === undefined || weight > best.weight) {
      best = { rule: rule.name, how: view.how, weight, sample: match[0].trim().slice(0, SAMPLE_CHARS) };
    }
    looked += 1;
    if (looked >= SECURITY_LIMITS.injectionFindings && best.weight >= SUSPICIOUS_SCORE) break;
  }
  return best === undefined ? [] : [best];
}

function weigh(rule: InjectionRule, view: View, start: number, end: number): number {
  if (view.how !== 'plain') return Math.min(0.95, rule.weight + HIDDEN_WEIGHT);
  return isMention(view.text, start, end) ? rule.weight * QUOTED_FACTOR : rule.weight;
}

const REPORTING =
  /\b(?:detect\w*|phrases?|such as|e\.g\.|for example|examples?|like|patterns?|strings?|payloads?|attempt\w*|contain\w*|classif\w+|known as|called|block\w*|flag\w*|titled?|says?|said|signature|jailbreak\w*|injection\w*|attacks?|quot\w+)\b|识别|检测|例如|诸如|比如|攻击|注入|字样|特征|样本|包含|拦截/;

/**
 * Is the phrase named rather than used: quoted alone, in a sentence that reports? The quotes must hold
 * hardly more than the phrase, so that an order with its payload never counts as a mention.
 */
function isMention(text: string, start: number, end: number): boolean {
  const before = text.slice(Math.max(0, start - 12), start);
  const after = text.slice(end, end + 12);
  const opened = /["'「『《][^"'「」『』《》]{0,8}$/.test(before);
  const closed = /^[^"'「」『』《》]{0,8}["'」』》]/.test(after);
  return opened && closed && REPORTING.test(text.slice(Math.max(0, start - 120), start));
}

function scoreOf(findings: readonly InjectionFinding[]): number {
  const strongest = new Map<string, number>();
  for (const finding of findings) strongest.set(finding.rule, Math.max(strongest.get(finding.rule) ?? 0, finding.weight));
  let innocent = 1;
  for (const weight of strongest.values()) innocent *= 1 - weight;
  return Math.round((1 - innocent) * 1000) / 1000;
}
