import type { Sensitivity } from '@openeaap/kernel';

export interface Classification {
  readonly sensitivity: Sensitivity;
  /** Names of the rules that matched; empty for the default label. */
  readonly reasons: readonly string[];
}

interface Rule {
  readonly name: string;
  readonly sensitivity: Sensitivity;
  readonly matches: (text: string) => boolean;
}

const DEFAULT_SENSITIVITY: Sensitivity = 2;

/** Patterns are our own and free of nested repetition: linear on any input. */
const RULES: readonly Rule[] = [
  pattern('secret.private_key', 3, /-----BEGIN [A-Z ]{0,32}PRIVATE KEY-----/),
  pattern('secret.aws_access_key', 3, /\b(?:AKIA|ASIA)[0-9A-Z]{16}\b/),
  pattern('secret.aliyun_access_key', 3, /\bLTAI[0-9A-Za-z]{12,24}\b/),
  pattern('secret.token', 3, /\b(?:sk-|ghp_|gho_|glpat-|xox[abp]-)[0-9A-Za-z_-]{16,}/),
  pattern('secret.jwt', 3, /\beyJ[0-9A-Za-z_-]{8,}\.eyJ[0-9A-Za-z_-]{8,}\./),
  pattern('secret.assignment', 3, /(?:password|passwd|secret_?key|api_?key|access_?key|密码|口令|密钥)\s{0,4}[:=：]\s{0,4}[^\s，。,.;<>[\](){}*]{6,}/i),
  { name: 'pii.cn_identity_card', sensitivity: 3, matches: hasIdentityCard },
  { name: 'pii.payment_card', sensitivity: 3, matches: hasPaymentCard },
  pattern('marking.confidential', 3, /\b(?:strictly |highly )?confidential\b|\btop secret\b|机密|绝密|秘密级|仅限高管/i),
  pattern('pii.cn_mobile', 2, /(?<!\d)(?:\+?86[- ]?)?1[3-9]\d{9}(?!\d)/),
  pattern('pii.email', 2, /\b[0-9A-Za-z][\w.+-]{0,63}@[0-9A-Za-z][0-9A-Za-z-]{0,62}\.[A-Za-z]/),
  pattern('marking.internal', 2, /\binternal (?:use )?only\b|\binternal\b|内部/i),
];

/**
 * The label of a document that carries none. Conservative: the highest rule wins, and nothing
 * found means Internal; only a person can make a document Public.
 */
export function classify(text: string): Classification {
  const hits = RULES.filter((rule) => rule.matches(text));
  const sensitivity = hits.reduce<Sensitivity>((highest, rule) => (rule.sensitivity > highest ? rule.sensitivity : highest), DEFAULT_SENSITIVITY);
  return { sensitivity, reasons: hits.map((rule) => rule.name) };
}

function pattern(name: string, sensitivity: Sensitivity, regex: RegExp): Rule {
  return { name, sensitivity, matches: (text) => regex.test(text) };
}

const IDENTITY_WEIGHTS = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2] as const;

/** 18 digits with the check digit of GB 11643-1999. */
function hasIdentityCard(text: string): boolean {
  for (const [candidate] of text.matchAll(/(?<!\d)[1-9]\d{16}[\dXx](?!\d)/g)) {
    const sum = IDENTITY_WEIGHTS.reduce((total, weight, i) => total + weight * Number(candidate[i]), 0);
    if ('10X98765432'[sum % 11] === candidate[17]?.toUpperCase()) return true;
  }
  return false;
}

/** 15 to 19 digits, in groups or not, with a right Luhn check digit (ISO/IEC 7812-1). */
function hasPaymentCard(text: string): boolean {
  for (const [candidate] of text.matchAll(/(?<![\d.])[3-6]\d{3}(?:[ -]?\d{3,6}){2,3}[ -]?\d{0,3}(?![\d.])/g)) {
    const digits = candidate.replace(/[ -]/g, '');
    if (digits.length >= 15 && digits.length <= 19 && isLuhn(digits)) return true;
  }
  return false;
}

function isLuhn(digits: string): boolean {
  const sum = Array.from(digits).reverse().reduce((total, digit, i) => {
    const value = Number(digit) * (i % 2 === 0 ? 1 : 2);
    return total + (value > 9 ? value - 9 : value);
  }, 0);
  return sum % 10 === 0;
}
