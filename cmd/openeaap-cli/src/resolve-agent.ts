import { isUuid } from '@openeaap/kernel';
import type { JsonValue } from '@openeaap/kernel';
import type { ApiClient } from './api-client.ts';
import { route } from './api-client.ts';
import { CliError, usageError } from './cli-error.ts';
import { collectPages } from './collect-pages.ts';
import { fieldOf, textOf } from './view.ts';

/** Most versions of one agent that are looked through. */
const VERSIONS_CEILING = 1_000;

export interface AgentName {
  readonly name: string;
  readonly version: string | null;
}

/** `NAME` or `NAME@VERSION`. */
export function parseAgentName(text: string): AgentName {
  const at = text.lastIndexOf('@');
  const name = at < 0 ? text : text.slice(0, at);
  const version = at < 0 ? null : text.slice(at + 1);
  if (name === '' || version === '') throw usageError(`"${text}" is not an agent.`, 'Write its id, NAME, or NAME@VERSION.');
  return { name, version };
}

/** Does a view with `agent_name` and `agent_version` belong to that agent? */
export function isOfAgent(view: JsonValue, wanted: AgentName): boolean {
  return fieldOf(view, 'agent_name') === wanted.name && (wanted.version === null || fieldOf(view, 'agent_version') === wanted.version);
}

/**
 * The one version that `text` names: by id, by NAME@VERSION, or NAME alone for its current one.
 * @throws CliError `not_found`.
 */
export async function resolveAgent(api: ApiClient, text: string): Promise<JsonValue> {
  if (isUuid(text)) return (await api.request({ path: route('agents', text) })).body;
  const wanted = parseAgentName(text);
  const { items } = await collectPages(api, { path: route('agents'), query: { name: wanted.name }, limit: VERSIONS_CEILING });
  const versions = items.filter((item) => fieldOf(item, 'name') === wanted.name);
  const found = versions.find((item) => (wanted.version === null ? fieldOf(item, 'current') === true : fieldOf(item, 'version') === wanted.version));
  if (found !== undefined) return found;
  if (versions.length === 0) throw new CliError('not_found', `There is no agent "${wanted.name}".`, { cure: 'See "openeaap agent list".' });
  const known = versions.map((item) => `${textOf(item, 'version')} (${textOf(item, 'status')})`).join(', ');
  const missing = wanted.version === null ? 'no published version' : `no version "${wanted.version}"`;
  throw new CliError('not_found', `Agent "${wanted.name}" has ${missing}. It has: ${known}.`, { cure: `Write NAME@VERSION, or publish one: openeaap agent publish ${wanted.name}@VERSION` });
}
