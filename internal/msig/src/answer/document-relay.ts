import type { JsonObject } from '@openeaap/kernel';
import { invalidOutput } from '../backends/upstream-error.ts';
import { estimateCompletionUsage } from '../request/estimate-usage.ts';
import type { ModelRequest } from '../request/model-request.ts';
import { modelOf } from './answer-relay.ts';
import type { AnswerRelay, RelayMeans } from './answer-relay.ts';
import { readUsage } from './wire-usage.ts';

/** 2,048 vectors of 1,024 numbers with eight characters each are 17 MB; as base64 they are less. */
const DOCUMENT_BYTES_MAX = 67_108_864;

/** Of embeddings and reranks: one document, to the letter. */
export function createDocumentRelay(request: ModelRequest, { context }: RelayMeans): AnswerRelay {
  const list = request.kind === 'embeddings' ? 'data' : 'results';
  let document: string | null = null;
  let whole: JsonObject = {};
  return {
    add: () => {
      throw invalidOutput(context, 'streamed although one answer was asked for.');
    },
    addDocument: (answer, text) => {
      if (!Array.isArray(answer[list])) throw invalidOutput(context, `gave an answer without "${list}".`);
      document = text;
      whole = answer;
    },
    documentBytesMax: DOCUMENT_BYTES_MAX,
    isFinished: () => document !== null,
    usage: () => (document === null ? null : (readUsage(whole['usage']) ?? estimateCompletionUsage(request.body, 0))),
    finish: () => {
      if (document === null) throw invalidOutput(context, 'gave no answer.');
      return { model: modelOf(whole), finishReason: 'stop', document };
    },
  };
}
