/** 32-bit floats, the lowest byte first, on every machine. */
export function toBytes(vector: Float32Array): Buffer {
  const bytes = Buffer.alloc(vector.length * 4);
  vector.forEach((number, at) => bytes.writeFloatLE(number, at * 4));
  return bytes;
}

export function fromBytes(bytes: Buffer): Float32Array {
  return Float32Array.from({ length: Math.floor(bytes.length / 4) }, (_, at) => bytes.readFloatLE(at * 4));
}

/** What the column holds. */
const SIGN_BITS_MAX = 8_192;

/**
 * As PostgreSQL writes bit strings, two bits for each number: above 0, below 0. One would do for
 * dense vectors, and does where two are too many; in vectors that compare words most numbers are
 * 0, and each word below 0 would look like none. Vectors of one length always have the same.
 */
export function signsOf(vector: Float32Array): string {
  const isTwo = vector.length * 2 <= SIGN_BITS_MAX;
  return Array.from(vector, (number) => (number > 0 ? '1' : '0') + (isTwo ? (number < 0 ? '1' : '0') : '')).join('');
}
