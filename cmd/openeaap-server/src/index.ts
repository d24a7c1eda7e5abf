export { serve } from './serve.ts';
export type { Served } from './serve.ts';
export { diagnose } from './diagnosis/diagnose.ts';
export { measureClock } from './diagnosis/measure-clock.ts';
export { parseConfig } from './config.ts';
export type { ServerConfig } from './config.ts';
