import { createHttpApp } from './app.ts';
import type { PlatformPort } from './port.ts';
import { API_VERSION } from './swagger-options.ts';

/** The OpenAPI 3.1 document of the API, made from the routes. */
export async function buildOpenApi(): Promise<object> {
  // Describing the routes calls nothing of the platform.
  const app = createHttpApp({} as PlatformPort, { version: API_VERSION });
  await app.ready();
  const document = app.swagger();
  await app.close();
  return document;
}

/** As it is committed in `api/openapi/openapi.json`. */
export async function renderOpenApi(): Promise<string> {
  return `${JSON.stringify(await buildOpenApi(), null, 2)}\n`;
}
