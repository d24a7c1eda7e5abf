import type { ToolContext, ToolInvocation } from '@openeaap/adapter';
import type { JsonObject, ToolSpec } from '@openeaap/kernel';
import type { JsonReply, JsonRequest } from './request-json.ts';

/** One tool: what it says about itself, and what it does. */
export interface SecurityTool {
  readonly spec: ToolSpec;
  readonly call: (invocation: ToolInvocation, context: ToolContext) => Promise<JsonObject>;
}

/** How a tool asks its product: bounds and error codes are the same for all. */
export type Ask = (request: Omit<JsonRequest, 'timeoutMs'>) => Promise<JsonReply>;

/** Appends to the path of `base` and keeps its prefix. */
export function below(base: URL, ...segments: readonly string[]): URL {
  const url = new URL(base);
  url.pathname = [url.pathname.replace(/\/+$/, ''), ...segments.map(encodeURIComponent)].join('/');
  return url;
}

/** The caller's trace goes on to the product; other entries do not become headers. */
export function traceHeaders(context: ToolContext): Readonly<Record<string, string>> {
  const headers = ['traceparent', 'tracestate'] as const;
  return Object.fromEntries(headers.flatMap((name) => (context.traceContext[name] === undefined ? [] : [[name, context.traceContext[name]]])));
}
