import type { TokenCounts } from '../backends/backend.ts';
import type { UpstreamContext } from '../backends/upstream-error.ts';
import type { ModelRequest } from '../request/model-request.ts';
import { createCompletionRelay } from './completion-relay.ts';
import { createDocumentRelay } from './document-relay.ts';
import type { AnswerSink } from './read-answer.ts';
import { createResponseRelay } from './response-relay.ts';

/**
 * Passes a server's answer on as it came, and reads along: usage, model, why it ended. Changed is
 * only what must be for strict clients.
 */
export interface AnswerRelay extends AnswerSink {
  /** What the answer still lacks when the server is done. Errors: `model_invalid_output` when there was none at all. */
  readonly finish: () => RelayedAnswer | Promise<RelayedAnswer>;
  /** As the server reported it; else estimated from what was passed on; null when nothing was. */
  readonly usage: () => TokenCounts | null;
}

export interface RelayedAnswer {
  readonly model: string;
  readonly finishReason: string;
  readonly document: string | null;
  /** false: no cache may keep it, for the server says that it failed. */
  readonly keep?: false;
}

export interface RelayMeans {
  readonly context: UpstreamContext;
  readonly newId: () => string;
  readonly onChunk: (json: string) => Promise<void> | null;
}

export function createAnswerRelay(request: ModelRequest, means: RelayMeans): AnswerRelay {
  switch (request.kind) {
    case 'chat':
    case 'completions':
      return createCompletionRelay(request, means);
    case 'embeddings':
    case 'rerank':
      return createDocumentRelay(request, means);
    case 'responses':
      return createResponseRelay(request, means);
  }
}

/** The model's own name for itself. */
export function modelOf(value: { readonly [key: string]: unknown }): string {
  return typeof value['model'] === 'string' ? value['model'].slice(0, 200) : '';
}
