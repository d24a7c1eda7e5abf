import type { Access } from '../access.ts';
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

const EMBED_TIMEOUT_MS = 300;
const IN_FLIGHT_MAX = 16;
/** Texts that came while others were under way go together, up to so many. */
const BATCH_MAX = 32;
const WAITING_MAX = 256;

interface Waiting {
  readonly text: string;
  readonly access: Access;
  readonly give: (vector: Float32Array | null) => void;
}

/** The built-in vectors: words and their pieces, no meaning. */
export function createLexicalEmbedder(): Embedder {
  return { name: 'lexical-2', vectorOf: async (text) => lexicalVector(text) };
}

export function createModelEmbedder(name: string, embed: Embed, rest: Rest): Embedder {
  let inFlight = 0;
  let waiting: Waiting[] = [];

  const ask = async (batch: readonly Waiting[]): Promise<void> => {
    const [first] = batch;
    if (first === undefined) return;
    inFlight += 1;
    const vectors = await embedInTime(embed, batch.map(({ text }) => text), first.access);
    inFlight -= 1;
    rest.note(vectors !== null);
    batch.forEach(({ give }, at) => give(vectors?.[at] ?? null));
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
    const batch = waiting.filter(({ access }) => isSameCaller(access, first.access)).slice(0, BATCH_MAX);
    waiting = waiting.filter((each) => !batch.includes(each));
    void ask(batch);
  };

  return {
    name: `model:${name}`,
    vectorOf: (text, access) => {
      if (rest.isResting() || waiting.length >= WAITING_MAX) return Promise.resolve(null);
      return new Promise((give) => {
        waiting.push({ text, access, give });
        askNext();
      });
    },
  };
}

const isSameCaller = (a: Access, b: Access): boolean =>
  a.tenantId === b.tenantId && a.userId === b.userId && a.runId === b.runId && a.stepId === b.stepId && a.keyId === b.keyId && a.sensitivity === b.sensitivity;

/** null: it failed or took too long, or gave something else than one vector for each text. */
async function embedInTime(embed: Embed, texts: readonly string[], access: Access): Promise<readonly (Float32Array | null)[] | null> {
  const controller = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<null>((resolve) => {
    timer = setTimeout(() => {
      controller.abort();
      resolve(null);
    }, EMBED_TIMEOUT_MS);
  });
  try {
    const answered = embed(texts, access, controller.signal);
    answered.catch(() => undefined);
    const numbers = await Promise.race([answered, late]);
    return numbers === null || numbers.length !== texts.length ? null : numbers.map(normalized);
  } catch {
    return null;
  } finally {
    clearTimeout(timer);
  }
}
