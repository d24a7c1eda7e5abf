export * from './runtime.ts';
export * from './tool-adapter.ts';
