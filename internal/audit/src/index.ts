export * from './chain.ts';
export * from './heads.ts';
export * from './to-audit-row.ts';
export * from './verify.ts';
