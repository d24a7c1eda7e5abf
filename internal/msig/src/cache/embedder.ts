import { unlessAborted } from '@openeaap/kernel';
import type { Access } from '../access.ts';
import { withinMs } from '../within-ms.ts';
import { lexicalVector } from './lexical-vector.ts';
import type { Rest } from './rest.ts';
import { normalized } from './vector-store.ts';

/** Texts to numbers, by a model behind the gateway. */
export type Embed = (texts: readonly string[], access: Access, signal: AbortSignal) => Promise<readonly (readonly number[])[]>;

/** Texts to vectors, in time or not at all. */
export interface Embedder {
  /** Part of the scope: vectors of two embedders have nothing to say to each other. */
  readonly name: string;
  /** null: it failed, took too long, or is resting after that. Never rejects. */
  readonly vectorOf: (text: string, access: Access) => Promise<Float32Array | null>;
}

/** From the question's arrival: its turn is waited for within it. */
const EMBED_TIMEOUT_MS = 300;
const IN_FLIGHT_MAX = 16;
/** Texts that came while others were under way go together, up to so many. */
const BATCH_MAX = 32;
const WAITING_MAX = 256;

interface Waiting {
  readonly text: string;
  readonly access: Access;
  give: (vector: Float32Array | null) => void;
  /** Its time is over. */
  isOver: boolean;
  batch: Batch | null;
}

interface Batch {
  readonly texts: readonly Waiting[];
  readonly controller: AbortController;
}

/** The built-in vectors: words and their pieces, no meaning. */
export function createLexicalEmbedder(): Embedder {
  return { name: 'lexical-2', vectorOf: async (text) => lexicalVector(text) };
}

export function createModelEmbedder(name: string, embed: Embed, rest: Rest): Embedder {
  let inFlight = 0;
  let waiting: readonly Waiting[] = [];

  const ask = async (batch: Batch): Promise<void> => {
    inFlight += 1;
    const vectors = await embedAll(embed, batch);
    inFlight -= 1;
    rest.note(vectors !== null);
    batch.texts.forEach(({ give }, at) => give(vectors?.[at] ?? null));
    askNext();
  };

  /** Only texts of one caller go together: somebody pays for them, and what may leave the house depends on who asks. */
  const askNext = (): void => {
    const [first] = waiting;
    if (first === undefined || inFlight >= IN_FLIGHT_MAX) return;
    if (rest.isResting()) {
      for (const { give } of waiting) give(null);
      waiting = [];
      return;
    }
    const batch: Batch = { texts: waiting.filter(({ access }) => isSameCaller(access, first.access)).slice(0, BATCH_MAX), controller: new AbortController() };
    waiting = waiting.filter((each) => !batch.texts.includes(each));
    for (const each of batch.texts) each.batch = batch;
    void ask(batch);
  };

  /** Nobody waits for it any more; a call for nobody is aborted. */
  const leave = (mine: Waiting): void => {
    mine.isOver = true;
    waiting = waiting.filter((each) => each !== mine);
    if (mine.batch?.texts.every(({ isOver }) => isOver) === true) mine.batch.controller.abort();
  };

  return {
    name: `model:${name}`,
    vectorOf: async (text, access) => {
      if (rest.isResting() || waiting.length >= WAITING_MAX) return null;
      const mine: Waiting = { text, access, give: () => undefined, isOver: false, batch: null };
      const answered = new Promise<Float32Array | null>((resolve) => (mine.give = resolve));
      waiting = [...waiting, mine];
      askNext();
      const inTime = await withinMs(EMBED_TIMEOUT_MS, answered);
      if (inTime.kind === 'done') return inTime.value;
      leave(mine);
      return null;
    },
  };
}

const isSameCaller = (a: Access, b: Access): boolean =>
  a.tenantId === b.tenantId && a.userId === b.userId && a.runId === b.runId && a.stepId === b.stepId && a.keyId === b.keyId && a.sensitivity === b.sensitivity;

/** null: it failed, took longer than anybody waited, or gave something else than one vector for each text. */
async function embedAll(embed: Embed, { texts: [first, ...others], controller: { signal } }: Batch): Promise<readonly (Float32Array | null)[] | null> {
  if (first === undefined) return null;
  const texts = [first, ...others].map(({ text }) => text);
  try {
    const numbers = await unlessAborted(signal, embed(texts, first.access, signal), () => new Error('Nobody waits for the vectors any more.'));
    return numbers.length === texts.length ? numbers.map(normalized) : null;
  } catch {
    return null;
  }
}
