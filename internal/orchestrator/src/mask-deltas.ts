/**
 * Masks text that comes in pieces. A piece is given on only up to a place where no word or number is
 * being written, and not its last characters, because what must be masked may have begun in them:
 * the stream shows no more than the stored thought will.
 */
export interface DeltaMasker {
  readonly push: (text: string) => void;
  /** Gives on what was held back. */
  readonly end: () => void;
}

/** A phone number with its separators, or the beginning of a key, is shorter. */
const HELD_BACK_CHARS = 48;
/** Text that is all digits is given on in the end, rather than held for ever. */
const HELD_BACK_LIMIT_CHARS = 2_048;
const NEAR_CHARS = 4;

export function createDeltaMasker(mask: (text: string) => string, emit: (text: string) => void): DeltaMasker {
  let held = '';
  const give = (count: number): void => {
    if (count <= 0) return;
    const ready = held.slice(0, count);
    held = held.slice(count);
    emit(mask(ready));
  };
  return {
    push: (text) => {
      held += text;
      give(findBreak(held, held.length - HELD_BACK_CHARS));
    },
    end: () => give(held.length),
  };
}

/** The last place at or before `limit` with neither a word across it nor a digit near it; 0: none, unless too much is held. */
function findBreak(text: string, limit: number): number {
  for (let place = limit; place > 0; place -= 1) {
    const isInWord = /[A-Za-z0-9]/.test(text[place - 1] ?? '') && /[A-Za-z0-9]/.test(text[place] ?? '');
    if (!isInWord && !/[\d@]/.test(text.slice(Math.max(0, place - NEAR_CHARS), place + NEAR_CHARS))) return place;
  }
  return limit > HELD_BACK_LIMIT_CHARS ? limit : 0;
}
