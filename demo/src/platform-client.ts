import type { JsonObject, JsonValue } from '@openeaap/kernel';
import { PlatformError, isJsonObject } from '@openeaap/kernel';
import { createParser } from 'eventsource-parser';

/** The REST API as the demo uses it: from outside, like any other program. */
export interface PlatformClient {
  readonly get: (path: string) => Promise<JsonObject>;
  readonly post: (path: string, body: JsonObject) => Promise<JsonObject>;
  /** The events of a run, until it ends or `signal` aborts. */
  readonly events: (runId: string, signal: AbortSignal) => AsyncGenerator<ShownEvent>;
}

export interface ShownEvent {
  readonly type: string;
  readonly data: JsonObject;
}

const REQUEST_TIMEOUT_MS = 30_000;

export function createPlatformClient(url: string, apiKey: string): PlatformClient {
  const headers = { authorization: `Bearer ${apiKey}`, 'content-type': 'application/json' };
  const send = async (path: string, init: RequestInit): Promise<JsonObject> => {
    const response = await fetch(`${url}/api/v1${path}`, { headers, signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS), ...init });
    const answer: unknown = await response.json();
    const body = isJsonObject(answer) ? answer : {};
    if (!response.ok) throw new PlatformError('internal', `${init.method ?? 'GET'} ${path}: ${response.status} ${textOf(body['detail'] ?? body['title'])}`);
    return body;
  };
  return {
    get: (path) => send(path, {}),
    post: (path, body) => send(path, { method: 'POST', body: JSON.stringify(body) }),
    events: (runId, signal) => readEvents(`${url}/api/v1/runs/${runId}/events`, headers, signal),
  };
}

/** For people: text as it is, anything else as JSON. */
export const textOf = (value: JsonValue | undefined): string => (typeof value === 'string' ? value : JSON.stringify(value ?? ''));

async function* readEvents(url: string, headers: Record<string, string>, signal: AbortSignal): AsyncGenerator<ShownEvent> {
  const response = await fetch(url, { headers: { ...headers, accept: 'text/event-stream' }, signal });
  if (!response.ok || response.body === null) throw new PlatformError('internal', `The event stream answered ${response.status}.`);
  const ready: ShownEvent[] = [];
  const parser = createParser({ onEvent: ({ event, data }) => ready.push({ type: event ?? 'message', data: JSON.parse(data) as JsonObject }) });
  const decoder = new TextDecoder();
  for await (const chunk of response.body) {
    parser.feed(decoder.decode(chunk as Uint8Array, { stream: true }));
    yield* ready.splice(0);
  }
}
