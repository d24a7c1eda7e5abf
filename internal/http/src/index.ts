export type { HttpAppOptions } from './app.ts';
export { createHttpApp } from './app.ts';
export type { OpenAiAnswer, OpenAiCall, OpenAiKind, OpenAiPort, OpenAiSession } from './openai/port.ts';
export { createOpenAiDoor } from './openai/create-openai-door.ts';
export type { OpenAiDoor, OpenAiDoorOptions } from './openai/create-openai-door.ts';
export { buildOpenApi, renderOpenApi } from './openapi.ts';
export * from './port.ts';
export { STATUS } from './problem.ts';
export * from './scope.ts';
