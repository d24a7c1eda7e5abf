export * from './create-worker-runtime.ts';
export * from './run-worker.ts';
