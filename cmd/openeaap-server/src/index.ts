export { serve } from './serve.ts';
export type { Served } from './serve.ts';
export { parseConfig } from './config.ts';
export type { ServerConfig } from './config.ts';
