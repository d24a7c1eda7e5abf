import type { Span } from '@opentelemetry/api';
import { ROOT_CONTEXT, SpanKind, SpanStatusCode, context, trace } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { BasicTracerProvider, BatchSpanProcessor, ParentBasedSampler, AlwaysOnSampler, RandomIdGenerator } from '@opentelemetry/sdk-trace-base';
import type { IdGenerator } from '@opentelemetry/sdk-trace-base';

export interface RootSpan {
  readonly traceId: string;
  readonly rootSpanId: string;
  readonly startedAt: Date;
  readonly endedAt: Date;
  readonly status: string;
  readonly agentName: string;
  readonly runId: string;
  readonly userId: string;
}

export interface Tracing {
  /** Document section 17.1: the span `Run {trace_id}` above all others of a run. */
  readonly endRootSpan: (root: RootSpan) => void;
  readonly close: () => Promise<void>;
}

/** Spans go to the OTLP endpoint when one is configured, and nowhere otherwise. */
export function startTracing(options: { readonly endpoint: string | undefined; readonly version: string }): Tracing {
  if (options.endpoint === undefined) return { endRootSpan: () => undefined, close: async () => undefined };
  const ids = new PresetIds();
  const provider = new BasicTracerProvider({
    resource: resourceFromAttributes({ 'service.name': 'openeaap', 'service.version': options.version }),
    sampler: new ParentBasedSampler({ root: new AlwaysOnSampler() }),
    idGenerator: ids,
    spanProcessors: [new BatchSpanProcessor(new OTLPTraceExporter({ url: `${options.endpoint.replace(/\/+$/, '')}/v1/traces` }))],
  });
  trace.setGlobalTracerProvider(provider);
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  return {
    endRootSpan: (root) => endRootSpan(ids, root),
    close: () => provider.shutdown(),
  };
}

/** A run may outlive many processes: its root span is written when it ends, with the id that its children have named all along. */
function endRootSpan(ids: PresetIds, root: RootSpan): void {
  ids.preset(root.traceId, root.rootSpanId);
  const span: Span = trace.getTracer('openeaap.orchestrator').startSpan(
    `Run ${root.traceId}`,
    {
      kind: SpanKind.SERVER,
      startTime: root.startedAt,
      attributes: { 'run.id': root.runId, 'run.status': root.status, 'user.id': root.userId, 'gen_ai.agent.name': root.agentName, 'gen_ai.operation.name': 'invoke_agent' },
    },
    ROOT_CONTEXT,
  );
  if (root.status === 'failed') span.setStatus({ code: SpanStatusCode.ERROR });
  span.end(root.endedAt);
}

/** Random ids, but for the one span whose ids were fixed before. */
class PresetIds implements IdGenerator {
  readonly #random = new RandomIdGenerator();
  #next: { readonly traceId: string; readonly spanId: string } | null = null;

  preset(traceId: string, spanId: string): void {
    this.#next = { traceId, spanId };
  }

  generateSpanId(): string {
    return this.#next?.spanId ?? this.#random.generateSpanId();
  }

  /** Asked for root spans alone, and after the span id: here the preset has been used up. */
  generateTraceId(): string {
    const traceId = this.#next?.traceId ?? this.#random.generateTraceId();
    this.#next = null;
    return traceId;
  }
}
