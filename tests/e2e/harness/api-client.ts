import { at, textAt } from './json.ts';
import { waitUntil } from './wait-until.ts';

export interface Reply {
  readonly status: number;
  readonly headers: Headers;
  /** Parsed where it is JSON, the text otherwise. */
  readonly body: unknown;
}

export interface SseEvent {
  /** null: an event that is not replayed. */
  readonly id: number | null;
  readonly type: string;
  readonly data: unknown;
}

export interface StreamOptions {
  readonly method?: 'GET' | 'POST';
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
}

/** The REST API over a real socket. */
export interface ApiClient {
  readonly url: string;
  readonly apiKey: string;
  readonly get: (path: string, headers?: Readonly<Record<string, string>>) => Promise<Reply>;
  readonly post: (path: string, body?: unknown, headers?: Readonly<Record<string, string>>) => Promise<Reply>;
  readonly delete: (path: string) => Promise<Reply>;
  /** Anything: `path` from the root, the body as it is, no key unless the headers have one. */
  readonly raw: (path: string, init: RequestInit) => Promise<Reply>;
  readonly stream: (path: string, options?: StreamOptions) => AsyncGenerator<SseEvent>;
  readonly withKey: (apiKey: string) => ApiClient;
  /** Makes and publishes version 1.0.0. */
  readonly publishAgent: (name: string, configuration: object) => Promise<string>;
  /** A run that must be accepted; its id. */
  readonly startRun: (agent: string, input: string | object) => Promise<string>;
  readonly run: (runId: string) => Promise<unknown>;
  /** The run once it has ended. */
  readonly ended: (runId: string, limitMs?: number) => Promise<unknown>;
  /** The approval that a run waits for. */
  readonly pendingApproval: (runId: string) => Promise<string>;
  readonly steps: (runId: string) => Promise<readonly unknown[]>;
  readonly events: (runId: string) => Promise<readonly SseEvent[]>;
  /** Decides as the key's owner; must be taken. */
  readonly decide: (approvalId: string, decision: object) => Promise<unknown>;
}

export const ENDED: ReadonlySet<unknown> = new Set(['completed', 'failed', 'cancelled']);
const REQUEST_LIMIT_MS = 60_000;

export function createApiClient(url: string, apiKey: string): ApiClient {
  const auth = { authorization: `Bearer ${apiKey}` };
  const raw = async (path: string, init: RequestInit): Promise<Reply> => {
    const response = await fetch(`${url}${path}`, { signal: AbortSignal.timeout(REQUEST_LIMIT_MS), ...init });
    const text = await response.text();
    return { status: response.status, headers: response.headers, body: parse(text) };
  };
  const get: ApiClient['get'] = (path, headers = {}) => raw(`/api/v1${path}`, { headers: { ...auth, ...headers } });
  const post: ApiClient['post'] = (path, body = {}, headers = {}) =>
    raw(`/api/v1${path}`, { method: 'POST', headers: { ...auth, 'content-type': 'application/json', ...headers }, body: JSON.stringify(body) });
  const remove: ApiClient['delete'] = (path) => raw(`/api/v1${path}`, { method: 'DELETE', headers: auth });
  const must = async (expected: readonly number[], reply: Promise<Reply>): Promise<unknown> => {
    const { status, body } = await reply;
    if (!expected.includes(status)) throw new Error(`HTTP ${status}: ${JSON.stringify(body)}`);
    return body;
  };
  const run = (runId: string): Promise<unknown> => must([200], get(`/runs/${runId}`));
  const until = async (what: string, runId: string, look: (view: unknown) => unknown, limitMs?: number): Promise<unknown> => {
    const seen: { view: unknown } = { view: null };
    const found = async (): Promise<unknown> => look((seen.view = await run(runId)));
    return waitUntil(what, found, limitMs).catch((error: unknown) => {
      throw new Error(`${String(error)}; the run is ${JSON.stringify(seen.view)}`, { cause: error });
    });
  };
  return {
    url,
    apiKey,
    get,
    post,
    delete: remove,
    raw,
    stream: (path, options = {}) => readStream(`${url}/api/v1${path}`, auth, options),
    withKey: (key) => createApiClient(url, key),
    publishAgent: async (name, configuration) => {
      const agent = await must([200, 201], post('/agents', { name, version: '1.0.0', configuration }));
      const id = textAt(agent, 'agent_id');
      await must([200], post(`/agents/${id}/publish`));
      return id;
    },
    startRun: async (agent, input) => textAt(await must([202], post(`/agents/${agent}/runs`, { input })), 'run_id'),
    run,
    ended: (runId, limitMs) => until(`run ${runId} ended`, runId, (view) => (ENDED.has(at(view, 'status')) ? view : null), limitMs),
    pendingApproval: async (runId) => textAt(await until(`run ${runId} waits`, runId, (view) => (at(view, 'status') === 'paused' && at(view, 'pending_approvals', 0) !== undefined ? view : null)), 'pending_approvals', 0),
    steps: async (runId) => at(await must([200], get(`/runs/${runId}/steps`)), 'items') as readonly unknown[],
    events: async (runId) => {
      const items = at(await must([200], get(`/runs/${runId}/events?limit=200`)), 'items') as readonly { readonly seq: number; readonly type: string; readonly data: unknown }[];
      return items.map(({ seq, type, data }) => ({ id: seq, type, data }));
    },
    decide: (approvalId, decision) => must([200], post(`/approvals/${approvalId}/decide`, decision)),
  };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

async function* readStream(url: string, auth: Readonly<Record<string, string>>, options: StreamOptions): AsyncGenerator<SseEvent> {
  const { method = 'GET', body, headers = {}, signal = AbortSignal.timeout(REQUEST_LIMIT_MS) } = options;
  const response = await fetch(url, {
    method,
    headers: { ...auth, accept: 'text/event-stream', ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    signal,
  });
  if (response.status === 204) return;
  if (response.status !== 200 || response.body === null) throw new Error(`the stream answered ${response.status}: ${await response.text()}`);
  const decoder = new TextDecoder();
  let waiting = '';
  for await (const chunk of response.body) {
    waiting += decoder.decode(chunk as Uint8Array, { stream: true });
    const frames = waiting.split('\n\n');
    waiting = frames.pop() ?? '';
    for (const frame of frames) {
      const event = toEvent(frame);
      if (event !== null) yield event;
    }
  }
}

/** null: a comment or a `retry:`. */
function toEvent(frame: string): SseEvent | null {
  const fields = new Map(frame.split('\n').map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1).trimStart()]));
  const data = fields.get('data');
  const id = fields.get('id');
  return data === undefined ? null : { id: id === undefined ? null : Number(id), type: fields.get('event') ?? 'message', data: JSON.parse(data) };
}

/** All of a stream. */
export async function collect<T>(stream: AsyncIterable<T>): Promise<readonly T[]> {
  const items: T[] = [];
  for await (const item of stream) items.push(item);
  return items;
}
