export type { HttpAppOptions } from './app.ts';
export { createHttpApp } from './app.ts';
export type { OpenAiPort } from './openai/port.ts';
export type { OpenAiRoutesOptions } from './openai/register-openai-routes.ts';
export { createOpenAiDoor } from './openai/create-openai-door.ts';
export { buildOpenApi, renderOpenApi } from './openapi.ts';
export * from './port.ts';
export { STATUS } from './problem.ts';
export * from './scope.ts';
