import { readFile } from 'node:fs/promises';
import { PlatformError, isJsonObject } from '@openeaap/kernel';
import { parse } from 'yaml';
import { demoFiles } from './demo-files.ts';
import type { PlatformClient } from './platform-client.ts';
import { textOf } from './platform-client.ts';

/** Adds the demo's agent by the API, as a user would; again is no change. Returns its id. */
export async function seedDemo(client: PlatformClient): Promise<string> {
  const document: unknown = parse(await readFile(demoFiles.agentFile, 'utf8'));
  if (!isJsonObject(document)) throw new PlatformError('invalid_input', 'demo/agent.yaml is not a mapping.');
  const agent = await client.post('/agents', document);
  const id = textOf(agent['agent_id']);
  if (agent['current'] !== true) await client.post(`/agents/${id}/publish`, {});
  return id;
}
