import type { JsonObject } from '@openeaap/kernel';
import { createReplyAssembler } from '../answer/reply-assembler.ts';
import type { AssembledReply } from '../answer/reply-assembler.ts';
import type { UpstreamContext } from './upstream-error.ts';

/** A chat in the platform's own words, read from the chunks of a streamed request in those of the API. */
export interface ChatReader {
  readonly onChunk: (json: string) => null;
  /** Text has gone to the caller and cannot be taken back. */
  readonly passedOn: () => boolean;
  /** Another try: the chunks so far are forgotten. */
  readonly restart: () => void;
  /** Errors: `model_invalid_output`. */
  readonly finish: () => AssembledReply;
}

export interface ChatReaderMeans {
  /** Read when an error is made: which backend answers is known late. */
  readonly context: UpstreamContext;
  readonly onDelta: ((text: string) => void) | undefined;
}

export function createChatReader({ context, onDelta }: ChatReaderMeans): ChatReader {
  let assembler = createReplyAssembler(context);
  let passedOn = false;
  return {
    onChunk: (json) => {
      const text = assembler.add(JSON.parse(json) as JsonObject);
      if (text !== '' && onDelta !== undefined) {
        passedOn = true;
        onDelta(text);
      }
      return null;
    },
    passedOn: () => passedOn,
    restart: () => {
      assembler = createReplyAssembler(context);
    },
    finish: () => assembler.finish(),
  };
}
