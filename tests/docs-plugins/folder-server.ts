import { readFile } from 'node:fs/promises';
import path from 'node:path';
import type { ApiClient } from '../e2e/harness/api-client.ts';
import { createApiClient } from '../e2e/harness/api-client.ts';
import { at, listAt, textAt } from '../e2e/harness/json.ts';

/** The API of the server that runs in a reader's folder. Errors: it has not said yet where it is. */
export async function clientOf(folder: string): Promise<ApiClient> {
  const connection: unknown = JSON.parse(await readFile(path.join(folder, '.openeaap/connection.json'), 'utf8'));
  return createApiClient(textAt(connection, 'url'), textAt(connection, 'api_key'));
}

/** False also while there is no server to ask. */
export async function isPluginReady(folder: string, name: string): Promise<boolean> {
  try {
    const plugins = listAt((await (await clientOf(folder)).get('/plugins')).body, 'items');
    return plugins.some((plugin) => at(plugin, 'name') === name && at(plugin, 'status') === 'ready');
  } catch {
    return false;
  }
}
