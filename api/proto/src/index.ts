export * from './gen/runtime.ts';
