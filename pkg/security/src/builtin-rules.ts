import { isIPv6 } from 'node:net';
import { isChineseIdCard, isLuhnValid, isUscc } from './checksum.ts';

/** One recogniser of the built-in pack. Patterns are ours, vetted to be linear, and run natively. */
export interface BuiltinRule {
  readonly kind: string;
  /** With flag g. When it has a group, only the group is masked. */
  readonly pattern: RegExp;
  /** The text must hold one of these for the pattern to be tried at all. */
  readonly hints?: readonly string[];
  /** A cheaper pattern that every text with a match has too; without flag g. */
  readonly likely?: RegExp;
  /** Checks what the pattern alone cannot, e.g. a checksum. */
  readonly accept?: (value: string, match: string) => boolean;
  /** Made of digits: not looked for inside UUIDs and hex digests, where it would be chance. */
  readonly numeric?: true;
  /** An address: equal addresses get equal labels. */
  readonly address?: true;
}

const OCTET = '(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)';
/** A dot, or one that an analyst defused: 1[.]2[.]3[.]4 */
const DOT = '(?:\\.|\\[\\.\\]|\\(\\.\\))';

const NUMBERS: readonly BuiltinRule[] = [
  {
    kind: 'phone',
    pattern: /(?<!\d)(?<!\d\.)(?:(?:\+|00)?86[- ]?)?\(?1[3-9]\d\)?[- ]?\d{4}[- ]?\d{4}(?!\d)/g,
    numeric: true,
  },
  { kind: 'id_card', pattern: /(?<!\d)[1-9]\d{16}[\dXx](?!\d)/g, accept: isChineseIdCard, numeric: true },
  {
    kind: 'uscc',
    pattern: /(?<![0-9A-Za-z])[159Y][1239]\d{6}[0-9A-HJ-NPQRTUWXY]{10}(?![0-9A-Za-z])/g,
    accept: isUscc,
    numeric: true,
  },
  {
    // No issuer's number begins with 1, so times in milli-, micro- and nanoseconds cannot be cards.
    kind: 'bank_card',
    pattern: /(?<!\d)(?<!\d[.-])[2-6](?:[ -]?\d){13,18}(?![ -]?\d)/g,
    accept: (value) => {
      const digits = value.replace(/\D/g, '');
      return /^(?:4\d{15}|4\d{18}|5[1-5]\d{14}|2[2-7]\d{14}|3[47]\d{13}|35\d{14}|6\d{15,18})$/.test(digits) && isLuhnValid(digits);
    },
    numeric: true,
  },
  {
    kind: 'ip',
    pattern: new RegExp(`(?<!\\d)(?<!\\d\\.)${OCTET}(?:${DOT}${OCTET}){3}(?!\\d|\\.\\d)`, 'g'),
    numeric: true,
    address: true,
  },
  {
    kind: 'ip',
    pattern: /(?<![0-9A-Za-z:.])[0-9A-Fa-f]{0,4}:[0-9A-Fa-f:.]{0,43}[0-9A-Fa-f:](?![0-9A-Za-z:])/g,
    hints: [':'],
    // Times of day have two colons; an address has three in a row of groups, or two together.
    likely: /::|:[0-9A-Fa-f]{1,4}:[0-9A-Fa-f]{1,4}:/,
    accept: (value) => value.length > 2 && isIPv6(value),
    address: true,
  },
];

const VENDOR_KEYS: readonly BuiltinRule[] = [
  { kind: 'email', pattern: /(?<![A-Za-z0-9._%+-])[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,8}/g, hints: ['@'] },
  { kind: 'aws_key', pattern: /(?:AKIA|ASIA|AROA|AIDA|AGPA|ANPA)[0-9A-Z]{16}/g, hints: ['AKIA', 'ASIA', 'AROA', 'AIDA', 'AGPA', 'ANPA'] },
  { kind: 'aliyun_key', pattern: /LTAI[A-Za-z0-9]{12,26}/g, hints: ['LTAI'] },
  { kind: 'tencent_key', pattern: /AKID[A-Za-z0-9]{13,40}/g, hints: ['AKID'] },
  { kind: 'huawei_key', pattern: /(?:HPUA|HST3)[0-9A-Z]{16}/g, hints: ['HPUA', 'HST3'] },
  {
    // The secret half that stands right behind its public half, as consoles and CSV files show them.
    kind: 'secret_key',
    pattern: /(?:AKIA|ASIA|LTAI|AKID|HPUA|HST3)[A-Za-z0-9]{12,40}\s{0,4}["']?[\s,;:|/]{1,8}["']?([A-Za-z0-9/+]{30,64}={0,2})(?![A-Za-z0-9/+])/g,
    hints: ['AKIA', 'ASIA', 'LTAI', 'AKID', 'HPUA', 'HST3'],
  },
  { kind: 'github_token', pattern: /gh[pousr]_[A-Za-z0-9]{36,255}|github_pat_[A-Za-z0-9_]{22,255}/g, hints: ['gh', 'github_pat_'] },
  { kind: 'gitlab_token', pattern: /glpat-[A-Za-z0-9_-]{20,64}/g, hints: ['glpat-'] },
  { kind: 'npm_token', pattern: /npm_[A-Za-z0-9]{36}/g, hints: ['npm_'] },
  { kind: 'slack_token', pattern: /xox[abeoprs]-[A-Za-z0-9-]{10,250}|xapp-[A-Za-z0-9-]{10,250}/g, hints: ['xox', 'xapp-'] },
  { kind: 'webhook', pattern: /hooks\.slack\.com\/services\/([A-Za-z0-9/_-]{20,200})/g, hints: ['hooks.slack.com'] },
  { kind: 'model_key', pattern: /(?<![A-Za-z0-9])sk-(?=[A-Za-z0-9_-]{0,200}\d)[A-Za-z0-9_-]{20,200}/g, hints: ['sk-'] },
  { kind: 'google_key', pattern: /AIza[0-9A-Za-z_-]{35}/g, hints: ['AIza'] },
  { kind: 'stripe_key', pattern: /(?:sk|rk)_(?:live|test)_[A-Za-z0-9]{16,250}/g, hints: ['_live_', '_test_'] },
  { kind: 'jwt', pattern: /(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{6,4096}\.[A-Za-z0-9_-]{4,16384}\.[A-Za-z0-9_-]{0,4096}/g, hints: ['eyJ'] },
  {
    // A key without its end is masked to the end of the text.
    kind: 'private_key',
    pattern: /-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----[\s\S]*?(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----|$)/g,
    hints: ['PRIVATE KEY'],
  },
];

/** What stands between a key word and its value: `=`, `:`, `": "` also inside escaped JSON, or Chinese 是 and 为. */
const ASSIGN = String.raw`\\?["']?\s{0,4}(?:=>|:=|=|:|(?:是|为)(?=\s{0,4}[!-~]))\s{0,4}`;
const VALUE = String.raw`(?:\\?["'])?((?<=\\")(?:[^"\\\r\n]){1,4096}|(?<=")[^"\r\n]{1,4096}|(?<=')[^'\r\n]{1,4096}|[^\s"'\\&，；。！？、]{0,4095}[^\s"'\\&，；。！？、,;.)}])`;

const KEY_WORDS: readonly BuiltinRule[] = [
  {
    kind: 'secret',
    pattern: new RegExp(`(?:passw(?:or)?d|passwd|pwd|passphrase|密码|口令)${ASSIGN}${VALUE}`, 'gi'),
  },
  {
    kind: 'secret',
    pattern: new RegExp(
      `(?:token|secret|api[_-]?key|access[_-]?key(?:[_-]?(?:id|secret))?|(?:secret|private|account|shared|signing|encryption|session)[_-]?key|credentials?|令牌|密钥|私钥|凭证)${ASSIGN}${VALUE}`,
      'gi',
    ),
    accept: isLikelySecret,
  },
  {
    kind: 'secret',
    pattern: new RegExp(`(?<![A-Za-z_-])(?:ak|sk|key|auth)${ASSIGN}${VALUE}`, 'gi'),
    accept: (value) => value.length >= 16 && !/^[0-9a-f-]{32,}$/i.test(value) && isHighEntropy(value),
  },
  {
    kind: 'secret',
    pattern: /\b(?:bearer|basic|apikey)[ \t]{1,4}([A-Za-z0-9._~+/=-]{8,8192})/gi,
    accept: (value) => value.length >= 24 || /\d|[a-z][A-Z]/.test(value),
  },
  { kind: 'secret', pattern: /(?:authorization|(?:set-)?cookie)["']?[ \t]{0,4}:[ \t]{0,4}["']?([^\r\n"']{1,8192})/gi, hints: ['ookie', 'OOKIE', 'uthorization', 'UTHORIZATION'] },
  { kind: 'secret', pattern: /:\/\/[^\s/:@"']{0,128}:([^\s/@"']{1,256})@/g, hints: ['://'] },
];

export const BUILTIN_RULES: readonly BuiltinRule[] = [...NUMBERS, ...VENDOR_KEYS, ...KEY_WORDS];

/** Digests and ids of our own: call hashes, trace ids, UUIDs. Digits inside them are chance. */
export const OPAQUE_IDS = /(?<![0-9A-Za-z])(?:[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}|(?=\d*[a-f])[0-9a-f]{16,128}|(?=\d*[A-F])[0-9A-F]{32,128})(?![0-9A-Za-z])/g;

/** Keys of JSON objects whose text is a secret whatever it looks like. */
const SECRET_KEY = /(?:^|[_.\-\s])(?:password|passwd|pwd|passphrase|secret|token|api_?key|access_?key(?:_?(?:id|secret))?|secret_?key|private_?key|client_?secret|authorization|cookie|credentials?)$|密码|口令|令牌|密钥|私钥/i;

export function isSecretKey(key: string): boolean {
  return key.length <= 128 && SECRET_KEY.test(key.replace(/([a-z0-9])([A-Z])/g, '$1_$2').replaceAll('-', '_'));
}

/** A word after `token:` in prose is no secret; one after `token=` is, and so is anything that no dictionary has. */
function isLikelySecret(value: string, match: string): boolean {
  if (value.length < 4) return false;
  const assigned = /[=]\s*\\?["']?$/.test(match.slice(0, match.length - value.length)) || /["']$/.test(match.slice(0, match.length - value.length));
  if (assigned) return true;
  return value.length >= 16 || /\d/.test(value) || /[a-z][A-Z]/.test(value);
}

/** Shannon entropy over 3 bits per character, with letters and digits both. */
function isHighEntropy(value: string): boolean {
  if (!/\d/.test(value) || !/[A-Za-z]/.test(value)) return false;
  const counts = new Map<string, number>();
  for (const char of value) counts.set(char, (counts.get(char) ?? 0) + 1);
  let bits = 0;
  for (const count of counts.values()) bits -= (count / value.length) * Math.log2(count / value.length);
  return bits >= 3;
}
