import type { AgentStatus, JsonObject, JsonValue, Priority, RunStatus } from '@openeaap/kernel';
import { ApiError } from './api-error.ts';
import { newKey } from './new-key.ts';
import { pause } from './pause.ts';
import type { ListedEvent, StreamEvent } from './run-events.ts';
import { isFinal } from './run-events.ts';
import type { ApiRequest, Connection } from './send-request.ts';
import { sendRequest } from './send-request.ts';
import type { StreamOptions } from './stream-run.ts';
import { streamRun } from './stream-run.ts';
import type { Agent, AgentConfiguration, AgentModel, Approval, Page, PluginInfo, Run, RunCreated, Step, ToolInfo, Verdict } from './views.ts';

export interface ClientOptions {
  /** Of the server, e.g. https://agents.example.com; a path is kept. */
  readonly url: string | URL;
  /** Left out: requests carry no key. */
  readonly apiKey?: string;
  /** Default: the global one. */
  readonly fetch?: typeof fetch;
  /** Of one try of a request; default 30 s. */
  readonly timeoutMs?: number;
}

export interface CallOptions {
  readonly signal?: AbortSignal;
}

export interface NewRun {
  readonly input: string | JsonObject;
  /** Two creates with one key and one request are one run; default: a new key. */
  readonly idempotencyKey?: string;
  readonly userId?: string;
  readonly priority?: Priority;
  /** RFC 3339; not together with `delayS`. */
  readonly startAt?: string | Date;
  readonly delayS?: number;
}

export interface ListQuery {
  /** 1 to 200; default 50. */
  readonly limit?: number;
  readonly cursor?: string | null;
}

export interface RunQuery extends ListQuery {
  readonly status?: RunStatus;
  readonly agentId?: string;
  readonly userId?: string;
  readonly source?: string;
}

export interface WaitOptions extends StreamOptions {
  /** `ended` waits through approvals; `ended_or_paused` returns when the run waits for somebody. Default `ended`. */
  readonly until?: 'ended' | 'ended_or_paused';
}

export interface ApprovalQuery extends ListQuery {
  readonly status?: Approval['status'];
  readonly runId?: string;
}

export interface ApprovalDecision {
  readonly verdict: Verdict;
  /** `call_hash` of the approval as it was seen: a decision about another call is refused. */
  readonly callHash?: string;
  /** Needed for `edit`, and only there. */
  readonly args?: JsonObject;
  /** Needed for `reject`. */
  readonly comment?: string;
}

export interface NewAgent {
  readonly name: string;
  readonly version: string;
  readonly configuration?: Partial<Omit<AgentConfiguration, 'model'>> & { readonly model?: Partial<AgentModel> };
}

export interface Feedback {
  /** 1: good; -1: bad. */
  readonly score: 1 | -1;
  /** What the answer should have been. */
  readonly correction?: string;
  readonly category?: string;
}

/** The REST API. Every method throws ApiError; branch on its `code`. */
export interface Client {
  readonly runs: {
    /** `agent`: a name (its current version), name@version, or an id. Sent again when the network fails: the key makes it one run. */
    readonly create: (agent: string, run: NewRun, options?: CallOptions) => Promise<RunCreated>;
    readonly get: (runId: string, options?: CallOptions) => Promise<Run>;
    readonly list: (query?: RunQuery, options?: CallOptions) => Promise<Page<Run>>;
    readonly all: (query?: Omit<RunQuery, 'cursor'>, options?: CallOptions) => AsyncGenerator<Run, void, undefined>;
    readonly steps: (runId: string, options?: CallOptions) => Promise<readonly Step[]>;
    /** Events that are stored by now. */
    readonly events: (runId: string, query?: { readonly after?: number; readonly limit?: number }, options?: CallOptions) => Promise<{ readonly items: readonly ListedEvent[]; readonly next_after: number }>;
    /** Events as they come, from the first to the last, over as many connections as it takes. */
    readonly stream: (runId: string, options?: StreamOptions) => AsyncGenerator<StreamEvent, void, undefined>;
    /** The run, once it has ended. */
    readonly wait: (runId: string, options?: WaitOptions) => Promise<Run>;
    readonly cancel: (runId: string, reason?: string, options?: CallOptions) => Promise<Run>;
    /** Runs again as a new run. */
    readonly retry: (runId: string, options?: CallOptions) => Promise<RunCreated>;
    readonly giveFeedback: (runId: string, feedback: Feedback, options?: CallOptions) => Promise<{ readonly feedback_id: string; readonly preference_pair_id: string | null }>;
  };
  readonly approvals: {
    readonly get: (approvalId: string, options?: CallOptions) => Promise<Approval>;
    readonly list: (query?: ApprovalQuery, options?: CallOptions) => Promise<Page<Approval>>;
    readonly all: (query?: Omit<ApprovalQuery, 'cursor'>, options?: CallOptions) => AsyncGenerator<Approval, void, undefined>;
    readonly decide: (approvalId: string, decision: ApprovalDecision, options?: CallOptions) => Promise<Approval>;
  };
  readonly agents: {
    readonly create: (agent: NewAgent, options?: CallOptions) => Promise<Agent>;
    readonly get: (agent: string, options?: CallOptions) => Promise<Agent>;
    readonly list: (query?: ListQuery & { readonly name?: string; readonly status?: AgentStatus }, options?: CallOptions) => Promise<Page<Agent>>;
    readonly publish: (agent: string, options?: CallOptions) => Promise<Agent>;
    readonly deprecate: (agent: string, options?: CallOptions) => Promise<Agent>;
  };
  readonly tools: { readonly list: (options?: CallOptions) => Promise<readonly ToolInfo[]> };
  readonly plugins: {
    readonly list: (options?: CallOptions) => Promise<readonly PluginInfo[]>;
    readonly get: (plugin: string, options?: CallOptions) => Promise<PluginInfo>;
    /** In the words of configs/plugins.yaml, without `command`. */
    readonly declare: (declaration: JsonObject, options?: CallOptions) => Promise<PluginInfo>;
    readonly remove: (plugin: string, options?: CallOptions) => Promise<void>;
    readonly restart: (plugin: string, options?: CallOptions) => Promise<PluginInfo>;
    /** The plugin, once it takes steps; default: within 30 s. Errors: ApiError `timeout` that says how it is and why. */
    readonly waitReady: (plugin: string, options?: CallOptions & { readonly timeoutMs?: number }) => Promise<PluginInfo>;
  };
  /** Any other request: `path` behind /api/v1/, one segment each. */
  readonly request: (request: ApiRequest) => Promise<unknown>;
}

const TIMEOUT_MS = 30_000;
const READY_MS = 30_000;
const READY_POLL_MS = 250;

/** Errors: ApiError `invalid_input` for a URL that is none. */
export function createClient(options: ClientOptions): Client {
  const connection = toConnection(options);
  // Answers are taken at their word: they come from the server whose key we hold.
  const send = async <T>(request: ApiRequest, { signal }: CallOptions = {}): Promise<T> => (await sendRequest(connection, { ...request, signal: signal ?? request.signal })) as T;
  const get = <T>(path: readonly string[], call?: CallOptions, query?: ApiRequest['query']): Promise<T> => send<T>(query === undefined ? { path } : { path, query }, call);
  const post = <T>(path: readonly string[], body: unknown, call?: CallOptions): Promise<T> => send<T>({ method: 'POST', path, body }, call);
  const items = async <T>(path: readonly string[], call?: CallOptions): Promise<readonly T[]> => (await get<{ readonly items: readonly T[] }>(path, call)).items;

  const listRuns: Client['runs']['list'] = ({ agentId, userId, ...query } = {}, call) => get(['runs'], call, { ...query, agent_id: agentId, user_id: userId });
  const listApprovals: Client['approvals']['list'] = ({ runId, ...query } = {}, call) => get(['approvals'], call, { ...query, run_id: runId });
  const getRun: Client['runs']['get'] = (runId, call) => get(['runs', runId], call);

  return {
    request: (request) => send(request),
    runs: {
      create: (agent, run, call) => send({ method: 'POST', path: ['agents', agent, 'runs'], body: toRunBody(run), repeatable: true }, call),
      get: getRun,
      list: listRuns,
      all: (query = {}, call) => eachOf((cursor) => listRuns({ ...query, cursor }, call)),
      steps: (runId, call) => items(['runs', runId, 'steps'], call),
      events: (runId, query = {}, call) => get(['runs', runId, 'events'], call, query),
      stream: (runId, stream) => streamRun(connection, runId, stream),
      wait: (runId, wait) => waitFor(connection, runId, getRun, wait),
      cancel: (runId, reason, call) => post(['runs', runId, 'cancel'], reason === undefined ? {} : { reason }, call),
      retry: (runId, call) => post(['runs', runId, 'retry'], {}, call),
      giveFeedback: (runId, feedback, call) => post(['runs', runId, 'feedback'], feedback, call),
    },
    approvals: {
      get: (approvalId, call) => get(['approvals', approvalId], call),
      list: listApprovals,
      all: (query = {}, call) => eachOf((cursor) => listApprovals({ ...query, cursor }, call)),
      decide: (approvalId, { callHash, ...decision }, call) => post(['approvals', approvalId, 'decide'], callHash === undefined ? decision : { ...decision, call_hash: callHash }, call),
    },
    agents: {
      create: (agent, call) => post(['agents'], agent, call),
      get: (agent, call) => get(['agents', agent], call),
      list: (query = {}, call) => get(['agents'], call, { ...query }),
      publish: (agent, call) => post(['agents', agent, 'publish'], {}, call),
      deprecate: (agent, call) => post(['agents', agent, 'deprecate'], {}, call),
    },
    tools: { list: (call) => items(['tools'], call) },
    plugins: {
      list: (call) => items(['plugins'], call),
      get: (plugin, call) => get(['plugins', plugin], call),
      declare: (declaration, call) => post(['plugins'], declaration, call),
      remove: (plugin, call) => send<undefined>({ method: 'DELETE', path: ['plugins', plugin] }, call),
      restart: (plugin, call) => post(['plugins', plugin, 'restart'], {}, call),
      waitReady: (plugin, { timeoutMs = READY_MS, ...call } = {}) => waitReady(() => get(['plugins', plugin], call), timeoutMs, call.signal),
    },
  };
}

function toConnection({ url, apiKey, fetch: given, timeoutMs = TIMEOUT_MS }: ClientOptions): Connection {
  const baseUrl = parseUrl(url);
  if (apiKey !== undefined && !/^[\x21-\x7e]+$/.test(apiKey)) throw new ApiError('invalid_input', 'apiKey has characters that no key has. Is there a line break in it?');
  // The global one wants to be called as a global one.
  return { baseUrl, apiKey: apiKey ?? null, fetch: given ?? ((input, init) => fetch(input, init)), timeoutMs };
}

function parseUrl(url: string | URL): URL {
  const text = String(url);
  if (!URL.canParse(text) || !/^https?:$/.test(new URL(text).protocol)) throw new ApiError('invalid_input', `url is ${JSON.stringify(text)}, which is not an http or https URL.`);
  return new URL(text);
}

function toRunBody({ input, idempotencyKey, userId, priority, startAt, delayS }: NewRun): JsonObject {
  const entries: readonly (readonly [string, JsonValue | undefined])[] = [
    ['input', input],
    ['idempotency_key', idempotencyKey ?? newKey()],
    ['user_id', userId],
    ['priority', priority],
    ['start_at', startAt instanceof Date ? startAt.toISOString() : startAt],
    ['delay_s', delayS],
  ];
  return Object.fromEntries(entries.flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])));
}

async function* eachOf<T>(page: (cursor: string | null) => Promise<Page<T>>): AsyncGenerator<T, void, undefined> {
  for (let cursor: string | null = null; ; ) {
    const { items, next_cursor }: Page<T> = await page(cursor);
    yield* items;
    if (next_cursor === null) return;
    cursor = next_cursor;
  }
}

async function waitFor(connection: Connection, runId: string, getRun: Client['runs']['get'], { until = 'ended', ...stream }: WaitOptions = {}): Promise<Run> {
  const call = stream.signal === undefined ? {} : { signal: stream.signal };
  const isOver = ({ status }: Run): boolean => status === 'completed' || status === 'failed' || status === 'cancelled' || (until === 'ended_or_paused' && status === 'paused');
  let after = stream.after;
  for (;;) {
    const now = await getRun(runId, call);
    if (isOver(now)) return now;
    // What comes after what was seen: a pause that is over does not count.
    for await (const event of streamRun(connection, runId, { ...stream, after: after ?? now.last_seq })) {
      if (isFinal(event) || (until === 'ended_or_paused' && event.type === 'run_paused')) break;
    }
    after = undefined;
  }
}

async function waitReady(look: () => Promise<PluginInfo>, timeoutMs: number, signal: AbortSignal | undefined): Promise<PluginInfo> {
  for (const until = Date.now() + timeoutMs; ; ) {
    const plugin = await look();
    if (plugin.status === 'ready') return plugin;
    if (Date.now() >= until) throw new ApiError('timeout', `The plugin ${plugin.name} is ${plugin.status} after ${timeoutMs} ms: ${plugin.detail}`);
    await pause(READY_POLL_MS, signal);
  }
}
