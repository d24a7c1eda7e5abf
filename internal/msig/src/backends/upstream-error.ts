import { isJsonObject, PlatformError } from '@openeaap/kernel';
import type { ErrorDetails, JsonObject } from '@openeaap/kernel';

/** What is safe to know about a backend when it fails, and the secret to keep out of every error. */
export interface UpstreamContext {
  readonly backend: string;
  readonly apiKey: string;
}

/** Characters of a server's own error message that are kept, and only in `cause`. */
const SERVER_MESSAGE_CHARS = 300;

const CURES: Readonly<Record<number, string>> = {
  400: 'It did not accept the request; check that the model supports what the agent asks for.',
  401: 'Check the API key of this backend.',
  403: 'The API key may not use this model.',
  404: 'Check the endpoint and the model name of this backend.',
  413: 'The conversation is too large for it.',
  422: 'It did not accept the request; check that the model supports what the agent asks for.',
};

/** What a server refused with; the last two come from the headers. */
export interface RefusedAnswer {
  readonly status: number;
  readonly body: string;
  readonly retryAfterMs: number | null;
  /** False when the server says that another try is of no use (`x-should-retry: false`). */
  readonly shouldRetry?: boolean;
}

/** Maps an HTTP status other than 2xx. */
export function errorOfStatus(context: UpstreamContext, answer: RefusedAnswer): PlatformError {
  const { status } = answer;
  const said = readError(context, answer.body);
  const { cause } = said;
  const details: ErrorDetails = { backend: context.backend, status, ...said.details, ...(answer.retryAfterMs === null ? {} : { retry_after_ms: answer.retryAfterMs }), ...(answer.shouldRetry === false ? { should_retry: false } : {}) };
  if (status === 429 && answer.shouldRetry === false) {
    return new PlatformError('model_rejected', `The model backend "${context.backend}" refused the request for good (HTTP 429): a quota is used up.`, { details, cause });
  }
  if (status === 429) return new PlatformError('model_unavailable', `The model backend "${context.backend}" takes no more requests at the moment (HTTP 429).`, { details, cause });
  if (status === 408 || status === 425 || status >= 500) {
    return new PlatformError('model_unavailable', `The model backend "${context.backend}" failed (HTTP ${status}).`, { details, cause });
  }
  const cure = CURES[status] ?? 'Check the endpoint of this backend.';
  return new PlatformError('model_rejected', `The model backend "${context.backend}" refused the request (HTTP ${status}). ${cure}`, { details, cause });
}

/** Maps what the connection threw: refused, unknown host, reset, TLS, broken HTTP. */
export function errorOfConnection(context: UpstreamContext, thrown: unknown): PlatformError {
  if (thrown instanceof PlatformError) return thrown;
  const reason = reasonOf(thrown);
  return new PlatformError('model_unavailable', `The model backend "${context.backend}" could not be reached or broke the connection (${reason}).`, {
    details: { backend: context.backend, reason },
    cause: new Error(redact(context, thrown instanceof Error ? thrown.message : String(thrown))),
  });
}

export function invalidOutput(context: UpstreamContext, problem: string, details: ErrorDetails = {}): PlatformError {
  return new PlatformError('model_invalid_output', `The model backend "${context.backend}" ${problem}`, { details: { backend: context.backend, ...details } });
}

export function closedMidStream(context: UpstreamContext): PlatformError {
  return new PlatformError('model_unavailable', `The model backend "${context.backend}" closed the connection in the middle of its answer.`, {
    details: { backend: context.backend, reason: 'closed_mid_stream' },
  });
}

/** `retry-after-ms`, or `retry-after` as seconds or as a date; null when there is none that makes sense. */
export function parseRetryAfter(headers: Readonly<Record<string, string | readonly string[] | undefined>>, nowMs: number): number | null {
  const exact = Number(first(headers['retry-after-ms']) ?? Number.NaN);
  if (Number.isFinite(exact) && exact >= 0) return Math.ceil(exact);
  const text = first(headers['retry-after']);
  if (text === undefined || text.trim() === '') return null;
  const seconds = Number(text);
  if (Number.isFinite(seconds)) return seconds >= 0 ? Math.ceil(seconds * 1_000) : null;
  const date = Date.parse(text);
  return Number.isNaN(date) ? null : Math.max(0, date - nowMs);
}

function first(value: string | readonly string[] | undefined): string | undefined {
  return typeof value === 'string' ? value : value?.[0];
}

function reasonOf(thrown: unknown): string {
  const code: unknown = thrown instanceof Error && 'code' in thrown ? thrown.code : undefined;
  return typeof code === 'string' && /^[A-Z0-9_]{1,60}$/.test(code) ? code : 'connection_failed';
}

/** What the server said, for the cause; and the names that it gave the error, which are safe by their form. */
function readError(context: UpstreamContext, body: string): { readonly cause: Error; readonly details: ErrorDetails } {
  let parsed: unknown;
  try {
    parsed = JSON.parse(body);
  } catch {
    // Not JSON: a proxy's page, perhaps. Its beginning is kept as it is.
  }
  const error = findError(parsed);
  const message = typeof error === 'string' ? error : stringOf(error?.['message']) ?? body;
  const names = typeof error === 'string' ? [] : (['code', 'param'] as const).map((key) => [`upstream_${key}`, stringOf(error?.[key])] as const);
  return {
    // The key goes before the cut, so that no part of it is left at the edge.
    cause: new Error(redact(context, message).slice(0, SERVER_MESSAGE_CHARS)),
    details: Object.fromEntries(names.filter(([, name]) => name !== null && /^[\w.[\]-]{1,100}$/.test(name) && redact(context, name) === name)),
  };
}

/** `{"error": {...}}`, `{"error": "text"}` or the error itself, however deep a proxy has wrapped it. */
function findError(value: unknown): JsonObject | string | null {
  if (!isJsonObject(value)) return null;
  const inner = value['error'];
  if (value['message'] !== undefined || inner === undefined) return value;
  return typeof inner === 'string' ? inner : findError(inner);
}

const stringOf = (value: unknown): string | null => (typeof value === 'string' && value !== '' ? value : null);

function redact(context: UpstreamContext, text: string): string {
  return context.apiKey === '' ? text : text.replaceAll(context.apiKey, '[key]');
}
