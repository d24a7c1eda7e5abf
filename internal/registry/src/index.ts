export * from './declare/parse-declaration.ts';
export * from './declare/plugin-declaration.ts';
export * from './open-peer.ts';
export * from './registry.ts';
