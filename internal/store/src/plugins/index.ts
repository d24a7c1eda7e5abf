export * from './delete-plugin.ts';
export * from './list-plugins.ts';
export * from './plugin-pins.ts';
export * from './save-plugin.ts';
