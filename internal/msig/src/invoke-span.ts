import { context, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import type { Span, Tracer } from '@opentelemetry/api';
import type { PlatformError, TokenUsage } from '@openeaap/kernel';
import type { BackendConfig } from './config/gateway-config.ts';
import type { Attribution } from './gateway.ts';

/**
 * The span `LLM.Invoke` of document section 17.1, with the OpenTelemetry GenAI attributes beside
 * the document's. Counts, names and codes only: never a word of the prompt or of the answer.
 */
export interface InvokeSpan {
  /** Runs `work` with the span as the active one. */
  readonly run: <T>(work: () => Promise<T>) => Promise<T>;
  readonly end: (outcome: InvokeOutcome) => void;
}

export interface InvokeOutcome {
  readonly usage: TokenUsage;
  readonly reply: { readonly model: string; readonly finishReason: string } | null;
  readonly error: PlatformError | null;
}

/** What is told about a call before it is made. */
export interface InvokeFacts {
  readonly attribution: Attribution;
  readonly isStream: boolean;
  readonly maxTokens: number | null;
  readonly temperature: number | null;
}

export function startInvokeSpan(tracer: Tracer, backend: BackendConfig, about: InvokeFacts): InvokeSpan {
  const model = backend.model === '' ? backend.name : backend.model;
  const span = tracer.startSpan('LLM.Invoke', {
    kind: SpanKind.CLIENT,
    attributes: {
      'llm.model': model,
      'gen_ai.operation.name': 'chat',
      'gen_ai.provider.name': backend.type,
      'gen_ai.request.model': model,
      'gen_ai.request.stream': about.isStream,
      ...(about.maxTokens === null ? {} : { 'gen_ai.request.max_tokens': about.maxTokens }),
      ...(about.temperature === null ? {} : { 'gen_ai.request.temperature': about.temperature }),
      'openeaap.backend': backend.name,
      'openeaap.tenant_id': about.attribution.tenantId,
      'openeaap.run_id': about.attribution.runId,
      'openeaap.step_id': about.attribution.stepId,
      ...(about.attribution.tool ? { 'openeaap.tool': about.attribution.tool } : {}),
      'openeaap.trace_id': about.attribution.traceId,
    },
  });
  return {
    run: (work) => context.with(trace.setSpan(context.active(), span), work),
    end: (outcome) => endSpan(span, outcome),
  };
}

function endSpan(span: Span, { usage, reply, error }: InvokeOutcome): void {
  span.setAttributes({
    'llm.prompt_tokens': usage.promptTokens,
    'llm.completion_tokens': usage.completionTokens,
    'gen_ai.usage.input_tokens': usage.promptTokens,
    'gen_ai.usage.output_tokens': usage.completionTokens,
  });
  if (reply !== null) span.setAttributes({ 'gen_ai.response.model': reply.model, 'gen_ai.response.finish_reasons': [reply.finishReason] });
  if (error !== null) {
    span.setAttribute('error.type', error.code);
    span.setStatus({ code: SpanStatusCode.ERROR, message: error.code });
  }
  span.end();
}
