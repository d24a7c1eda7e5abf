import type { JsonObject, JsonValue, Priority } from '@openeaap/kernel';
import { PRIORITIES, PlatformError, hashJson, isJsonObject } from '@openeaap/kernel';

/** `configs/triggers.yaml`: how an event from outside becomes a run. */
export interface Trigger {
  readonly name: string;
  /** Name of the agent; its current version is started. */
  readonly agent: string;
  /** On whose behalf the run is; its rights are those of this user. */
  readonly userId: string;
  /** Fields that tell two events apart, e.g. `id`; an event without any of them is told apart by its whole body. */
  readonly dedupBy: readonly string[];
  readonly priority: Priority;
}

export function parseTriggers(document: unknown, file: string): ReadonlyMap<string, Trigger> {
  if (document === null || document === undefined) return new Map();
  const wrong = (what: string): PlatformError => new PlatformError('invalid_input', `${file}: ${what}`, { details: { file } });
  if (!isJsonObject(document) || !Array.isArray(document['triggers'])) throw wrong('there must be a list "triggers".');
  const triggers = (document['triggers'] as readonly unknown[]).map((entry, index): Trigger => {
    const at = `triggers[${index}]`;
    if (!isJsonObject(entry)) throw wrong(`${at} must be a mapping with name, agent, user, dedup_by and priority.`);
    const { name, agent, user, dedup_by: dedupBy = [], priority = 'normal', ...rest } = entry;
    const unknown = Object.keys(rest)[0];
    if (unknown !== undefined) throw wrong(`${at} has an unknown key "${unknown}"; it takes name, agent, user, dedup_by and priority.`);
    const textOf = (key: string, value: unknown): string => {
      if (typeof value !== 'string' || value === '') throw wrong(`${at}.${key} must be a text.`);
      return value;
    };
    if (!Array.isArray(dedupBy) || !dedupBy.every((field) => typeof field === 'string')) throw wrong(`${at}.dedup_by must be a list of field names.`);
    const known = PRIORITIES.find((level) => level === priority);
    if (known === undefined) throw wrong(`${at}.priority must be one of ${PRIORITIES.join(', ')}.`);
    return { name: textOf('name', name), agent: textOf('agent', agent), userId: textOf('user', user), dedupBy, priority: known };
  });
  return new Map(triggers.map((trigger) => [trigger.name, trigger]));
}

/**
 * What makes two deliveries of one event the same run: the named fields that it has, or, when it
 * has none of them, the whole body.
 */
export function toDedupKey(trigger: Trigger, body: JsonObject): string {
  const named = trigger.dedupBy.flatMap((field): readonly JsonValue[] => {
    const value = body[field];
    return value === undefined || value === null || value === '' ? [] : [[field, value]];
  });
  return `trigger:${trigger.name}:${hashJson(named.length === 0 ? body : named)}`;
}
