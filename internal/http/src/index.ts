export type { HttpAppOptions } from './app.ts';
export { createHttpApp } from './app.ts';
export { buildOpenApi, renderOpenApi } from './openapi.ts';
export * from './port.ts';
export { STATUS } from './problem.ts';
export * from './scope.ts';
