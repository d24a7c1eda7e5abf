export * from './runtime.ts';
export * from './serve/index.ts';
export * from './tool-adapter.ts';
export * from './wire/index.ts';
