export * from './collect-feedback.ts';
export * from './to-preference-pair.ts';
