export * from './announce.ts';
export * from './plugin-log.ts';
export * from './plugin-settings.ts';
export * from './serve-plugin.ts';
