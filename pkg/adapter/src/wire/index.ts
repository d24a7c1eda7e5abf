export * from './error-wire.ts';
export * from './offer-wire.ts';
export * from './think-wire.ts';
export * from './tool-wire.ts';
export * from './wire-limits.ts';
