import { context, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import type { Span, Tracer } from '@opentelemetry/api';
import type { PlatformError, TokenUsage } from '@openeaap/kernel';
import type { Attribution } from './access.ts';
import type { CacheOutcome } from './cache/answer-cache.ts';
import type { BackendConfig } from './config/gateway-config.ts';
import type { RequestKind } from './request/model-request.ts';

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
  /** The backend that answered, or was asked last; null: none was. */
  readonly backend: string | null;
  readonly cache: CacheOutcome | null;
  readonly firstByteMs: number | null;
  readonly usage: TokenUsage;
  readonly reply: { readonly model: string; readonly finishReason: string } | null;
  readonly error: PlatformError | null;
}

/** In the words of the GenAI conventions. */
const OPERATIONS: Readonly<Record<RequestKind, string>> = { chat: 'chat', completions: 'text_completion', embeddings: 'embeddings', rerank: 'rerank', responses: 'chat' };

/** What is told about a call before it is made. */
export interface InvokeFacts {
  readonly kind: RequestKind;
  readonly attribution: Attribution;
  readonly isStream: boolean;
  readonly maxTokens: number | null;
  readonly temperature: number | null;
}

/** Nobody records: most installations, most of the time. */
const UNSEEN: InvokeSpan = { run: (work) => work(), end: () => undefined };

export function startInvokeSpan(tracer: Tracer, backend: BackendConfig, about: InvokeFacts): InvokeSpan {
  const span = tracer.startSpan('LLM.Invoke', { kind: SpanKind.CLIENT });
  if (!span.isRecording()) return UNSEEN;
  const { attribution } = about;
  const model = backend.model === '' ? backend.name : backend.model;
  span.setAttributes({
    'llm.model': model,
    'gen_ai.operation.name': OPERATIONS[about.kind],
    'gen_ai.provider.name': backend.type,
    'gen_ai.request.model': model,
    'gen_ai.request.stream': about.isStream,
    ...(about.maxTokens === null ? {} : { 'gen_ai.request.max_tokens': about.maxTokens }),
    ...(about.temperature === null ? {} : { 'gen_ai.request.temperature': about.temperature }),
    'openeaap.tenant_id': attribution.tenantId,
    'openeaap.run_id': attribution.runId,
    'openeaap.step_id': attribution.stepId,
    ...(attribution.tool ? { 'openeaap.tool': attribution.tool } : {}),
    'openeaap.trace_id': attribution.traceId,
  });
  return {
    run: (work) => context.with(trace.setSpan(context.active(), span), work),
    end: (outcome) => endSpan(span, outcome),
  };
}

function endSpan(span: Span, { backend, cache, firstByteMs, usage, reply, error }: InvokeOutcome): void {
  span.setAttributes({
    'llm.prompt_tokens': usage.promptTokens,
    'llm.completion_tokens': usage.completionTokens,
    'gen_ai.usage.input_tokens': usage.promptTokens,
    'gen_ai.usage.output_tokens': usage.completionTokens,
    ...(usage.cachedTokens === undefined ? {} : { 'gen_ai.usage.cache_read.input_tokens': usage.cachedTokens }),
    ...(usage.reasoningTokens === undefined ? {} : { 'gen_ai.usage.reasoning.output_tokens': usage.reasoningTokens }),
    ...(backend === null ? {} : { 'openeaap.backend': backend }),
    ...(cache === null ? {} : { 'openeaap.cache': cache.level ?? cache.state }),
    ...(firstByteMs === null ? {} : { 'gen_ai.response.time_to_first_chunk': firstByteMs / 1_000 }),
  });
  if (reply !== null) span.setAttributes({ 'gen_ai.response.model': reply.model, 'gen_ai.response.finish_reasons': [reply.finishReason] });
  if (error !== null) {
    span.setAttribute('error.type', error.code);
    span.setStatus({ code: SpanStatusCode.ERROR, message: error.code });
  }
  span.end();
}
