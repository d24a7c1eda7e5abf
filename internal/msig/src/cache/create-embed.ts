import { isJsonObject, PlatformError } from '@openeaap/kernel';
import type { Gateway } from '../gateway.ts';
import { parseRequest } from '../request/parse-request.ts';
import type { Embed } from './embedder.ts';

/** Vectors from a backend of the gateway itself, booked on whoever asked the question. Errors: those of the gateway, and `model_invalid_output`. */
export function createEmbed(gateway: () => Pick<Gateway, 'ask'>, backend: string): Embed {
  return async (texts, access, signal) => {
    const request = parseRequest('embeddings', JSON.stringify({ model: backend, input: texts, encoding_format: 'float' }));
    // What the key may ask for is about answers; that its questions are compared is the house's choice.
    const { document } = await gateway().ask(request, { signal, access: { ...access, models: null }, onChunk: () => null });
    const vectors = readVectors(document, texts.length);
    if (vectors === null) throw new PlatformError('model_invalid_output', `The embedding backend "${backend}" did not give one vector for each text.`, { details: { backend } });
    return vectors;
  };
}

function readVectors(document: string | null, count: number): readonly (readonly number[])[] | null {
  const body: unknown = document === null ? null : JSON.parse(document);
  const data = isJsonObject(body) && Array.isArray(body['data']) ? body['data'].filter(isJsonObject) : [];
  const vectors = data.toSorted((a, b) => Number(a['index'] ?? 0) - Number(b['index'] ?? 0)).map((each) => each['embedding']);
  return vectors.length === count && vectors.every(isVector) ? vectors : null;
}

const isVector = (value: unknown): value is readonly number[] => Array.isArray(value) && value.length > 0 && value.every((each) => typeof each === 'number');
