import type { TraceContext } from './port.ts';

const TRACEPARENT = /^(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]{2}(-|$)/;

/**
 * Continues the caller's trace (W3C Trace Context, header `traceparent`) or begins a new one.
 * A malformed header begins a new one too, as the recommendation asks; it is no reason to refuse.
 */
export function toTraceContext(traceparent: unknown, newTraceId: () => string): TraceContext {
  const match = typeof traceparent === 'string' ? TRACEPARENT.exec(traceparent.trim()) : null;
  const [, traceId, parentSpanId] = match ?? [];
  if (traceId === undefined || parentSpanId === undefined) return { traceId: newTraceId(), parentSpanId: null };
  return { traceId, parentSpanId };
}
