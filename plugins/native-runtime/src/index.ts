export * from './native-runtime.ts';
