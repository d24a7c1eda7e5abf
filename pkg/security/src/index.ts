export { detectInjection } from './injection.ts';
export type { InjectionFinding, InjectionReport } from './injection.ts';
export { SECURITY_LIMITS } from './limits.ts';
export { createMasker, MASK } from './pii.ts';
export type { Masker, MaskerOptions, PiiAction, PiiRule, Sanitized } from './pii.ts';
export { compileRegex } from './regex.ts';
export type { RegexResult, UserRegex } from './regex.ts';
export { toStorable } from './storable.ts';
