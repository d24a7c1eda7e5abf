export * from './create-model-key.ts';
export * from './find-model-key.ts';
export * from './list-model-keys.ts';
export * from './update-model-key.ts';
