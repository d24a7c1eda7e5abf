import type { Attributes, Span } from '@opentelemetry/api';
import { ROOT_CONTEXT, SpanStatusCode, TraceFlags, context, trace } from '@opentelemetry/api';
import { toPlatformError } from '@openeaap/kernel';

/** Finds the provider at each span, so it may be registered later. */
const tracer = trace.getTracer('openeaap.orchestrator');

/** Runs `work` inside a span; an error marks the span with its code and nothing else. */
export async function inSpan<T>(name: string, attributes: Attributes, work: (span: Span) => Promise<T>): Promise<T> {
  return tracer.startActiveSpan(name, { attributes }, async (span) => {
    try {
      return await work(span);
    } catch (thrown) {
      span.setStatus({ code: SpanStatusCode.ERROR, message: toPlatformError(thrown).code });
      throw thrown;
    } finally {
      span.end();
    }
  });
}

/** Runs `work` under the root span of a run, which any node can join by its ids alone. */
export function underRoot<T>(root: { readonly traceId: string; readonly spanId: string }, work: () => Promise<T>): Promise<T> {
  if (root.spanId === '') return work();
  const parent = trace.setSpanContext(ROOT_CONTEXT, { traceId: root.traceId, spanId: root.spanId, traceFlags: TraceFlags.SAMPLED, isRemote: true });
  return context.with(parent, work);
}

/** W3C trace context of the active span, or of the run's root when nothing is exported. */
export function traceHeaders(run: { readonly traceId: string; readonly rootSpanId: string }): Readonly<Record<string, string>> {
  const active = trace.getActiveSpan()?.spanContext();
  const spanId = active !== undefined && active.traceId === run.traceId ? active.spanId : run.rootSpanId;
  return spanId === '' ? {} : { traceparent: `00-${run.traceId}-${spanId}-01` };
}
